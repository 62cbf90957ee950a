"""Squeeze-and-excitation: channels that are weighted by what the whole picture shows."""

import torch
from torch import nn
from torch.nn import functional as F

from cnnbook.checks import whole
from cnnbook.models.checks import check_images, check_switch
from cnnbook.models.stages_checks import check_reduction


class SqueezeExcitation(nn.Module):
    """Multiply each channel by a number between 0 and 1 that depends on all channels' means.

    Input and output (N, channels, H, W). Squeeze: the mean of each channel. Excite: two dense
    layers, ReLU between them and a sigmoid behind. Scale: the channels times the result. NaN
    makes its whole picture NaN. torch raises RuntimeError for another number of channels.

    Parameters
    ----------
    channels : int
    reduction : int
        The inner layer has channels / reduction units; it must divide `channels`.

    Raises
    ------
    ValueError
        If an argument is not as above.

    Source: Hu, Shen and Sun, "Squeeze-and-excitation networks" (2018), sections 3.1 and 3.2.
    """

    def __init__(self, channels, reduction=16):
        super().__init__()
        inner = check_reduction(channels, reduction)
        self.dense1 = nn.Linear(channels, inner)
        self.dense2 = nn.Linear(inner, channels)

    def forward(self, maps):
        means = maps.mean(dim=(2, 3))  # (N, C)
        scales = torch.sigmoid(self.dense2(F.relu(self.dense1(means))))  # (N, C)
        return maps * scales[:, :, None, None]


class SEBlock(nn.Module):
    """A residual block whose residual passes squeeze-and-excitation before it is added.

    Input (N, in_channels, H, W), output (N, channels, H / stride, W / stride), rounded up. NaN
    makes its whole picture NaN, in training mode the whole mini-batch. Without `squeeze` it is a
    basic residual block. Source: figure 3.
    """

    def __init__(self, in_channels, channels, stride, reduction, squeeze):
        super().__init__()
        self.residual = nn.Sequential(
            nn.Conv2d(in_channels, channels, 3, stride, padding=1, bias=False),
            *(nn.BatchNorm2d(channels), nn.ReLU()),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            SqueezeExcitation(channels, reduction) if squeeze else nn.Identity(),
        )
        self.shortcut = nn.Identity()
        if stride != 1 or in_channels != channels:
            self.shortcut = nn.Sequential(
                nn.Conv2d(in_channels, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)
            )

    def forward(self, maps):
        return F.relu(self.shortcut(maps) + self.residual(maps))


class SENet(nn.Module):
    """A small residual network with squeeze-and-excitation, for small pictures.

    Input (N, channels, H, W), floats of any size. Output (N, classes), logits. One 3×3
    convolution, then one block a stage; each stage after the first halves rows and columns and
    doubles the channels. In evaluation mode NaN in a pixel gives NaN in its picture's outputs; in
    training mode in those of the whole mini-batch.

    Parameters
    ----------
    width : int
        Channels of the first stage.
    stages : int
    reduction : int
        Of squeeze-and-excitation; it must divide `width`.
    squeeze : bool
        False: the same residual network without squeeze-and-excitation.
    channels, classes : int
        Of the pictures, and of the answers.

    Raises
    ------
    ValueError
        If an argument, or a batch of pictures, is not as above.

    Source: Hu, Shen and Sun (2018), section 3.3; the size is ours.
    """

    def __init__(self, width=16, stages=3, reduction=4, squeeze=True, channels=1, classes=10):
        super().__init__()
        stages, classes = whole("stages", stages, 1), whole("classes", classes, 1)
        self.channels = whole("channels", channels, 1)
        check_reduction(width, reduction, "width")
        check_switch("squeeze", squeeze)
        self.stem = nn.Sequential(
            nn.Conv2d(channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()
        )
        self.blocks, inputs = nn.Sequential(), width
        for stage in range(stages):
            outputs, stride = width * 2**stage, 2 if stage else 1
            self.blocks.append(SEBlock(inputs, outputs, stride, reduction, squeeze))
            inputs = outputs
        self.classifier = nn.Linear(inputs, classes)

    def forward(self, images):  # (N, 1, 28, 28)
        x = self.stem(check_images(images, self.channels, 1))  # (N, 16, 28, 28)
        x = self.blocks(x)  # (N, 64, 7, 7)
        return self.classifier(x.mean(dim=(2, 3)))  # (N, 10)
