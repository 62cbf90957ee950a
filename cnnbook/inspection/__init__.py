"""What a unit of a network sees, as the chapter "Receptive fields" introduces it."""

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
    "Field",
    "Window",
    "effective_receptive_field",
    "field_spread",
    "pixels_read",
    "receptive_field",
    "stack_of",
]
