"""What a unit of a network sees (the chapter "Receptive fields"), and what a network costs."""

from cnnbook.inspection.activations import record_activations, recording
from cnnbook.inspection.attribution import (
    class_scores,
    grad_cam,
    guided_backpropagation,
    occlusion,
    saliency,
    score_gradient,
    shuffle_weights,
)
from cnnbook.inspection.costs import Cost, layer_costs, multiply_adds, parameter_count
from cnnbook.inspection.receptive_fields import (
    Field,
    Window,
    effective_receptive_field,
    field_spread,
    pixels_read,
    receptive_field,
    stack_of,
)

__all__ = [
    "Cost",
    "Field",
    "Window",
    "class_scores",
    "effective_receptive_field",
    "field_spread",
    "grad_cam",
    "guided_backpropagation",
    "layer_costs",
    "multiply_adds",
    "occlusion",
    "parameter_count",
    "pixels_read",
    "receptive_field",
    "record_activations",
    "recording",
    "saliency",
    "score_gradient",
    "shuffle_weights",
    "stack_of",
]
