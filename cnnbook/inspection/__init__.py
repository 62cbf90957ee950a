"""What a unit of a network sees (the chapter "Receptive fields"), and what a network costs."""

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
    "effective_receptive_field",
    "field_spread",
    "layer_costs",
    "multiply_adds",
    "parameter_count",
    "pixels_read",
    "receptive_field",
    "stack_of",
]
