"""Three convolutions and two dense layers: 93,322 parameters."""

from torch import nn
from torch.nn import functional as F

from cnnbook.models.checks import check_switch


class ThreeConvNet(nn.Module):
    """Three convolutions of 32, 64 and 64 filters, two poolings between, two dense layers.

    Input (N, 1, 28, 28), any floating-point numbers; NaN in a pixel that is read (without pooling
    all, with pooling the first 26 rows and columns) gives NaN in its picture's outputs. Output
    (N, 10), logits: use cross-entropy as the loss. torch raises RuntimeError for a picture whose
    last map has another size.

    Parameters
    ----------
    pooling : bool
        Without pooling the last map is 22×22 instead of 3×3, and the network has 2,038,922
        parameters.

    Raises
    ------
    ValueError
        If `pooling` is neither True nor False.

    Source: slides on section 5.1 of a book about Keras (in Japanese), whose network ends in a
    softmax. The slides show the network without pooling up to its last convolution.
    """

    def __init__(self, pooling=True):
        super().__init__()
        between = nn.MaxPool2d if check_switch("pooling", pooling) else nn.Identity
        side = 3 if pooling else 22
        self.convolutions = nn.Sequential(
            *(nn.Conv2d(1, 32, kernel_size=3), nn.ReLU(), between(2)),
            *(nn.Conv2d(32, 64, kernel_size=3), nn.ReLU(), between(2)),
            *(nn.Conv2d(64, 64, kernel_size=3), nn.ReLU()),
        )
        self.dense1 = nn.Linear(64 * side * side, 64)
        self.dense2 = nn.Linear(64, 10)

    def forward(self, images):  # (N, 1, 28, 28)
        x = self.convolutions(images)  # (N, 64, 3, 3), without pooling (N, 64, 22, 22)
        x = F.relu(self.dense1(x.flatten(start_dim=1)))  # (N, 64)
        return self.dense2(x)  # (N, 10)
