"""Draw what the course is recognized by: `python -m web.brand`.

The mark, a C of pixels with a kernel's window at its end, serves as logo and icon: its tones stand
out on light and dark alike. The card is what other sites show when somebody shares a page. The
cover is drawn by its own module.
"""

from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.patches import Rectangle

from cnnbook import figures
from web import cover

LOGO = Path(__file__).with_name("logo.svg")
CARD = Path(__file__).with_name("card.png")

# A C on four by four pixels, in a picture of 32.
PIXELS = ("·##·", "#···", "#···", "·###")
PITCH, PIXEL, MARGIN = 7.5, 5.5, 2
WINDOW = (16, 16, 15)  # left, top, size
# Between the two palettes: at least 3 to 1 on white and on the dark paper.
STROKE, FIELD, FRAME = "#2478bd", "#858d97", "#d9600a"

TITLE = "Convolutional Neural Networks,\nby Hand and by Code"
LINE = "An open course: runnable chapters, graded problem sets"
CARD_SIZE = (1200, 630)


def pixels():
    """Yield left, top and whether the stroke covers it, for each pixel of the mark."""
    for row, line in enumerate(PIXELS):
        for column, sign in enumerate(line):
            yield MARGIN + PITCH * column, MARGIN + PITCH * row, sign == "#"


def logo():
    """Return the mark as SVG."""
    squares = "\n".join(
        f'<rect x="{left}" y="{top}" width="{PIXEL}" height="{PIXEL}" rx="1" '
        + (f'fill="{STROKE}"/>' if on else f'fill="{FIELD}" fill-opacity=".35"/>')
        for left, top, on in pixels()
    )
    left, top, size = WINDOW
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32" width="32" height="32">\n'
        f"{squares}\n"
        f'<rect x="{left}" y="{top}" width="{size}" height="{size}" rx="1.5" fill="none" '
        f'stroke="{FRAME}" stroke-width="2"/>\n</svg>\n'
    )


def draw_mark(axes):
    """Draw the mark with Matplotlib, for the card."""
    for left, top, on in pixels():
        color, alpha = (STROKE, 1) if on else (FIELD, 0.35)
        axes.add_patch(Rectangle((left, top), PIXEL, PIXEL, color=color, alpha=alpha, lw=0))
    left, top, size = WINDOW
    axes.add_patch(Rectangle((left, top), size, size, fill=False, ec=FRAME, lw=5))
    axes.set(xlim=(0, 32), ylim=(32, 0), aspect="equal")
    axes.axis("off")


def card():
    """Return the social card as a figure of 1200 by 630 pixels."""
    figures.use_style()
    figure = plt.figure(figsize=[side / 100 for side in CARD_SIZE], dpi=100, layout="none")
    draw_mark(figure.add_axes((0.05, 0.74, 0.1, 0.19)))
    figure.text(0.18, 0.835, TITLE, fontsize=34, weight="bold", va="center", linespacing=1.3)
    figure.text(0.05, 0.66, LINE, fontsize=22, color=figures.GRAY, va="center")
    image, (title, kernel) = cover.load_digit(), next(iter(cover.KERNELS.items()))
    digit, weights, response = (
        figure.add_axes(place)
        for place in ((0.05, 0.06, 0.3, 0.5), (0.41, 0.15, 0.19, 0.32), (0.68, 0.06, 0.27, 0.5))
    )
    cover.draw_digit(digit, image, 17)
    cover.draw_kernel(weights, kernel, title, 17)
    cover.draw_response(response, image, kernel, 17)
    cover.connect(figure, digit, weights, response, width=2.5)
    return figure


def save(logo_path=LOGO, card_path=CARD, cover_path=cover.PATH):
    """Draw all pictures of the brand."""
    logo_path.write_text(logo(), encoding="utf-8")
    card().savefig(card_path, dpi=100, metadata={"Software": None})
    plt.close()
    cover.save(cover_path)


if __name__ == "__main__":
    save()
