"""GoogLeNet, the network of Inception modules of 2014: 6,998,552 parameters without its heads."""

import torch
from torch import nn
from torch.nn import functional as F

from cnnbook.checks import whole
from cnnbook.models.checks import check_images, check_switch
from cnnbook.models.googlenet_checks import check_head, check_module, check_width

# The paper's table 1: of each module the number of filters 1×1, of 1×1 before the 3×3, of 3×3, of
# 1×1 before the 5×5, of 5×5, and of 1×1 behind the pooling.
WIDTHS = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}


class Inception(nn.Module):
    """Four branches over the same maps, put one behind the other along the channel axis.

    Input (N, in_channels, H, W), output (N, one + three + five + pooled, H, W). ReLU follows every
    convolution. NaN in an input gives NaN in all maps, wherever the branch's window reaches it.
    torch raises RuntimeError for maps of other channels.

    Parameters
    ----------
    in_channels : int
    widths : six of int, in the order of the paper's table
        Filters 1×1, 1×1 before the 3×3, 3×3, 1×1 before the 5×5, 5×5, and 1×1 behind the pooling.

    Raises
    ------
    ValueError
        If an argument is not as above.

    Source: Szegedy and others, "Going deeper with convolutions" (2014), arXiv:1409.4842, section 4
    and figure 2(b).
    """

    def __init__(self, in_channels, widths):
        super().__init__()
        in_channels, widths = check_module(in_channels, widths)
        one, before_three, three, before_five, five, pooled = widths
        self.out_channels = one + three + five + pooled
        self.one = nn.Conv2d(in_channels, one, 1)
        self.before_three = nn.Conv2d(in_channels, before_three, 1)
        self.three = nn.Conv2d(before_three, three, 3, padding=1)
        self.before_five = nn.Conv2d(in_channels, before_five, 1)
        self.five = nn.Conv2d(before_five, five, 5, padding=2)
        self.pool = nn.MaxPool2d(3, stride=1, padding=1)
        self.behind_pool = nn.Conv2d(in_channels, pooled, 1)

    def forward(self, maps):  # (N, in_channels, H, W)
        branches = (
            F.relu(self.one(maps)),
            F.relu(self.three(F.relu(self.before_three(maps)))),
            F.relu(self.five(F.relu(self.before_five(maps)))),
            F.relu(self.behind_pool(self.pool(maps))),
        )
        return torch.cat(branches, dim=1)  # (N, out_channels, H, W)


class AuxiliaryHead(nn.Module):
    """A small classifier for maps from the middle of a network, used in training only.

    Input (N, in_channels, H, W) of which the pooling makes 4×4; output (N, classes), logits. NaN
    in a map gives NaN in all outputs of its picture if the pooling reads it. In training mode
    dropout makes outputs random. torch raises RuntimeError for maps that do not become 4×4.

    Parameters
    ----------
    in_channels, channels, hidden, classes : int
        Channels of the maps, filters 1×1, width of the first dense layer, number of classes.
    window, stride : int
        Of the average pooling. The defaults make 4×4 of 14×14.

    Raises
    ------
    ValueError
        If an argument is not as above.

    Source: Szegedy and others (2014), section 5: 128 filters and 1,024 units.
    """

    def __init__(self, in_channels, channels, hidden, classes, window=5, stride=3):
        super().__init__()
        check_head(in_channels, channels, hidden, classes, window, stride)
        self.pool = nn.AvgPool2d(window, stride)
        self.conv = nn.Conv2d(in_channels, channels, 1)
        self.dense1 = nn.Linear(channels * 4 * 4, hidden)
        self.dropout = nn.Dropout(0.7)
        self.dense2 = nn.Linear(hidden, classes)

    def forward(self, maps):  # (N, in_channels, 14, 14)
        x = F.relu(self.conv(self.pool(maps)))  # (N, channels, 4, 4)
        x = F.relu(self.dense1(x.flatten(start_dim=1)))  # (N, hidden)
        return self.dense2(self.dropout(x))  # (N, classes)


