"""One wide convolution and one dense layer: 217,610 parameters."""

from torch import nn
from torch.nn import functional as F

from cnnbook.checks import whole


class OneConvNet(nn.Module):
    """One convolution of 128 filters, one pooling, one dense layer.

    Input (N, 1, 28, 28), any floating-point numbers; NaN in a pixel that is read (all of them if
    `kernel_size` is odd) gives NaN in its picture's outputs. Output (N, 10), logits: use
    cross-entropy as the loss. torch raises RuntimeError for a picture whose pooled maps have
    another size.

    Parameters
    ----------
    kernel_size : int
        Rows and columns of each filter, 1 to 27: the map that a filter gives must have room for
        one pooling window. With 4 the network has 186,506 parameters.

    Raises
    ------
    ValueError
        If `kernel_size` is not as above.

    Source: a blog post of a company (in Japanese, cites a page of November 2018), section 6. Its
    text has filters of 3×3, its code filters of 4×4 and a softmax at the end.
    """

    def __init__(self, kernel_size=3):
        super().__init__()
        side = (28 - whole("kernel_size", kernel_size, 1, 27) + 1) // 2
        self.conv = nn.Conv2d(1, 128, kernel_size)
        self.pool = nn.MaxPool2d(2)
        self.dense = nn.Linear(128 * side * side, 10)

    def forward(self, images):  # (N, 1, 28, 28)
        x = F.relu(self.conv(images))  # (N, 128, 26, 26)
        x = self.pool(x)  # (N, 128, 13, 13)
        return self.dense(x.flatten(start_dim=1))  # (N, 10)
