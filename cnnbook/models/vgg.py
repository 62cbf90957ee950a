"""VGG, the plain stack of 3×3 convolutions of 2014: 138,357,544 parameters with 16 layers."""

from collections import OrderedDict

from torch import nn

from cnnbook.checks import whole
from cnnbook.models.checks import check_images
from cnnbook.models.vgg_checks import check_hidden, check_layers, check_size

# How many convolutions stand before each of the five poolings, by the number of layers with
# weights: columns A, B, D and E of the paper's table 1.
STAGES = {
    11: (1, 1, 2, 2, 2),
    13: (2, 2, 2, 2, 2),
    16: (2, 2, 3, 3, 3),
    19: (2, 2, 4, 4, 4),
}


class VGG(nn.Module):
    """Stages of 3×3 convolutions, each ended by a 2×2 pooling, and a dense part.

    Input (N, channels, size, size), floating-point numbers; NaN in a pixel that is read gives NaN
    in all outputs of its picture. Output (N, classes), logits: use cross-entropy as the loss.
    Dropout makes outputs random in training mode.

    Layers are named as in the weights that the authors published: `stages.conv3_1` is the first
    convolution of the third stage; `dense.fc6` the first dense layer of a net of any depth.
    Weights are torch's defaults; the authors drew those of their 11-layer net from a normal
    distribution of variance 0.01 and began deeper ones with its weights.

    Parameters
    ----------
    layers : int
        With weights, 11, 13, 16 or 19; the paper's columns A, B, D and E.
    classes : int
    width : int
        Channels of the first stage. The others have 2, 4, 8 and 8 times as many.
    hidden : int or None
        Width of the dense layers fc6 and fc7. With None there are none: the last maps are averaged,
        and one dense layer, fc8, follows; the net has two layers fewer and takes any pictures from
        32×32.
    channels : int
        Of the pictures.
    size : int, at least 32
        Rows and columns of the pictures. Five poolings leave size // 32 of them.

    Raises
    ------
    ValueError
        If an argument is not as above, or pictures are too small, of other channels, or of whole
        numbers. torch raises RuntimeError for pictures whose last maps have another size.

    Source: Simonyan and Zisserman, "Very deep convolutional networks for large-scale image
    recognition" (2014), arXiv:1409.1556, section 2 and table 1.
    """

    def __init__(self, layers=16, classes=1000, width=64, hidden=4096, channels=3, size=224):
        super().__init__()
        layers, hidden, size = check_layers(layers, STAGES), check_hidden(hidden), check_size(size)
        classes, width = whole("classes", classes, 1), whole("width", width, 1)
        self.channels, self.smallest = whole("channels", channels, 1), size // 32 * 32
        maps, parts = self.channels, OrderedDict()
        for stage, (count, factor) in enumerate(zip(STAGES[layers], (1, 2, 4, 8, 8), strict=True)):
            for number in range(1, count + 1):
                name = f"{stage + 1}_{number}"
                parts[f"conv{name}"] = nn.Conv2d(maps, factor * width, 3, padding=1)
                parts[f"relu{name}"] = nn.ReLU()
                maps = factor * width
            parts[f"pool{stage + 1}"] = nn.MaxPool2d(2)
        self.stages = nn.Sequential(parts)
        if hidden is None:
            self.smallest = 32
            parts = [("average", nn.AdaptiveAvgPool2d(1)), ("flat", nn.Flatten())]
            parts += [("fc8", nn.Linear(maps, classes))]
        else:
            parts = [("flat", nn.Flatten()), ("fc6", nn.Linear(maps * (size // 32) ** 2, hidden))]
            parts += [("relu6", nn.ReLU()), ("drop6", nn.Dropout(0.5))]
            parts += [("fc7", nn.Linear(hidden, hidden)), ("relu7", nn.ReLU())]
            parts += [("drop7", nn.Dropout(0.5)), ("fc8", nn.Linear(hidden, classes))]
        self.dense = nn.Sequential(OrderedDict(parts))

    def forward(self, images):  # (N, 3, 224, 224)
        check_images(images, self.channels, self.smallest)
        x = self.stages(images)  # (N, 512, 7, 7)
        return self.dense(x)  # (N, 1000)
