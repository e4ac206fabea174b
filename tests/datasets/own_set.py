"""Small sets of one's own, written file by file: what the tests of labels, classes and layouts share."""

import numpy as np
from PIL import Image

from minifcn.check_data import main
from minifcn.datasets import open_dataset


def make(root, labels, classes="background\nobject\n", extension="jpg"):
    """Write {name: label image or array} with pictures of their sizes, all in train but for names that start with v."""
    for folder in ("images", "labels"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    (root / "classes.txt").write_text(classes)
    for name, image in labels.items():
        image = image if isinstance(image, Image.Image) else Image.fromarray(np.array(image, np.uint8))
        image.save(root / "labels" / f"{name}.png")
        Image.new("RGB", image.size, "teal").save(root / "images" / f"{name}.{extension}")
    for split, chosen in (("train", False), ("val", True)):
        names = [name for name in labels if name.startswith("v") == chosen]
        (root / f"{split}.txt").write_text("".join(f"{name}\n" for name in names))
        if not names:
            (root / f"{split}.txt").unlink()
    return root


def paletted(indices, colours):
    image = Image.fromarray(np.array(indices, np.uint8), "P")
    image.putpalette([value for colour in colours for value in colour])
    return image


def checked(capsys, root, *options):
    """check_data's exit status and output."""
    status = main([str(root), *options])
    return status, capsys.readouterr().out


def read(root, split="train"):
    """{name: labels as lists} of a split."""
    data = open_dataset(root, split)
    return {name: data[i][1].tolist() for i, name in enumerate(data.names)}
