"""One page to look at predictions: gallery.html, which holds every picture and mask and fetches nothing.

It is written picture by picture: a thousand photographs never lie in memory. The page, its looks and its script are
gallery.html beside this file, in parts with $names to fill in:

    head   picture [layer [class ...] ...]   picture [...]   ...   foot       a layer: the truth, or what a network says
"""

import os
import re
from base64 import b64encode
from collections.abc import Iterable
from html import escape
from io import BytesIO
from pathlib import Path
from string import Template

import numpy as np
from PIL import Image

from .datasets.colours import is_background
from .datasets.pictures import IGNORE_LABEL, pixel_counts
from .figures import label_image
from .files import atomic_file
from .metrics import ConfusionMatrix

LONGEST = 900  # pixels of a picture's longer side on the page


def write(path: str | os.PathLike, entries: Iterable[tuple], classes: list[str], palette: np.ndarray) -> None:
    """Write a page of pictures under their masks, the worst first where the truth is known.

    An entry is a picture's name, the picture uint8 (H, W, 3), {title of a network: its labels uint8 (H, W)} of one or
    more, and the true labels (H, W) or None. The last network is shown at first, and decides what is worst. palette:
    uint8 (L, 3). Raises ValueError where labels do not fit the classes or the truth, and OSError, which names `path`,
    where the file could not be written.
    """
    page, count = _Page(classes, palette), 0
    with atomic_file(path) as file:
        file.write(page.fill("head", classes=page.listed(dict.fromkeys(range(len(classes)), ""))))
        for count, entry in enumerate(entries, 1):
            file.write(page.picture(count, *entry))
        file.write(page.fill("foot", count=f"{count} picture{'s' * (count != 1)}"))


class _Page:
    """The page's parts, and the classes that it shows."""

    def __init__(self, classes: list[str], palette: np.ndarray):
        whole = Path(__file__).with_suffix(".html").read_text("utf-8")
        self.parts = dict(re.findall(r"<!-- part: (\w+) -->\n(.*?)(?=<!-- part|\Z)", whole, re.DOTALL))
        self.palette, self.clear = palette, {IGNORE_LABEL, 0} if is_background(classes[0]) else {IGNORE_LABEL}
        self.names = dict(enumerate(classes)) | {IGNORE_LABEL: "void"}
        self.colours = dict(enumerate(map(tuple, palette.tolist()))) | dict.fromkeys(self.clear, (0, 0, 0, 0))

    def fill(self, part: str, **values) -> bytes:
        """A part with its names filled in: bytes are HTML already, all else is text, even no Unicode."""
        known = {name: x.decode() if isinstance(x, bytes) else escape(str(x)) for name, x in values.items()}
        return Template(self.parts[part]).substitute(known).encode("utf-8", "replace")

    def listed(self, shares: dict[int, str]) -> bytes:
        """Classes, each with its colour and its share."""
        known = [{"name": self.names[c], "colour": self.colours[c], "share": share} for c, share in shares.items()]
        return b"".join(self.fill("class", **row) for row in known)

    def picture(self, place: int, name: str, picture: np.ndarray, networks: dict, truth: np.ndarray | None) -> bytes:
        """A picture under its layers."""
        jaccard, layers = "", b"" if truth is None else self.layer(place, "truth", truth, "")
        for title, labels in networks.items():
            if truth is not None and (truth != IGNORE_LABEL).any():
                counts = ConfusionMatrix(len(self.palette))
                counts.update(truth, labels)
                jaccard = f"{100 * counts.jaccard():.1f} %"
            layers += self.layer(place, title, labels, jaccard)
        (H, W, _), address = picture.shape, _address(Image.fromarray(picture), "jpeg", quality=85)
        return self.fill("picture", name=name, jaccard=jaccard, shape=f"{W} / {H}", picture=address, layers=layers)

    def layer(self, place: int, title: str, labels: np.ndarray, jaccard: str) -> bytes:
        """Labels (H, W) as a mask, clear at void and background, and their classes, the largest first."""
        found = pixel_counts(labels)
        largest = np.argsort(-found, kind="stable")[: np.count_nonzero(found)]
        shares = {c: f"{100 * found[c] / labels.size:.1f} %" for c in largest}
        opaque = bytes(0 if c in self.clear else 255 for c in range(256))
        mask = _address(label_image(labels, self.palette), "png", transparency=opaque)
        jaccard = jaccard and f"Jaccard {jaccard}"
        return self.fill("layer", place=place, title=title, mask=mask, jaccard=jaccard, classes=self.listed(shares))


def _address(image: Image.Image, kind: str, **options) -> str:
    """An image, no larger than the page needs it, as an address that holds all of it."""
    scale, file = min(1, LONGEST / max(image.size)), BytesIO()
    size = [max(1, round(scale * side)) for side in image.size]
    image.resize(size).save(file, kind, **options)  # of an image with a palette Pillow takes the nearest pixels
    return f"data:image/{kind};base64,{b64encode(file.getvalue()).decode()}"
