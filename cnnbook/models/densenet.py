"""DenseNet: every layer of a block reads the maps of all layers before it."""

import torch
from torch import nn
from torch.nn import functional as F

from cnnbook.checks import whole
from cnnbook.models.checks import check_images, check_switch
from cnnbook.models.stages_checks import check_depths


class DenseLayer(nn.Module):
    """Batch norm, ReLU, 1×1; batch norm, ReLU, 3×3: `growth` new maps, put behind the old ones.

    Input (N, channels, H, W), output (N, channels + growth, H, W). Source: section 3.
    """

    def __init__(self, channels, growth):
        super().__init__()
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, 4 * growth, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(4 * growth)
        self.conv2 = nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False)

    def forward(self, maps):
        new = self.conv1(F.relu(self.norm1(maps)))
        new = self.conv2(F.relu(self.norm2(new)))
        return torch.cat([maps, new], dim=1)


class Transition(nn.Sequential):
    """Between two blocks: half as many channels, half as many rows and columns."""

    def __init__(self, channels):
        super().__init__(
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels // 2, 1, bias=False),
            nn.AvgPool2d(2),
        )


class DenseNet(nn.Module):
    """DenseNet-BC; as it stands DenseNet-121, of 7,978,856 parameters.

    Input (N, channels, H, W), floats, H and W at least 32 (at least `2 ** (blocks - 1)` with
    `small_pictures`). Output (N, classes), logits. In evaluation mode a NaN in a picture that is
    read gives NaN in its outputs; in training mode in those of the whole mini-batch.

    Parameters
    ----------
    layers : sequence of int
        How many layers each dense block has.
    growth : int
        How many maps each layer adds.
    width : int
        Maps that the first block gets, at least 2.
    channels, classes : int
        Of the pictures, and of the answers.
    small_pictures : bool
        Begin with one 3×3 convolution of stride 1, as the paper does for pictures of 32×32,
        instead of a 7×7 convolution of stride 2 and max pooling.

    Raises
    ------
    ValueError
        If an argument, or a batch of pictures, is not as above.

    Source: Huang, Liu, van der Maaten and Weinberger, "Densely connected convolutional networks"
    (2017), section 3 and table 1.
    """

    def __init__(
        self,
        layers=(6, 12, 24, 16),
        growth=32,
        width=64,
        channels=3,
        classes=1000,
        small_pictures=False,
    ):
        super().__init__()
        layers, growth = check_depths("layers", layers), whole("growth", growth, 1)
        width, classes = whole("width", width, 2), whole("classes", classes, 1)
        self.channels = whole("channels", channels, 1)
        if check_switch("small_pictures", small_pictures):
            self.smallest = 2 ** (len(layers) - 1)
            self.stem = nn.Conv2d(channels, width, 3, padding=1, bias=False)
        else:
            self.smallest = 2 ** (len(layers) + 1)
            self.stem = nn.Sequential(
                nn.Conv2d(channels, width, 7, stride=2, padding=3, bias=False),
                *(nn.BatchNorm2d(width), nn.ReLU(), nn.MaxPool2d(3, stride=2, padding=1)),
            )
        self.blocks = nn.Sequential()
        for place, count in enumerate(layers, start=1):
            block = [DenseLayer(width + layer * growth, growth) for layer in range(count)]
            width += count * growth
            self.blocks.add_module(f"dense{place}", nn.Sequential(*block))
            if place < len(layers):
                self.blocks.add_module(f"transition{place}", Transition(width))
                width //= 2
        self.norm = nn.BatchNorm2d(width)
        self.classifier = nn.Linear(width, classes)

    def forward(self, images):  # (N, 3, 224, 224)
        x = self.stem(check_images(images, self.channels, self.smallest))  # (N, 64, 56, 56)
        x = F.relu(self.norm(self.blocks(x)))  # (N, 1024, 7, 7)
        return self.classifier(x.mean(dim=(2, 3)))  # (N, 1000)
