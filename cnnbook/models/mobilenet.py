"""MobileNet of 2017: depthwise and pointwise convolutions in turns."""

from torch import nn

from cnnbook.checks import whole
from cnnbook.models.checks import check_images
from cnnbook.models.stages_checks import check_blocks

# Table 1 of the paper, each pair of a depthwise and a pointwise convolution a row: output channels
# as a multiple of the first layer's, and the stride. The last stride is 2 in the paper, where the
# sizes beside it say 1.
TABLE_1 = ((2, 1), (4, 2), (4, 1), (8, 2), (8, 1), (16, 2), *5 * ((16, 1),), (32, 2), (32, 1))


class SeparableConv(nn.Sequential):
    """A depthwise 3×3 and a pointwise 1×1 convolution, each with batch norm and ReLU.

    Input (N, in_channels, H, W), output (N, out_channels, H / stride, W / stride), rounded up.
    NaN spreads as in a 3×3 convolution, in training mode to the whole mini-batch. Source: section
    3.1, figure 3.
    """

    def __init__(self, in_channels, out_channels, stride=1):
        super().__init__(
            nn.Conv2d(in_channels, in_channels, 3, stride, 1, groups=in_channels, bias=False),
            *(nn.BatchNorm2d(in_channels), nn.ReLU()),
            nn.Conv2d(in_channels, out_channels, 1, bias=False),
            *(nn.BatchNorm2d(out_channels), nn.ReLU()),
        )


class MobileNet(nn.Module):
    """As it stands MobileNetV1 of full width, of 4,231,976 parameters.

    Input (N, channels, H, W), floats of any size. Output (N, classes), logits. In evaluation mode
    NaN in a pixel gives NaN in its picture's outputs; in training mode in those of the whole
    mini-batch.

    Parameters
    ----------
    width : int
        Channels of the first layer; the paper's narrower networks have 24, 16 and 8 instead of 32.
    blocks : sequence of (multiple, stride)
        Output channels of each separable convolution, in widths, and its stride.
    stride : int
        Of the first layer.
    channels, classes : int
        Of the pictures, and of the answers.

    Raises
    ------
    ValueError
        If an argument, or a batch of pictures, is not as above.

    Source: Howard and others, "MobileNets: efficient convolutional neural networks for mobile
    vision applications" (2017), table 1.
    """

    def __init__(self, width=32, blocks=TABLE_1, stride=2, channels=3, classes=1000):
        super().__init__()
        width, stride = whole("width", width, 1), whole("stride", stride, 1)
        self.channels, classes = whole("channels", channels, 1), whole("classes", classes, 1)
        self.stem = nn.Sequential(
            nn.Conv2d(channels, width, 3, stride, padding=1, bias=False),
            *(nn.BatchNorm2d(width), nn.ReLU()),
        )
        self.blocks, inputs = nn.Sequential(), width
        for multiple, stride in check_blocks("blocks", blocks):
            self.blocks.append(SeparableConv(inputs, multiple * width, stride))
            inputs = multiple * width
        self.classifier = nn.Linear(inputs, classes)

    def forward(self, images):  # (N, 3, 224, 224)
        x = self.stem(check_images(images, self.channels, 1))  # (N, 32, 112, 112)
        x = self.blocks(x)  # (N, 1024, 7, 7)
        return self.classifier(x.mean(dim=(2, 3)))  # (N, 1000)
