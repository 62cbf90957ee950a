"""Shifts, turns and flips of pictures, for training on more than was collected.

The chapter "Regularization and normalization" introduces what this module holds. The functions move
each picture of a batch by its own amount; the modules draw the amounts anew in each forward pass,
from torch's global random numbers, which `fit` seeds, and in training mode only. As the first
module of a model they need no change of the training.
"""

import torch
from torch import nn
from torch.nn import functional as F

from cnnbook.augmentation_checks import (
    check_flip,
    check_flip_module,
    check_shift,
    check_shift_module,
    check_turn,
    check_turn_module,
)


def shift_images(images, down, right, fill=0.0):
    """Shift each picture by whole pixels; what leaves the frame is lost.

    Parameters
    ----------
    images : torch.Tensor, shape (N, C, H, W), floating point, not empty
    down, right : torch.Tensor, shape (N,), whole numbers
        In pixels; negative numbers shift up and left.
    fill : float
        What comes in at the other side: the value of the background.

    Returns
    -------
    torch.Tensor of the shape and type of images
        A NaN moves with its pixel.

    Raises
    ------
    ValueError
        An argument is not as above.

    Source: Simard, Steinkraus and Platt, Best practices for convolutional neural networks applied
    to visual document analysis (2003), section 2.
    """
    down, right, fill = check_shift(images, down, right, fill)
    count, _, height, width = images.shape
    room = int(torch.cat([down, right]).abs().max())
    framed = F.pad(images, 4 * (room,), value=fill)
    rows = torch.arange(height, device=images.device) + room - down[:, None]  # (N, H)
    columns = torch.arange(width, device=images.device) + room - right[:, None]  # (N, W)
    examples = torch.arange(count, device=images.device)[:, None, None]
    moved = framed[examples, :, rows[:, :, None], columns[:, None, :]]  # (N, H, W, C)
    return moved.permute(0, 3, 1, 2).contiguous()


def turn_images(images, degrees, fill=0.0):
    """Turn each picture about its middle, with bilinear interpolation.

    Parameters
    ----------
    images : torch.Tensor, shape (N, C, H, W), floating point, not empty
    degrees : torch.Tensor, shape (N,), real numbers
        Counterclockwise.
    fill : float
        What comes in at the corners: the value of the background.

    Returns
    -------
    torch.Tensor of the shape and type of images
        A NaN reaches the pixels that are interpolated between it and others; an angle of NaN is
        refused.

    Raises
    ------
    ValueError
        An argument is not as above.

    Source: Simard, Steinkraus and Platt, Best practices for convolutional neural networks applied
    to visual document analysis (2003), section 2.
    """
    degrees, fill = check_turn(images, degrees, fill)
    height, width = images.shape[2:]
    cosine, sine = torch.cos(torch.deg2rad(degrees)), torch.sin(torch.deg2rad(degrees))
    zero = torch.zeros_like(degrees)
    across = torch.stack([cosine, -sine * height / width, zero], dim=1)
    along = torch.stack([sine * width / height, cosine, zero], dim=1)
    maps = torch.stack([across, along], dim=1)  # (N, 2, 3), from new places to old ones
    places = F.affine_grid(maps, images.shape, align_corners=False)  # (N, H, W, 2)
    return F.grid_sample(images - fill, places, align_corners=False) + fill


def flip_images(images, chosen, direction="horizontal"):
    """Mirror the chosen pictures.

    Parameters
    ----------
    images : torch.Tensor, shape (N, C, H, W), floating point, not empty
    chosen : torch.Tensor, shape (N,), bool
    direction : "horizontal" or "vertical"
        "horizontal" exchanges left and right, "vertical" top and bottom.

    Returns
    -------
    torch.Tensor of the shape and type of images
        A NaN moves with its pixel.

    Raises
    ------
    ValueError
        An argument is not as above.

    Source: Krizhevsky, Sutskever and Hinton, ImageNet classification with deep convolutional neural
    networks (2012), section 4.1.
    """
    check_flip(images, chosen, direction)
    mirrored = images.flip(3 if direction == "horizontal" else 2)
    return torch.where(chosen[:, None, None, None], mirrored, images)


class RandomShift(nn.Module):
    """In training mode, shift each picture by a random number of pixels; NaN moves along.

    Parameters
    ----------
    most : int, at least 0
        The largest shift in pixels, in each of the four directions; all shifts are equally likely.
    fill : float
        As in `shift_images`.

    Raises
    ------
    ValueError
        An argument is not as above; in the forward pass, the pictures are not as there.
    """

    def __init__(self, most, fill=0.0):
        super().__init__()
        self.most, self.fill = check_shift_module(most, fill)

    def forward(self, images):  # (N, C, H, W)
        if not self.training:
            return images
        drawn = torch.randint(-self.most, self.most + 1, (2, len(images)), device=images.device)
        return shift_images(images, *drawn, self.fill)


class RandomTurn(nn.Module):
    """In training mode, turn each picture by a random angle; NaN as in `turn_images`.

    Parameters
    ----------
    most : float, 0 to 180
        The largest angle in degrees, in both directions; all angles are equally likely.
    fill : float
        As in `turn_images`.

    Raises
    ------
    ValueError
        An argument is not as above; in the forward pass, the pictures are not as there.
    """

    def __init__(self, most, fill=0.0):
        super().__init__()
        self.most, self.fill = check_turn_module(most, fill)

    def forward(self, images):  # (N, C, H, W)
        if not self.training:
            return images
        share = 2 * torch.rand(len(images), device=images.device) - 1
        return turn_images(images, self.most * share, self.fill)


class RandomFlip(nn.Module):
    """In training mode, mirror each picture with some probability; NaN moves along.

    Parameters
    ----------
    direction : "horizontal" or "vertical"
        As in `flip_images`.
    share : float, 0 to 1
        The probability.

    Raises
    ------
    ValueError
        An argument is not as above; in the forward pass, the pictures are not as there.
    """

    def __init__(self, direction="horizontal", share=0.5):
        super().__init__()
        self.direction, self.share = check_flip_module(direction, share)

    def forward(self, images):  # (N, C, H, W)
        if not self.training:
            return images
        chosen = torch.rand(len(images), device=images.device) < self.share
        return flip_images(images, chosen, self.direction)
