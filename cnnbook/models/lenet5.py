"""LeNet-5, faithful to its paper: 60,000 trainable parameters and 840 fixed ones.

Source of everything here: LeCun, Bottou, Bengio and Haffner, "Gradient-based learning applied to
document recognition" (1998), doi:10.1109/5.726791, sections II.B and II.C and appendix A. Ours are
the drawings of the ten digits, the constant `RUBBISH`, and the first weights: torch's defaults, and
subsampling that begins as a mean.
"""

import torch
from torch import nn
from torch.nn import functional as F

from cnnbook.checks import whole
from cnnbook.models.checks import check_images
from cnnbook.models.lenet5_checks import (
    check_choices,
    check_digits,
    check_one_digit,
    check_rubbish,
    check_table,
)

# Table I of the paper: for each of the 16 maps of C3 the maps of S2 that it reads.
C3_TABLE = (
    *((0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 4, 5), (0, 1, 5)),
    *((0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (0, 3, 4, 5), (0, 1, 4, 5), (0, 1, 2, 5)),
    *((0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5)),
    (0, 1, 2, 3, 4, 5),
)

# Beyond this squared distance to all codes `map_loss` calls a picture no digit. The middle between
# the two nearest codes, of the 3 and the 8, is so far from both.
RUBBISH = 10.0

DRAWINGS = """
.#####. ...#... .#####. .#####. ....##. ####### ..####. ####### .#####. .#####.
##...## ..##... ##...## ##...## ...#.#. #...... .##.... ......# ##...## ##...##
#.....# .###... ......# ......# ..##.#. #...... ##..... .....## #.....# #.....#
#.....# ...#... ......# ......# ..#..#. #...... #...... .....#. #.....# #.....#
#.....# ...#... .....## .....## .##..#. #.####. #...... .....#. ##...## #.....#
#.....# ...#... ....##. ..####. .#...#. ##...## #.####. ....##. .#####. ##...##
#.....# ...#... ...##.. .....## ##...#. ......# ##...## ....#.. ##...## .####.#
#.....# ...#... ..##... ......# ####### ......# #.....# ....#.. #.....# ......#
#.....# ...#... .##.... ......# .....#. ......# #.....# ...##.. #.....# ......#
#.....# ...#... ##..... ......# .....#. ......# #.....# ...#... #.....# .....##
##...## ...#... #...... ##...## .....#. ##...## ##...## ...#... ##...## ....##.
.#####. .#####. ####### .#####. .....#. .#####. .#####. ...#... .#####. .####..
"""


def frame_digits(images):
    """Return digits as LeNet-5 reads them: two white pixels more on each side; -0.1 to 1.175.

    Parameters
    ----------
    images : torch.Tensor, shape (N, 1, 28, 28), floats from 0 (paper) to 1 (ink)
        As `load_mnist(scale=True, tensors=True)` gives them. NaN stays NaN.

    Returns
    -------
    torch.Tensor, shape (N, 1, 32, 32)

    Raises
    ------
    ValueError
        If `images` are not as described.
    """
    return 1.275 * F.pad(check_digits(images), (2, 2, 2, 2)) - 0.1


class ScaledTanh(nn.Module):
    """1.7159 tanh(2a/3), of any tensor: 1 becomes 1, and -1 becomes -1. NaN stays NaN."""

    def forward(self, sums):
        return 1.7159 * torch.tanh(2 / 3 * sums)


class Subsampling(nn.Module):
    """The sum of each 2×2 block times the map's gain plus the map's bias; both are trained.

    Input (N, channels, H, W), output (N, channels, H // 2, W // 2): an odd last row or column is
    left out. NaN in a block gives NaN there. The gains begin at 1/4 (a mean), the biases at 0.
    ValueError if `channels` is no whole number of at least 1. torch raises RuntimeError for another
    number of channels or a map of one row or column.

    Source: section II.B, where the four inputs are added. Section II.A takes their mean: the same
    function with four times the gain.
    """

    def __init__(self, channels):
        super().__init__()
        channels = whole("channels", channels, 1)
        self.gain = nn.Parameter(torch.full((channels, 1, 1), 0.25))
        self.bias = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, maps):  # (N, channels, H, W)
        sums = F.avg_pool2d(maps, 2, divisor_override=1)  # (N, channels, H // 2, W // 2)
        return self.gain * sums + self.bias


class SparseConv2d(nn.Module):
    """A convolution whose output maps read only some of the input maps, without padding.

    Input (N, in_channels, H, W), output (N, len(table), H - kernel_size + 1, W - kernel_size + 1).
    NaN in an input map reaches the output maps that read it, and, since the maps that are not read
    are multiplied by 0, the others as well. torch raises RuntimeError for a map that is too small.

    Parameters
    ----------
    in_channels : int
    table : sequence of sequences of int
        For each output map the input maps that it reads, counted from 0.
    kernel_size : int

    Raises
    ------
    ValueError
        If an argument is not as described.

    Source: section II.B, table I.
    """

    def __init__(self, in_channels, table, kernel_size):
        super().__init__()
        table, kernel_size = check_table(table, in_channels), whole("kernel_size", kernel_size, 1)
        pairs = [(out, read) for out, row in enumerate(table) for read in row]
        self.register_buffer("pairs", torch.tensor(pairs).T, persistent=False)  # (2, kernels)
        self.shape = (len(table), in_channels, kernel_size, kernel_size)
        bound = (kernel_size**2 * torch.tensor([len(row) for row in table])).rsqrt()
        kernels = torch.empty(len(pairs), kernel_size, kernel_size).uniform_(-1, 1)
        self.kernels = nn.Parameter(bound[self.pairs[0], None, None] * kernels)
        self.bias = nn.Parameter(bound * torch.empty(len(table)).uniform_(-1, 1))

    def forward(self, maps):  # (N, in_channels, H, W)
        weights = self.kernels.new_zeros(self.shape)
        weights[*self.pairs] = self.kernels
        return F.conv2d(maps, weights, self.bias)


