"""AlexNet, the network of 2012 with two towers: 60,965,224 parameters."""

from torch import nn
from torch.nn import functional as F

from cnnbook.models.alexnet_checks import check_alexnet, check_response_norm
from cnnbook.models.checks import check_images


class ResponseNorm(nn.Module):
    """Local response normalization: divide by what five neighboring channels give together.

    Each number a becomes a / (2 + alpha * s) ** 0.75, where s is the sum of the squares at the
    same place in its own channel and in up to two channels on either side. Nothing is learned.
    torch's `LocalResponseNorm` divides alpha by the number of channels in the sum: its alpha is
    five times this one.

    Input and output (N, C, H, W), floating point. A NaN gives NaN at its place in its channel and
    in the two on either side of it. torch raises RuntimeError if `towers` does not divide C.

    Parameters
    ----------
    towers : 1 or 2
        With 2, the channels are two shares that do not see each other.
    alpha : float, above 0
        It goes with the unit of the numbers: for numbers s times as large, divide it by s².

    Raises
    ------
    ValueError
        An argument is not as above.

    Source: Krizhevsky, Sutskever and Hinton, ImageNet classification with deep convolutional neural
    networks (2012), section 3.3, where alpha is 0.0001.
    """

    def __init__(self, towers=1, alpha=1e-4):
        super().__init__()
        self.towers, self.alpha = check_response_norm(towers, alpha)

    def forward(self, maps):  # (N, C, H, W)
        maps = maps.unflatten(1, (self.towers, -1))  # (N, towers, C / towers, H, W)
        channels = maps.shape[2]
        squares = F.pad(maps.square(), (0, 0, 0, 0, 2, 2))  # two channels of zeros on either side
        near = sum(squares[:, :, first : first + channels] for first in range(5))
        return (maps / (2 + self.alpha * near) ** 0.75).flatten(1, 2)


class AlexNet(nn.Module):
    """Five convolutions and three dense layers; in two towers, as trained on two GPUs.

    Input (N, 3, 227, 227), floating point: colors with the mean of the training pictures
    subtracted. Output (N, classes), logits: use cross-entropy as the loss. A NaN in a pixel gives
    NaN in its picture's outputs. (Pictures of up to 258 rows and columns are taken too, though not
    every pixel of theirs is read; for larger ones torch raises RuntimeError.)

    The paper says 224 rows and columns, which its other sizes contradict, and no paddings; these
    follow from its sizes. Its dropout multiplies by 0.5 in the test instead of by 2 in training,
    which is the same function of other weights. Its weights begin otherwise than torch's, which
    are used here (section 5).

    Parameters
    ----------
    classes : int, at least 1
    width : int, at least 1, even for two towers
        The layers have 3, 8, 12, 12 and 8 times `width` kernels and 128 times `width` units; 32 in
        the paper.
    towers : 1 or 2
        With 1, every kernel sees all channels, and the network has 62,378,344 parameters.

    Raises
    ------
    ValueError
        An argument is not as above; in the forward pass, the pictures are smaller than 227, not in
        three colors, or no floats.

    Source: Krizhevsky, Sutskever and Hinton, ImageNet classification with deep convolutional neural
    networks (2012), section 3.5, figure 2 and section 4.2.
    """

    def __init__(self, classes=1000, width=32, towers=2):
        super().__init__()
        classes, width, towers = check_alexnet(classes, width, towers)
        self.conv1 = nn.Conv2d(3, 3 * width, 11, stride=4)
        self.conv2 = nn.Conv2d(3 * width, 8 * width, 5, padding=2, groups=towers)
        self.conv3 = nn.Conv2d(8 * width, 12 * width, 3, padding=1)
        self.conv4 = nn.Conv2d(12 * width, 12 * width, 3, padding=1, groups=towers)
        self.conv5 = nn.Conv2d(12 * width, 8 * width, 3, padding=1, groups=towers)
        self.norm, self.pool = ResponseNorm(towers), nn.MaxPool2d(3, stride=2)
        self.dense6 = nn.Linear(8 * width * 6 * 6, 128 * width)
        self.dense7 = nn.Linear(128 * width, 128 * width)
        self.dense8 = nn.Linear(128 * width, classes)
        self.dropout = nn.Dropout(0.5)

    def forward(self, images):  # (N, 3, 227, 227)
        check_images(images, channels=3, smallest=227)
        x = self.pool(self.norm(F.relu(self.conv1(images))))  # (N, 96, 55, 55), (N, 96, 27, 27)
        x = self.pool(self.norm(F.relu(self.conv2(x))))  # (N, 256, 27, 27), (N, 256, 13, 13)
        x = F.relu(self.conv3(x))  # (N, 384, 13, 13)
        x = F.relu(self.conv4(x))  # (N, 384, 13, 13)
        x = self.pool(F.relu(self.conv5(x)))  # (N, 256, 13, 13), (N, 256, 6, 6)
        x = self.dropout(F.relu(self.dense6(x.flatten(start_dim=1))))  # (N, 4096)
        x = self.dropout(F.relu(self.dense7(x)))  # (N, 4096)
        return self.dense8(x)  # (N, 1000)
