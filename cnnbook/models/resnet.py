"""Residual networks for ImageNet, with 18, 34, 50, 101 or 152 layers."""

import torch
from torch import nn
from torch.nn import functional as F

from cnnbook.checks import whole
from cnnbook.models.checks import check_images
from cnnbook.models.resnet_checks import check_choice


class ZeroChannels(nn.Module):
    """A shortcut without parameters: leave out positions, append channels of zeros.

    Input (N, C, H, W). Output (N, C + `added`, height, width), where height is H divided by
    `stride` and rounded up, and width likewise. NaN stays where it is; what is left out is not
    read.

    Source: He et al. (2015), section 3.3, option A.
    """

    def __init__(self, added, stride):
        super().__init__()
        self.added = whole("added", added, 0)
        self.stride = whole("stride", stride, 1)

    def forward(self, x):
        kept = x[:, :, :: self.stride, :: self.stride]
        return F.pad(kept, (0, 0, 0, 0, 0, self.added))


def make_shortcut(option, in_channels, out_channels, stride):
    """Return the road around a block that changes the channels or has a stride, or neither.

    Parameters
    ----------
    option : "A", "B" or "C"
        A: the identity, with positions left out and channels of zeros where the shape changes.
        B: a projection (1×1 convolution, batch norm) where the shape changes. C: always one.
    in_channels, out_channels, stride : int
        With option A there may not be fewer channels than before.

    Raises
    ------
    ValueError
        If an argument is not as above.

    Source: He et al. (2015), section 3.3 and table 3.
    """
    check_choice("shortcut", option, ("A", "B", "C"))
    changes = stride != 1 or in_channels != out_channels
    if option == "C" or (option == "B" and changes):
        return nn.Sequential(
            nn.Conv2d(in_channels, out_channels, 1, stride, bias=False),
            nn.BatchNorm2d(out_channels),
        )
    return ZeroChannels(out_channels - in_channels, stride) if changes else nn.Identity()


class BasicBlock(nn.Module):
    """Two 3×3 convolutions, to whose result the input is added.

    Input (N, in_channels, H, W). Output (N, channels, height, width), height being H divided by
    `stride` and rounded up, width likewise. NaN spreads to its neighbors in all channels, in
    training mode to the whole mini-batch. torch raises RuntimeError for another number of
    channels.

    Source: He et al. (2015), figure 5, left.
    """

    expansion = 1

    def __init__(self, in_channels, channels, stride=1, shortcut="B"):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.shortcut = make_shortcut(shortcut, in_channels, channels, stride)

    def forward(self, x):
        residual = F.relu(self.bn1(self.conv1(x)))
        residual = self.bn2(self.conv2(residual))
        return F.relu(self.shortcut(x) + residual)


class BottleneckBlock(nn.Module):
    """1×1, 3×3, 1×1: fewer channels for the 3×3 convolution, four times as many at the end.

    Input (N, in_channels, H, W). Output (N, 4 · channels, height, width), sizes and NaN as in
    `BasicBlock`. torch raises RuntimeError for another number of channels.

    Parameters
    ----------
    in_channels, channels, stride : int
    shortcut : "A", "B" or "C"
        See `make_shortcut`.
    stride_in : "1x1" or "3x3"
        Which convolution makes the stride: the first, as in the paper, or the second, as in
        most libraries.

    Source: He et al. (2015), figure 5, right, and table 1.
    """

    expansion = 4

    def __init__(self, in_channels, channels, stride=1, shortcut="B", stride_in="3x3"):
        super().__init__()
        check_choice("stride_in", stride_in, ("1x1", "3x3"))
        first, second = (stride, 1) if stride_in == "1x1" else (1, stride)
        self.conv1 = nn.Conv2d(in_channels, channels, 1, first, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, second, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv3 = nn.Conv2d(channels, 4 * channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * channels)
        self.shortcut = make_shortcut(shortcut, in_channels, 4 * channels, stride)

    def forward(self, x):
        residual = F.relu(self.bn1(self.conv1(x)))
        residual = F.relu(self.bn2(self.conv2(residual)))
        residual = self.bn3(self.conv3(residual))
        return F.relu(self.shortcut(x) + residual)


LAYOUTS = {  # kind of block, and the number of blocks in each stage
    18: (BasicBlock, (2, 2, 2, 2)),
    34: (BasicBlock, (3, 4, 6, 3)),
    50: (BottleneckBlock, (3, 4, 6, 3)),
    101: (BottleneckBlock, (3, 4, 23, 3)),
    152: (BottleneckBlock, (3, 8, 36, 3)),
}


class ResNet(nn.Module):
    """A network of residual blocks; the layers have the names of the paper's table 1.

    Input (N, 3, H, W), at least 32×32, floating-point numbers. Output (N, classes), logits. For
    224×224 pictures the maps have sides 112, 56, 28, 14 and 7. In evaluation mode NaN in a pixel
    gives NaN in its picture's outputs; in training mode in those of the whole mini-batch, and
    in the running statistics. First weights of convolutions by
    the rule of He.

    Parameters
    ----------
    depth : int
        18 or 34 (basic blocks), 50, 101 or 152 (bottleneck blocks): how many layers have weights,
        projections left out.
    classes : int
    width : int
        Channels of the first stage's 3×3 convolutions; 64 in the paper. Each stage doubles them.
    shortcut : "A", "B" or "C"
        See `make_shortcut`.
    stride_in : "1x1" or "3x3"
        See `BottleneckBlock`. Basic blocks have no 1×1 convolution: with them it changes nothing.

    Raises
    ------
    ValueError
        If an argument is not as above; in `forward`, if the pictures are not. From torch, in
        training mode, for a single picture of 32×32.

    Source: He, Zhang, Ren and Sun, "Deep residual learning for image recognition" (2015),
    arXiv:1512.03385, table 1.
    """

    def __init__(self, depth=50, classes=1000, width=64, shortcut="B", stride_in="3x3"):
        super().__init__()
        check_choice("depth", depth, tuple(LAYOUTS))
        check_choice("stride_in", stride_in, ("1x1", "3x3"))
        whole("classes", classes, 1)
        channels = whole("width", width, 1)
        block, counts = LAYOUTS[depth]
        options = {"shortcut": shortcut}
        if block is BottleneckBlock:
            options["stride_in"] = stride_in

        self.conv1 = nn.Conv2d(3, width, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.pool = nn.MaxPool2d(3, stride=2, padding=1)
        in_channels = width
        for stage, count in enumerate(counts, start=2):
            blocks = []
            for place in range(count):
                stride = 2 if stage > 2 and place == 0 else 1
                blocks.append(block(in_channels, channels, stride, **options))
                in_channels = channels * block.expansion
            self.add_module(f"conv{stage}_x", nn.Sequential(*blocks))
            channels *= 2
        self.fc = nn.Linear(in_channels, classes)
        for part in self.modules():
            if isinstance(part, nn.Conv2d):
                nn.init.kaiming_normal_(part.weight, nonlinearity="relu")

    def forward(self, images):  # (N, 3, 224, 224)
        check_images(images, channels=3, smallest=32)
        x = F.relu(self.bn1(self.conv1(images)))  # (N, 64, 112, 112)
        x = self.conv2_x(self.pool(x))  # (N, 64, 56, 56), with bottleneck blocks 256 channels
        x = self.conv3_x(x)  # (N, 128, 28, 28), or 512
        x = self.conv4_x(x)  # (N, 256, 14, 14), or 1,024
        x = self.conv5_x(x)  # (N, 512, 7, 7), or 2,048
        return self.fc(torch.mean(x, dim=(2, 3)))  # (N, 1000)
