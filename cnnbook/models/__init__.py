"""Networks, one file an architecture."""

from cnnbook.models.small import SmallNet

__all__ = ["SmallNet"]
