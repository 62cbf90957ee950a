"""A small network of seven Inception modules for digits: 66,866 parameters without its heads."""

from torch import nn
from torch.nn import functional as F

from cnnbook.checks import whole
from cnnbook.models.checks import check_images, check_switch
from cnnbook.models.googlenet import AuxiliaryHead, Inception


class SmallInception(nn.Module):
    """One convolution, seven Inception modules of equal widths, one dense layer.

    Input (N, 1, H, W), floating-point numbers; 28×28, or any from 4×4. Output (N, classes), logits:
    use cross-entropy as the loss. NaN in a pixel gives NaN in all outputs of its picture.
    `with_heads` gives the heads' logits too, for training; they take pictures of 28 to 31 rows and
    columns, and torch raises RuntimeError for larger ones. In the heads dropout makes outputs
    random in training mode. Fifteen convolutions lie on the longest way from a pixel to the dense
    layer. Weights are torch's defaults.

    Parameters
    ----------
    classes : int
    heads : bool
        Whether there are auxiliary heads, on the maps of 4a and of 4d as in GoogLeNet.
    width : int
        Of a branch's last layer: each module gives 8 times as many maps.

    Raises
    ------
    ValueError
        If an argument is not as above, or pictures are too small, of other channels, or of whole
        numbers.

    Source: the course's own, after Szegedy and others (2014), arXiv:1409.4842, figure 3.
    """

    def __init__(self, classes=10, heads=True, width=8):
        super().__init__()
        classes, width = whole("classes", classes, 1), whole("width", width, 1)
        check_switch("heads", heads)
        self.stem = nn.Conv2d(1, 8 * width, 3, padding=1)
        self.pool = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        widths = (2 * width, 2 * width, 4 * width, width, width, width)
        names = ("3a", "3b", "4a", "4b", "4c", "4d", "4e")
        self.inception = nn.ModuleDict({name: Inception(8 * width, widths) for name in names})
        self.linear = nn.Linear(8 * width, classes)
        sizes = 8 * width, 2 * width, 4 * width, classes
        places = ("4a", "4d") if heads else ()
        self.heads = nn.ModuleDict(
            {place: AuxiliaryHead(*sizes, window=4, stride=1) for place in places}
        )

    def maps(self, images):
        """Return a dict of what the stem, each module and each pooling give."""
        found = {"stem": F.relu(self.stem(images))}  # (N, 64, 28, 28)
        found["pool2"] = x = self.pool(found["stem"])  # (N, 64, 14, 14)
        for name, module in self.inception.items():
            found[name] = x = module(x)
            if name == "3b":
                found["pool3"] = x = self.pool(x)  # (N, 64, 7, 7)
        return found

    def forward(self, images):  # (N, 1, 28, 28)
        check_images(images, 1, 4)
        return self.linear(self.maps(images)["4e"].mean(dim=(2, 3)))  # (N, 10)

    def with_heads(self, images):
        """Return a tuple of logits (N, classes): of the end, and of each head."""
        check_images(images, 1, 28 if self.heads else 4)
        maps = self.maps(images)
        logits = self.linear(maps["4e"].mean(dim=(2, 3)))
        return logits, *(head(maps[place]) for place, head in self.heads.items())