def loss_with_heads(outputs, labels, weight=0.3):
    """Return the cross-entropy of the first of several logits plus `weight` times the others'.

    Parameters
    ----------
    outputs : sequence of tensors (N, classes)
        Of the network's end and then of its heads, as `with_heads` returns them.
    labels : tensor (N,) of int64
    weight : float

    Source: Szegedy and others (2014), section 5.
    """
    main, *heads = (F.cross_entropy(logits, labels) for logits in outputs)
    return main + weight * sum(heads)


class GoogLeNet(nn.Module):
    """A stem of three convolutions, nine Inception modules and one dense layer.

    Input (N, 3, H, W), floating-point numbers; 224×224 in the paper, at least 31×31. Output (N,
    classes), logits: use cross-entropy as the loss. NaN in a pixel gives NaN in all outputs of its
    picture. `with_heads` gives the heads' logits too, for training. Dropout, before the dense
    layer and in the heads, makes outputs random in training mode.

    Poolings round their sizes up (`ceil_mode`), without which 112 rows would become 55. The paper
    names local response normalization without its constants: AlexNet's are taken. Weights are
    torch's defaults.

    Parameters
    ----------
    classes : int
    heads : bool
        Whether there are auxiliary heads, on the maps of 4a and of 4d.
    width : int, a multiple of 8
        Filters of the first convolution, 64 in the paper; all other layers keep their share.

    Raises
    ------
    ValueError
        If an argument is not as above, or pictures are too small, of other channels, or of whole
        numbers. torch raises RuntimeError where a head meets maps of another size: heads take
        pictures of 223 to 270 rows and columns.

    Source: Szegedy and others, "Going deeper with convolutions" (2014), arXiv:1409.4842, table 1.
    """

    def __init__(self, classes=1000, heads=True, width=64):
        super().__init__()
        classes, width = whole("classes", classes, 1), check_width(width)
        self.conv1 = nn.Conv2d(3, width, 7, stride=2, padding=3)
        self.conv2_reduce = nn.Conv2d(width, width, 1)
        self.conv2 = nn.Conv2d(width, 3 * width, 3, padding=1)
        self.norm = nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0)  # torch divides α by 5
        self.pool = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        modules, channels = {}, 3 * width
        for name, widths in WIDTHS.items():
            modules[name] = Inception(channels, [number * width // 64 for number in widths])
            channels = modules[name].out_channels
        self.inception = nn.ModuleDict(modules)
        self.dropout = nn.Dropout(0.4)
        self.linear = nn.Linear(channels, classes)
        places = ("4a", "4d") if check_switch("heads", heads) else ()
        sizes = 2 * width, 16 * width, classes
        self.heads = nn.ModuleDict(
            {place: AuxiliaryHead(modules[place].out_channels, *sizes) for place in places}
        )

    def maps(self, images):
        """Return a dict of what the stem, each module and each pooling between them give."""
        found = {"conv1": F.relu(self.conv1(images))}  # (N, 64, 112, 112)
        found["pool1"] = x = self.pool(found["conv1"])  # (N, 64, 56, 56)
        x = F.relu(self.conv2(F.relu(self.conv2_reduce(self.norm(x)))))
        found["conv2"] = x  # (N, 192, 56, 56)
        found["pool2"] = x = self.pool(self.norm(x))  # (N, 192, 28, 28)
        for name, module in self.inception.items():
            found[name] = x = module(x)
            if name in ("3b", "4e"):
                found[f"pool{name[0]}"] = x = self.pool(x)  # (N, 480, 14, 14), (N, 832, 7, 7)
        return found

    def forward(self, images):  # (N, 3, 224, 224)
        check_images(images, 3, 31)
        return self._classify(self.maps(images))  # (N, 1000)

    def with_heads(self, images):
        """Return a tuple of logits (N, classes): of the end, and of each head."""
        check_images(images, 3, 223 if self.heads else 31)
        maps = self.maps(images)
        return self._classify(maps), *(head(maps[place]) for place, head in self.heads.items())

    def _classify(self, maps):
        x = maps["5b"].mean(dim=(2, 3))  # (N, 1024)
        return self.linear(self.dropout(x))
