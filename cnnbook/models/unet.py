"""U-Net: down to a coarse map of what there is, and up again to where it is."""

import torch
from torch import nn
from torch.nn import functional as F

from cnnbook.checks import whole
from cnnbook.models.checks import check_images, check_switch
from cnnbook.models.stages_checks import check_sides


class DoubleConv(nn.Sequential):
    """Two 3×3 convolutions with biases, each with ReLU; without padding 4 rows and columns less."""

    def __init__(self, in_channels, out_channels, padding):
        padding = 1 if padding else 0
        super().__init__(
            *(nn.Conv2d(in_channels, out_channels, 3, padding=padding), nn.ReLU()),
            *(nn.Conv2d(out_channels, out_channels, 3, padding=padding), nn.ReLU()),
        )


class UNet(nn.Module):
    """As it stands the network of 2015: 572×572 pixels give 388×388 answers, 31,030,658 parameters.

    Input (N, channels, H, W), floats. Output (N, classes, height, width), logits of each pixel;
    cross-entropy with labels (N, height, width) is the loss. H and W must be `smallest`, or more by
    a multiple of `2 ** levels`, so that every pooling halves an even number. With padding every
    pixel is answered; without, those in the middle: height is `H - 12 * 2**levels + 8`. NaN in a
    pixel gives NaN in all answers whose field holds it.

    Parameters
    ----------
    width : int
        Channels of the first level; each level below has twice as many.
    levels : int
        How often the picture is halved.
    padding : bool
        Whether convolutions are padded with zeros to keep the size.
    skips : bool
        Whether a level on the way up reads the maps of the same level on the way down.
    channels, classes : int
        Of the pictures, and of the answers.

    Attributes
    ----------
    smallest : int
        The least height and width: `2**levels` with padding, else `12 * 2**levels - 4`.

    Raises
    ------
    ValueError
        If an argument, or a batch of pictures, is not as above.

    Source: Ronneberger, Fischer and Brox, "U-Net: convolutional networks for biomedical image
    segmentation" (2015), section 2 and figure 1; its dropout at the lowest level is left out.
    Kernels of convolutions begin with deviations of sqrt(2 / fan-in), as its section 3 says.
    """

    def __init__(self, width=64, levels=4, padding=False, skips=True, channels=1, classes=2):
        super().__init__()
        width, self.levels = whole("width", width, 1), whole("levels", levels, 1)
        self.channels, classes = whole("channels", channels, 1), whole("classes", classes, 1)
        self.padding, self.skips = check_switch("padding", padding), check_switch("skips", skips)
        self.smallest = 2**levels if padding else 12 * 2**levels - 4
        self.down, self.up, self.join = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        inputs = channels
        for level in range(levels + 1):
            self.down.append(DoubleConv(inputs, width * 2**level, padding))
            inputs = width * 2**level
        for level in reversed(range(levels)):
            outputs = width * 2**level
            self.up.append(nn.ConvTranspose2d(inputs, outputs, 2, stride=2))
            self.join.append(DoubleConv(2 * outputs if skips else outputs, outputs, padding))
            inputs = outputs
        self.answer = nn.Conv2d(inputs, classes, 1)
        for part in self.modules():
            if isinstance(part, nn.Conv2d):
                nn.init.kaiming_normal_(part.weight)

    def forward(self, images):  # (N, 1, 572, 572)
        check_images(images, self.channels, self.smallest)
        x, kept = check_sides(images, self.smallest, 2**self.levels), []
        for level, convolutions in enumerate(self.down):
            x = convolutions(F.max_pool2d(x, 2) if level else x)
            kept.append(x)  # (N, 64, 568, 568), (N, 128, 280, 280), ... (N, 1024, 28, 28)
        for enlarge, join, left in zip(self.up, self.join, reversed(kept[:-1]), strict=True):
            x = enlarge(x)  # (N, 512, 56, 56), ...
            x = join(torch.cat([crop(left, x.shape[2:]), x], dim=1) if self.skips else x)
        return self.answer(x)  # (N, 2, 388, 388)


def crop(maps, size):
    """Return the middle of maps (N, C, H, W), of `size` (height, width), no larger than they are.

    An odd difference leaves out one row or column more after the middle than before it.
    """
    top, left = ((large - small) // 2 for large, small in zip(maps.shape[2:], size, strict=True))
    return maps[:, :, top : top + size[0], left : left + size[1]]
