"""Residual networks of 6n + 2 layers for small pictures, and plain ones to compare them with."""

import torch
from torch import nn
from torch.nn import functional as F

from cnnbook.checks import whole
from cnnbook.models.checks import check_images, check_switch
from cnnbook.models.resnet import make_shortcut
from cnnbook.models.resnet_checks import check_choice, check_depth


class SmallBlock(nn.Module):
    """Two 3×3 convolutions; the last four arguments are those of `SmallResNet`.

    Input (N, in_channels, H, W). Output (N, channels, height, width), height being H divided by
    `stride` and rounded up, width likewise. With `preactivation`, a projection reads the input
    after batch norm and ReLU, as the convolutions do; a shortcut without parameters reads the
    input itself. NaN and torch's errors as in `BasicBlock`.

    Source: He et al. (2015), figure 2; with `preactivation`, He et al. (2016), figure 1b.
    """

    def __init__(
        self,
        in_channels,
        channels,
        stride=1,
        residual=True,
        normalization=True,
        preactivation=False,
        shortcut="A",
    ):
        super().__init__()
        norm, bias = (nn.BatchNorm2d, False) if normalization else (nn.Identity, True)
        self.preactivation = preactivation
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, padding=1, bias=bias)
        self.bn1 = norm(in_channels if preactivation else channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=bias)
        self.bn2 = norm(channels)
        self.shortcut = make_shortcut(shortcut, in_channels, channels, stride) if residual else None
        if isinstance(self.shortcut, nn.Sequential) and (preactivation or not normalization):
            self.shortcut = self.shortcut[0]  # the projection without batch norm

    def forward(self, x):
        if self.preactivation:
            active = F.relu(self.bn1(x))
            y = self.conv2(F.relu(self.bn2(self.conv1(active))))
            x = active if isinstance(self.shortcut, nn.Conv2d) else x
        else:
            y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.shortcut is not None:
            y = self.shortcut(x) + y
        return y if self.preactivation else F.relu(y)


class SmallResNet(nn.Module):
    """Three stages of n blocks, 6n + 2 layers with weights; switches make the plain network of it.

    Input (N, in_channels, H, W), at least 4×4, floating-point numbers. Output (N, classes),
    logits. The second and the third stage halve the sides, rounded up, and double the channels.
    In evaluation mode NaN in a pixel gives NaN in its picture's outputs; in training mode, with
    batch norm, in those of the whole mini-batch, and in the running statistics. First weights of
    convolutions by the rule of He, their biases 0.

    Parameters
    ----------
    depth : int
        8, 14, 20, ...: 6n + 2.
    width : int
        Channels of the first stage; 16 in the paper.
    residual : bool
        False: no shortcuts, a plain network.
    normalization : bool
        False: no batch norm. The convolutions then have biases, except projections.
    preactivation : bool
        Batch norm and ReLU stand before each convolution of a block instead of behind it, and
        once more behind the last block. Where the paper activates the first convolution's
        result once for both roads, here the first shortcut carries it as it is.
    shortcut : "A", "B" or "C"
        See `cnnbook.models.resnet.make_shortcut`. A, the paper's choice here, has no parameters.
    in_channels, classes : int

    Raises
    ------
    ValueError
        If an argument is not as above; in `forward`, if the pictures are not. From torch, in
        training mode with batch norm, for a single picture of 4×4.

    Source: He, Zhang, Ren and Sun, "Deep residual learning for image recognition" (2015),
    arXiv:1512.03385, section 4.2; `preactivation` by the same authors, "Identity mappings in
    deep residual networks" (2016), arXiv:1603.05027, section 4.
    """

    def __init__(
        self,
        depth=20,
        width=16,
        residual=True,
        normalization=True,
        preactivation=False,
        shortcut="A",
        in_channels=1,
        classes=10,
    ):
        super().__init__()
        count = check_depth(depth)
        whole("width", width, 1)
        check_switch("residual", residual)
        check_switch("normalization", normalization)
        check_switch("preactivation", preactivation)
        check_choice("shortcut", shortcut, ("A", "B", "C"))
        self.in_channels = whole("in_channels", in_channels, 1)
        options = (residual, normalization, preactivation, shortcut)

        self.preactivation = preactivation
        self.conv1 = nn.Conv2d(in_channels, width, 3, padding=1, bias=not normalization)
        norm = nn.BatchNorm2d if normalization else nn.Identity
        self.bn = norm(4 * width if preactivation else width)
        before = width
        for stage, channels in enumerate((width, 2 * width, 4 * width), start=1):
            first = SmallBlock(before, channels, 1 if stage == 1 else 2, *options)
            others = (SmallBlock(channels, channels, 1, *options) for _ in range(count - 1))
            self.add_module(f"stage{stage}", nn.Sequential(first, *others))
            before = channels
        self.fc = nn.Linear(4 * width, whole("classes", classes, 1))
        for part in self.modules():
            if isinstance(part, nn.Conv2d):
                nn.init.kaiming_normal_(part.weight, nonlinearity="relu")
                if part.bias is not None:
                    nn.init.zeros_(part.bias)

    def forward(self, images):  # (N, 1, 28, 28)
        check_images(images, self.in_channels, smallest=4)
        x = self.conv1(images)  # (N, 16, 28, 28)
        if not self.preactivation:
            x = F.relu(self.bn(x))
        x = self.stage3(self.stage2(self.stage1(x)))  # (N, 16, 28, 28), 32 × 14², 64 × 7²
        if self.preactivation:
            x = F.relu(self.bn(x))
        return self.fc(torch.mean(x, dim=(2, 3)))  # (N, 10)
