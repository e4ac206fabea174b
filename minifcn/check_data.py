"""Check a data set before training on it: open every picture and every label file, and count what is in them.

    python -m minifcn.check_data DATA

names what cannot be used, with its values, equal faults of many files in one line, and prints for each split the number
of pictures, their sizes, each class's share of the labelled pixels, in how many pictures it occurs, and the share of
void. A class that occurs in no training picture is a fault, too, but with --allow-absent. The exit status is 0 if all
is well, 1 if anything is bad, 2 if DATA is no data set.
"""

import itertools

import numpy as np

from .command import command_line, command_parser
from .datasets import list_splits, open_dataset
from .datasets.survey import Survey, notes
from .errors import InputError, say


def table(surveys: list[Survey]) -> str:
    """Lay the surveys out: a line for each split, then a line for each class."""
    lines = [f"{'split':10}{'pictures':>10}{'bad':>6}  sizes (height x width)"]
    for s in surveys:
        ends = (np.min(s.shapes, axis=0), np.max(s.shapes, axis=0)) if s.shapes else ()
        sizes = " .. ".join(dict.fromkeys(f"{H} x {W}" for H, W in ends)) or "-"
        lines.append(f"{s.split:10}{len(s.shapes):10}{len(s.errors):6}  {sizes}")
    names = [*surveys[0].classes, "void"]
    width = max(map(len, ["class", *names])) + 2
    lines += ["", " " * width + "".join(f"{survey.split:>20}" for survey in surveys)]
    lines += ["class".ljust(width) + f"{'share':>10}{'pictures':>10}" * len(surveys)]
    lines += [name.ljust(width) + "".join(cell(s, i) for s in surveys) for i, name in enumerate(names)]
    about = "share: of the labelled pixels; void: of all pixels. pictures: in how many the class occurs."
    return "\n".join([*lines, "", about])


def cell(survey: Survey, i: int) -> str:
    """Share and pictures of class i; i = L is void."""
    void = i == len(survey.classes)
    if survey.pixels[i] == 0:
        return f"{'0' if void else 'absent':>10}{0:>10}"
    total = survey.pixels.sum() if void else survey.pixels[:-1].sum()
    return f"{100 * survey.pixels[i] / total:8.2f} %{survey.occurs[i]:10}"


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit status."""
    about = "Open every picture and label of a data set, name whatever is wrong, and count the classes."
    parser = command_parser("check_data", "DATA [--allow-absent]", about)
    parser.epilog = "Exit status: 0 if all is well, 1 if anything is bad, 2 if DATA is no data set."
    parser.add_argument("data", metavar="DATA", help="a folder with a data set, toytown, or toytown_sizes")
    parser.add_argument("--allow-absent", action="store_true", help="classes may be in no training picture")
    opts = parser.parse_args(argv)
    surveys, bad, there = [], [], list_splits(opts.data)
    for split in there:
        try:
            surveys.append(open_dataset(opts.data, split).survey)
        except InputError as error:
            bad.append(f"{split}: {error}")
    if not surveys:
        raise InputError(bad[0])
    bad += [f"{survey.split}: {problem}" for survey in surveys for problem in survey.problems(opts.allow_absent)]
    remarks = notes(surveys, opts.allow_absent)
    if "train" not in there:
        remarks.append(f"no split 'train', without which train does not start; there are: {', '.join(there)}")
    elif surveys[0].split == "train" and len(surveys[0].names) == 1:
        remarks.append("train: one picture, and train takes two at a time; add pictures, or give train --batch 1")
    for one, other in itertools.combinations(surveys, 2):
        if both := sorted(set(one.names) & set(other.names)):
            remarks.append(f"{len(both)} names are in both {one.split} and {other.split}, such as {both[0]}")
    say(*(f"bad: {problem}" for problem in bad), *table(surveys).splitlines())
    say(*(f"note: {remark}" for remark in remarks), f"{len(bad)} bad" if bad else "all good")
    return 1 if bad else 0


if __name__ == "__main__":
    command_line(main)
