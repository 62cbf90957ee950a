"""The smallest network of the course: 7,175 parameters."""

from torch import nn
from torch.nn import functional as F


class SmallNet(nn.Module):
    """Two convolutions of two and three filters, one pooling, two dense layers.

    Input (N, 1, 28, 28), any floating-point numbers; NaN in a picture gives NaN in its outputs.
    Output (N, 10), log-probabilities: use NLL as the loss. torch raises RuntimeError for a
    picture of another shape.

    Source: slides "Convolutional neural networks" of a university lab course (in Japanese).
    """

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 2, kernel_size=3)
        self.conv2 = nn.Conv2d(2, 3, kernel_size=3)
        self.pool = nn.MaxPool2d(2)
        self.dense1 = nn.Linear(3 * 12 * 12, 16)
        self.dense2 = nn.Linear(16, 10)

    def forward(self, images):  # (N,  1, 28, 28)
        x = F.relu(self.conv1(images))  # (N,  2, 26, 26)
        x = F.relu(self.conv2(x))  # (N,  3, 24, 24)
        x = self.pool(x)  # (N,  3, 12, 12)
        x = x.flatten(start_dim=1)  # (N, 432)
        x = F.relu(self.dense1(x))  # (N, 16)
        x = self.dense2(x)  # (N, 10)
        return F.log_softmax(x, dim=1)
