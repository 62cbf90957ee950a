"""A small AlexNet for digits, each of whose ingredients can be switched off: 91,062 parameters."""

from torch import nn

from cnnbook.models.alexnet import ResponseNorm
from cnnbook.models.alexnet_checks import check_small_alexnet
from cnnbook.models.checks import check_images


class SmallAlexNet(nn.Module):
    """The eight layers of `AlexNet`, with kernels in the same proportions, for pictures of 28×28.

    Input (N, 1, 28, 28), floating point, with mean 0 and deviation 1 over the training pictures.
    Output (N, 10), logits: use cross-entropy as the loss. A NaN in a pixel that is read (in
    28×28 all of them) gives NaN in its picture's outputs. torch raises RuntimeError for a larger
    picture whose last map is not 3×3.

    What differs from AlexNet: the first kernels are 4×4 with stride 2 and padding 2; no pooling
    comes behind the fifth convolution, whose maps are 3×3 already; and response normalization has
    alpha 0.6, which is the paper's 0.0001 in another unit: there a picture is in gray values, whose
    deviation is 79 for digits, and 0.0001 * 79² = 0.6. Weights begin with He's variance, with tanh
    with LeCun's; biases at 0.

    Parameters
    ----------
    width : int, at least 1, even for two towers or if halved
        3, 8, 12, 12 and 8 times `width` kernels, 32 times `width` units.
    towers : 1 or 2
        With 1, every kernel sees all channels.
    halved : bool
        Half the kernels in all convolutions but the last, with one tower: what the paper compares
        its two towers with.
    relu : bool
        False: tanh.
    response_norm, dropout : bool
        False: without.
    overlapping : bool
        Max pooling of 3×3 with stride 2; False: of 2×2, which gives maps of the same sizes.

    Raises
    ------
    ValueError
        An argument is not as above; in the forward pass, the pictures are smaller than 28, not of
        one channel, or no floats.

    Source: as of `AlexNet`.
    """

    def __init__(
        self,
        width=4,
        towers=2,
        halved=False,
        relu=True,
        response_norm=True,
        dropout=True,
        overlapping=True,
    ):
        super().__init__()
        width, towers, halved = check_small_alexnet(
            width,
            towers,
            halved,
            relu=relu,
            response_norm=response_norm,
            dropout=dropout,
            overlapping=overlapping,
        )
        few = width // 2 if halved else width
        self.conv1 = nn.Conv2d(1, 3 * few, 4, stride=2, padding=2)
        self.conv2 = nn.Conv2d(3 * few, 8 * few, 5, padding=2, groups=towers)
        self.conv3 = nn.Conv2d(8 * few, 12 * few, 3, padding=1)
        self.conv4 = nn.Conv2d(12 * few, 12 * few, 3, padding=1, groups=towers)
        self.conv5 = nn.Conv2d(12 * few, 8 * width, 3, padding=1, groups=towers)
        self.norm = ResponseNorm(towers, alpha=0.6) if response_norm else nn.Identity()
        self.pool = nn.MaxPool2d(3 if overlapping else 2, stride=2)
        self.dense6 = nn.Linear(8 * width * 3 * 3, 32 * width)
        self.dense7 = nn.Linear(32 * width, 32 * width)
        self.dense8 = nn.Linear(32 * width, 10)
        self.dropout = nn.Dropout(0.5) if dropout else nn.Identity()
        self.activation = nn.ReLU() if relu else nn.Tanh()
        for part in self.modules():
            if isinstance(part, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(part.weight, nonlinearity="relu" if relu else "linear")
                nn.init.zeros_(part.bias)

    def forward(self, images):  # (N, 1, 28, 28)
        check_images(images, channels=1, smallest=28)
        x = self.activation(self.conv1(images))  # (N, 12, 15, 15)
        x = self.pool(self.norm(x))  # (N, 12, 7, 7)
        x = self.activation(self.conv2(x))  # (N, 32, 7, 7)
        x = self.pool(self.norm(x))  # (N, 32, 3, 3)
        x = self.activation(self.conv3(x))  # (N, 48, 3, 3)
        x = self.activation(self.conv4(x))  # (N, 48, 3, 3)
        x = self.activation(self.conv5(x)).flatten(start_dim=1)  # (N, 288)
        x = self.dropout(self.activation(self.dense6(x)))  # (N, 128)
        x = self.dropout(self.activation(self.dense7(x)))  # (N, 128)
        return self.dense8(x)  # (N, 10)
