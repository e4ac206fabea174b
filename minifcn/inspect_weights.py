"""What is in a weight file: python -m minifcn.inspect_weights FILE

Prints its format, the preprocessing that belongs to it, and each array: its name, shape and type in the file, and where
it goes in minifcn, or why nowhere. Nothing in the file is run.
"""

import argparse
from collections.abc import Sequence

from .command import command_line
from .weights import open_weights
from .weights.weight_file import Array, WeightFile, plain


def describe(path, file: WeightFile) -> str:
    """Return four lines about a weight file, then a line for each array."""
    size = sum(array.stored.nbytes for array in file.arrays)
    rows = [("in the file", "shape", "type", "in minifcn"), *map(row, file.arrays)]
    widths = [max(len(cells[i]) for cells in rows) for i in range(3)]
    lines = [
        f"{path}: {file.format}",
        f"preprocessing: {file.preprocessing.describe() if file.preprocessing else 'not said'}",
        f"classes: {', '.join(map(plain, file.classes)) if file.classes else 'not said'}",
        f"{len(file.arrays)} arrays, {size / 1e6:.1f} MB",
        "",
        *("  ".join([*map(str.ljust, cells, widths), cells[3]]) for cells in rows),
    ]
    return "\n".join(lines)


def row(array: Array) -> tuple[str, str, str, str]:
    """Return the cells of the table: name, shape and type in the file, place in minifcn."""
    stored = array.stored
    there = f"{plain(array.name)} {by_x(array.shape)}" if array.name else f"skipped: {array.why}"
    return plain(stored.name), by_x(stored.shape), stored.dtype, there


def by_x(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "one number"


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m minifcn.inspect_weights",
        description="Print what is in a weight file, and where it would go in minifcn.",
        epilog="Reads checkpoints of minifcn, VGG-16 of torchvision (.pth, .safetensors), FCNs of pytorch-fcn, "
        "and imagenet-vgg-verydeep-16.mat of MatConvNet; which it is, the content says. Exit status: 2 for others.",
    )
    parser.add_argument("file", metavar="FILE", help="a weight file")
    path = parser.parse_args(argv).file
    print(describe(path, open_weights(path)))


if __name__ == "__main__":
    command_line(main)
