"""ConvNeXt: a residual network with the habits of vision transformers, without their attention."""

import torch
from torch import nn

from cnnbook.checks import whole
from cnnbook.models.checks import check_images
from cnnbook.models.stages_checks import check_depths, check_scale


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of each place by itself: (N, C, H, W) to (N, C, H, W).

    NaN makes all channels of its place NaN.
    """

    def __init__(self, channels):
        super().__init__(channels, eps=1e-6)

    def forward(self, maps):
        return super().forward(maps.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class ConvNeXtBlock(nn.Module):
    """Depthwise 7×7, norm, 1×1 to four times the channels, GELU, 1×1 back; scaled and added.

    Input and output (N, channels, H, W). NaN spreads three places far, to all channels. Source:
    section 2.6 and figure 4; the scale, from Touvron and others (2021), in appendix A.
    """

    def __init__(self, channels, scale):
        super().__init__()
        self.residual = nn.Sequential(
            nn.Conv2d(channels, channels, 7, padding=3, groups=channels),
            ChannelNorm(channels),
            nn.Conv2d(channels, 4 * channels, 1),
            nn.GELU(),
            nn.Conv2d(4 * channels, channels, 1),
        )
        self.scale = nn.Parameter(torch.full((channels, 1, 1), check_scale(scale)))

    def forward(self, maps):
        return maps + self.scale * self.residual(maps)


class ConvNeXt(nn.Module):
    """As it stands ConvNeXt-T, of 28,589,128 parameters.

    Input (N, channels, H, W), floats, H and W at least `patch * 2 ** (stages - 1)`. Output
    (N, classes), logits. Rows and columns that are left over when the picture is cut into patches
    are not read. NaN in a pixel of its last maps' fields gives NaN in its picture's outputs, and in
    no other's: layer norm looks at one picture only, in training as in evaluation.

    Parameters
    ----------
    layers : sequence of int
        How many blocks each stage has.
    width : int
        Channels of the first stage; each stage after it has twice as many.
    patch : int
        Rows, columns and stride of the first convolution.
    scale : float
        What the numbers that the residuals are multiplied by begin with.
    channels, classes : int
        Of the pictures, and of the answers.

    Raises
    ------
    ValueError
        If an argument, or a batch of pictures, is not as above.

    Source: Liu, Mao, Wu, Feichtenhofer, Darrell and Xie, "A ConvNet for the 2020s" (2022), section
    2 and table 9. The random depth of its training is left out; weights begin as torch draws them.
    """

    def __init__(
        self, layers=(3, 3, 9, 3), width=96, patch=4, scale=1e-6, channels=3, classes=1000
    ):
        super().__init__()
        layers, width = check_depths("layers", layers), whole("width", width, 1)
        self.channels, classes = whole("channels", channels, 1), whole("classes", classes, 1)
        self.smallest = whole("patch", patch, 1) * 2 ** (len(layers) - 1)
        self.stages = nn.Sequential()
        for stage, count in enumerate(layers):
            outputs = width * 2**stage
            if stage == 0:
                start = [nn.Conv2d(channels, width, patch, stride=patch), ChannelNorm(width)]
            else:
                start = [ChannelNorm(outputs // 2), nn.Conv2d(outputs // 2, outputs, 2, stride=2)]
            blocks = (ConvNeXtBlock(outputs, scale) for _ in range(count))
            self.stages.append(nn.Sequential(*start, *blocks))
        self.norm = nn.LayerNorm(outputs, eps=1e-6)
        self.classifier = nn.Linear(outputs, classes)

    def forward(self, images):  # (N, 3, 224, 224)
        x = self.stages(check_images(images, self.channels, self.smallest))  # (N, 768, 7, 7)
        return self.classifier(self.norm(x.mean(dim=(2, 3))))  # (N, 1000)
