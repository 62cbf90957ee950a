"""An autoencoder for digits: down to a few numbers by strides, and up again in one of four ways."""

import torch
from torch import nn
from torch.nn import functional as F

from cnnbook.checks import whole
from cnnbook.models.decoder_checks import check_codes, check_digits, check_upsampling

UPSAMPLINGS = ("transposed 3", "transposed 4", "resize", "subpixel")


def start_as_resize(convolution, factor):
    """Give all filters that a pixel shuffle puts into one channel equal weights, in place.

    The convolution and `nn.PixelShuffle(factor)` behind it then compute a convolution followed by
    a nearest-neighbor enlargement, until training moves the filters apart.

    Parameters
    ----------
    convolution : nn.Conv2d
        Has a multiple of `factor**2` output channels; their order is that of torch's pixel shuffle.
    factor : int, at least 1

    Raises
    ------
    ValueError
        If the output channels are no multiple of `factor**2`.

    Source: Aitken et al., "Checkerboard artifact free sub-pixel convolution" (2017),
    arXiv:1707.02937, which calls it ICNR.
    """
    count = whole("factor", factor, 1) ** 2
    if convolution.out_channels % count:
        raise ValueError(
            f"convolution had {convolution.out_channels} output channels; they must be a multiple "
            f"of factor squared, {count}"
        )
    with torch.no_grad():
        for parameter in convolution.parameters():
            parameter.copy_(parameter[::count].repeat_interleave(count, dim=0))


def doubler(upsampling, in_channels, out_channels):
    """Return a layer from (N, in_channels, H, W) to (N, out_channels, 2H, 2W).

    Parameters
    ----------
    upsampling : str
        "transposed 3" and "transposed 4": a transposed convolution of stride 2 with kernels of 3×3
        or of 4×4. "resize": each pixel becomes four, then a 3×3 convolution. "subpixel": a 3×3
        convolution to four times as many channels, which a pixel shuffle lays side by side; it
        starts as `start_as_resize` says.

    NaN in a pixel gives NaN in the outputs that it reaches.
    """
    check_upsampling(upsampling, UPSAMPLINGS)
    if upsampling == "transposed 3":
        return nn.ConvTranspose2d(in_channels, out_channels, 3, 2, padding=1, output_padding=1)
    if upsampling == "transposed 4":
        return nn.ConvTranspose2d(in_channels, out_channels, 4, 2, padding=1)
    if upsampling == "resize":
        convolution = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        return nn.Sequential(nn.Upsample(scale_factor=2), convolution)
    convolution = nn.Conv2d(in_channels, 4 * out_channels, 3, padding=1)
    start_as_resize(convolution, 2)
    return nn.Sequential(convolution, nn.PixelShuffle(2))


class Encoder(nn.Module):
    """Pictures to codes: two 3×3 convolutions of stride 2 and a dense layer.

    Input (N, 1, 28, 28), floats. Output (N, code). NaN in a pixel gives NaN in its picture's code.
    Arguments and errors as in `Autoencoder`.
    """

    def __init__(self, width=12, code=16):
        super().__init__()
        whole("width", width, 1)
        self.conv1 = nn.Conv2d(1, width, 3, stride=2, padding=1)
        self.conv2 = nn.Conv2d(width, 2 * width, 3, stride=2, padding=1)
        self.fc = nn.Linear(2 * width * 7 * 7, whole("code", code, 1))

    def forward(self, images):  # (N, 1, 28, 28)
        x = F.relu(self.conv1(check_digits(images)))  # (N, 12, 14, 14)
        x = F.relu(self.conv2(x))  # (N, 24, 7, 7)
        return self.fc(x.flatten(1))  # (N, 16)


class Decoder(nn.Module):
    """Codes to pictures: a dense layer, and two layers that double the sides.

    Input (N, code), floats. Output (N, 1, 28, 28), between 0 and 1. NaN in a code gives NaN in its
    whole picture. Arguments and errors as in `Autoencoder`.
    """

    def __init__(self, width=12, code=16, upsampling="transposed 4"):
        super().__init__()
        whole("width", width, 1)
        self.fc = nn.Linear(whole("code", code, 1), 2 * width * 7 * 7)
        self.up1 = doubler(upsampling, 2 * width, width)
        self.up2 = doubler(upsampling, width, 1)

    def forward(self, codes):  # (N, 16)
        x = F.relu(self.fc(check_codes(codes, self.fc.in_features)))
        x = x.unflatten(1, (-1, 7, 7))  # (N, 24, 7, 7)
        x = F.relu(self.up1(x))  # (N, 12, 14, 14)
        return torch.sigmoid(self.up2(x))  # (N, 1, 28, 28)


class Autoencoder(nn.Module):
    """Rebuild digits from `code` numbers each: `decoder(encoder(images))`.

    Input (N, 1, 28, 28), floats, gray values from 0 to 1. Output of the same shape, between 0
    and 1. NaN in a pixel gives NaN in its whole picture.

    Parameters
    ----------
    width : int
        Channels of the maps of 14×14; those of 7×7 have twice as many.
    code : int
        How many numbers stand for a picture.
    upsampling : str
        See `doubler`.

    Raises
    ------
    ValueError
        If an argument, a batch of pictures or a batch of codes is not as above.

    Source: the idea, Hinton and Salakhutdinov, "Reducing the dimensionality of data with neural
    networks" (2006), doi:10.1126/science.1127647; the layers are this course's.
    """

    def __init__(self, width=12, code=16, upsampling="transposed 4"):
        super().__init__()
        self.encoder = Encoder(width, code)
        self.decoder = Decoder(width, code, upsampling)

    def forward(self, images):
        return self.decoder(self.encoder(images))
