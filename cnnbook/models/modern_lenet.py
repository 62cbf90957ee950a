"""LeNet as it is written today: 61,706 parameters."""

from torch import nn
from torch.nn import functional as F

from cnnbook.checks import whole
from cnnbook.models.lenet5_checks import check_one_digit


class ModernLeNet(nn.Module):
    """LeNet-5 with ReLU, max pooling, all kernels of the second convolution, and a linear output.

    Input (N, 1, 32, 32), output (N, 10), logits: use cross-entropy as the loss. NaN in a pixel
    gives NaN in its picture's outputs.

    Parameters
    ----------
    width : int, at least 1
        By how much the numbers of maps and of hidden units, 6, 16, 120 and 84, are multiplied.

    Raises
    ------
    ValueError
        If `width`, or a picture, is not as described.

    Source: widths and sizes of LeCun, Bottou, Bengio and Haffner, "Gradient-based learning applied
    to document recognition" (1998), section II.B, with the layers that are usual now.
    """

    def __init__(self, width=1):
        super().__init__()
        width = whole("width", width, 1)
        self.conv1 = nn.Conv2d(1, 6 * width, 5)
        self.conv2 = nn.Conv2d(6 * width, 16 * width, 5)
        self.dense1 = nn.Linear(16 * width * 5 * 5, 120 * width)
        self.dense2 = nn.Linear(120 * width, 84 * width)
        self.dense3 = nn.Linear(84 * width, 10)

    def forward(self, images):  # (N, 1, 32, 32)
        check_one_digit(images)
        x = F.max_pool2d(F.relu(self.conv1(images)), 2)  # (N, 6, 14, 14)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)  # (N, 16, 5, 5)
        x = F.relu(self.dense1(x.flatten(start_dim=1)))  # (N, 120)
        x = F.relu(self.dense2(x))  # (N, 84)
        return self.dense3(x)  # (N, 10)
