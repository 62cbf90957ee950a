"""Networks, one file an architecture."""

from cnnbook.models.one_conv import OneConvNet
from cnnbook.models.one_epoch import OneEpochNet
from cnnbook.models.small import SmallNet
from cnnbook.models.three_conv import ThreeConvNet

__all__ = ["OneConvNet", "OneEpochNet", "SmallNet", "ThreeConvNet"]