def digit_codes():
    """Return what F6 is to answer to each digit, a drawing of 7×12 pixels, shape (10, 84).

    Ink is +1, paper -1. The drawings are ours; the paper's are those of all printable characters.
    """
    rows = [row.split() for row in DRAWINGS.split("\n") if row]  # 12 rows of 10 times 7 pixels
    drawings = ["".join(parts) for parts in zip(*rows, strict=True)]
    return torch.tensor([[1.0 if dot == "#" else -1.0 for dot in text] for text in drawings])


class DistanceOutput(nn.Module):
    """Minus the squared distance of a vector to each of some fixed codes: the RBF output.

    Input (..., length), output (..., len(codes)), at most 0: the nearest code has the highest
    score. The codes are a buffer; they are saved with the network and not trained. NaN in a vector
    gives NaN in all its scores. torch raises RuntimeError for vectors of another length.

    Source: section II.B, equation 7, where the sign is the other one.
    """

    def __init__(self, codes):
        super().__init__()
        self.register_buffer("codes", codes)  # (classes, length)

    def forward(self, vectors):  # (..., length)
        return -(vectors[..., None, :] - self.codes).square().sum(-1)


def map_loss(scores, labels, rubbish=RUBBISH):
    """Return the paper's MAP loss: cross-entropy with one more class, "no digit", never right.

    Parameters
    ----------
    scores : torch.Tensor, shape (N, classes)
        Minus the squared distances, as `LeNet5` returns them.
    labels : torch.Tensor, shape (N,), int64
    rubbish : float, at least 0
        The distance of the class "no digit", called j in the paper, which gives no value.
        Infinity leaves the class out.

    Returns
    -------
    torch.Tensor, shape ()
        The mean over the N pictures. A NaN score makes it NaN.

    Raises
    ------
    ValueError
        If `rubbish` is not as described. torch raises for wrong scores or labels.

    Source: section II.C, equation 9.
    """
    no_digit = scores.new_full((len(scores), 1), -check_rubbish(rubbish))
    return F.cross_entropy(torch.cat([scores, no_digit], dim=1), labels)


class LeNet5(nn.Module):
    """LeNet-5 of 1998, and between it and today's LeNet, four switches.

    Input (N, 1, 32, 32), output (N, 10): the highest score is the answer. Train on digits from
    `frame_digits`, with `map_loss` for the RBF output, with cross-entropy for the linear one. NaN
    in a pixel gives NaN in its picture's scores. The widths are fixed by the table of C3 and the
    drawings of the output.

    Parameters
    ----------
    activation : "tanh" or "relu"
        After C1, S2, C3, S4, C5 and F6, but not after max pooling. With the RBF output F6 keeps
        its tanh: no ReLU answers -1.
    pooling : "subsampling" or "max"
    c3 : "sparse" or "dense"
        The 60 kernels of `C3_TABLE`, or all 96.
    output : "rbf" or "linear"

    Raises
    ------
    ValueError
        If an argument, or a picture, is not as described.

    Source: section II.B.
    """

    def __init__(self, activation="tanh", pooling="subsampling", c3="sparse", output="rbf"):
        super().__init__()
        check_choices(activation, pooling, c3, output)
        squash = ScaledTanh() if activation == "tanh" else nn.ReLU()

        def halve(channels):
            if pooling == "max":
                return nn.MaxPool2d(2)
            return nn.Sequential(Subsampling(channels), squash)

        self.c1 = nn.Sequential(nn.Conv2d(1, 6, 5), squash)
        self.s2 = halve(6)
        sixteen = SparseConv2d(6, C3_TABLE, 5) if c3 == "sparse" else nn.Conv2d(6, 16, 5)
        self.c3 = nn.Sequential(sixteen, squash)
        self.s4 = halve(16)
        self.c5 = nn.Sequential(nn.Conv2d(16, 120, 5), squash)
        self.f6 = nn.Sequential(nn.Linear(120, 84), ScaledTanh() if output == "rbf" else squash)
        self.output = DistanceOutput(digit_codes()) if output == "rbf" else nn.Linear(84, 10)

    def slide(self, images):
        """Return the scores of every window of 32×32 pixels, four pixels apart.

        Input (N, 1, H, W) with H and W at least 32, output
        (N, 10, (H - 32) // 4 + 1, (W - 32) // 4 + 1); up to 3 last rows and columns are left out.
        """
        x = self.s2(self.c1(check_images(images, 1, 32)))  # (N, 6, (H - 4) // 2, (W - 4) // 2)
        x = self.c5(self.s4(self.c3(x)))  # (N, 120, rows, columns)
        x = self.f6(x.movedim(1, -1))  # (N, rows, columns, 84)
        return self.output(x).movedim(-1, 1)  # (N, 10, rows, columns)

    def forward(self, images):  # (N, 1, 32, 32)
        return self.slide(check_one_digit(images))[:, :, 0, 0]  # (N, 10)
