"""What is in a weight file: python -m minifcn.inspect_weights FILE

Prints its format, the preprocessing that belongs to it, and each array: its name, shape and type in the file, and where
it goes in minifcn, or why nowhere. Nothing in the file is run.
"""

import math

from .command import command_line, command_parser
from .errors import printable
from .weights import open_weights
from .weights.weight_file import WeightFile, itemsize, plain


def describe(path, file: WeightFile) -> str:
    """Return four lines about a weight file, then a line for each array."""
    rows, size = [("in the file", "shape", "type", "in minifcn")], 0
    for array in file.arrays:
        x = array.stored
        there = f"{plain(array.name)} {by_x(array.shape)}" if array.name else f"skipped: {array.why}"
        rows.append((plain(x.name), by_x(x.shape), x.dtype, there))
        size += math.prod(x.shape) * itemsize(x.dtype)
    preprocessing = file.preprocessing.describe() if file.preprocessing else "not said"
    head = f"{printable(path)}: {file.format}\npreprocessing: {preprocessing}\nclasses: "
    head += f"{', '.join(map(plain, file.classes or [])) or 'not said'}\n{len(rows) - 1} arrays, {size / 1e6:.1f} MB\n"
    name, shape, dtype, _ = (max(map(len, column)) for column in zip(*rows, strict=True))
    return "\n".join([head, *(f"{a:<{name}}  {b:<{shape}}  {c:<{dtype}}  {d}" for a, b, c, d in rows)])


def by_x(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "one number"


def main(argv=None) -> None:
    parser = command_parser("inspect_weights", "FILE", "Print what is in a weight file, and where it goes in minifcn.")
    parser.add_argument("file", metavar="FILE", help="a checkpoint, .pth, .safetensors, .mat or .caffemodel")
    path = parser.parse_args(argv).file
    print(describe(path, open_weights(path)))


if __name__ == "__main__":
    command_line(main)
