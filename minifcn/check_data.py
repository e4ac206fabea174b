"""Check a data set before training on it: open every picture and every label file, and count what is in them.

    python -m minifcn.check_data DATA

names every file that cannot be used, with its values, and prints for each split the number of pictures, their sizes,
each class's share of the labelled pixels, in how many pictures it occurs, and the share of void. The exit status is 0
if all is well, 1 if any file is bad, 2 if DATA is no data set.
"""

import itertools
from collections.abc import Sequence

import numpy as np
from tqdm import tqdm

from .command import command_line, command_parser
from .datasets import Dataset, list_splits, open_dataset
from .errors import InputError


class SplitReport:
    """What a split holds. Shapes and counts are those of the good pictures.

    names: of all pictures.  shapes: (H, W) of each.  pixels: int64 (L + 1,), of each class, then of void.  occurs:
    int64 (L + 1,), in how many pictures each is.  errors: a line for each thing that is wrong.
    """

    def __init__(self, split: str, classes: Sequence[str] = (), names: Sequence[str] = ()):
        self.split, self.classes, self.names = split, classes, names
        self.shapes: list[tuple[int, int]] = []
        self.errors: list[str] = []
        self.pixels, self.occurs = np.zeros((2, len(classes) + 1), np.int64)


def check_split(dataset: Dataset) -> SplitReport:
    """Read all of a split, with a progress bar; errors are collected, not raised."""
    report = SplitReport(dataset.split, dataset.classes, dataset.names)
    for index in tqdm(range(len(dataset)), desc=dataset.split, unit="picture", leave=False):
        try:
            _, labels = dataset[index]
        except InputError as error:
            report.errors.append(str(error))
            continue
        counts = np.bincount(labels.ravel(), minlength=256)  # (256,)
        counts = np.append(counts[: len(dataset.classes)], counts[dataset.ignore_label])  # (L + 1,)
        report.shapes.append(labels.shape)
        report.pixels += counts
        report.occurs += counts > 0
    if report.shapes and not report.pixels[:-1].any():
        report.errors.append(f"every pixel of the labels is void; write the classes' ids, not {dataset.ignore_label}")
    return report


def check(where: str) -> list[SplitReport]:
    """Check every split of a data set. Raises InputError where there is none, or no split of it can be opened."""
    reports = []
    for split in list_splits(where):
        try:
            reports.append(check_split(open_dataset(where, split)))
        except InputError as error:
            reports.append(SplitReport(split))
            reports[-1].errors.append(str(error))
    if not any(report.classes for report in reports):
        raise InputError(reports[0].errors[0])
    return reports


def table(reports: Sequence[SplitReport]) -> str:
    """Lay the reports out: a line for each split, then a line for each class."""
    lines = [f"{'split':10}{'pictures':>10}{'bad':>6}  sizes (height x width)"]
    for report in reports:
        lines.append(f"{report.split:10}{len(report.shapes):10}{len(report.errors):6}  {_span(report.shapes)}")
    counted = [report for report in reports if report.shapes]
    if not counted:
        return "\n".join(lines)
    names = [*counted[0].classes, "void"]
    width = max(len(name) for name in ["class", *names]) + 2
    lines += ["", " " * width + "".join(f"{report.split:>20}" for report in counted)]
    lines += ["class".ljust(width) + f"{'share':>10}{'pictures':>10}" * len(counted)]
    for i, name in enumerate(names):
        lines.append(name.ljust(width) + "".join(_cell(report, i) for report in counted))
    lines += ["", "share: of the labelled pixels; void: of all pixels. pictures: in how many the class occurs."]
    return "\n".join(lines)


def notes(reports: Sequence[SplitReport]) -> list[str]:
    """What is no error but may not be meant."""
    found = []
    for report in reports:
        if report.shapes and report.pixels[-1] and np.count_nonzero(report.pixels[:-1]) < 2:
            advice = "in masks of 0 and 255, 255 is void; write 1 for the second class"
            found.append(f"{report.split}: at most one class besides void: {advice}")
        absent = [name for name, count in zip(report.classes, report.pixels, strict=False) if count == 0]
        if report.shapes and absent:
            found.append(f"{report.split}: absent: {', '.join(absent)}")
    for one, other in itertools.combinations(reports, 2):
        both = sorted(set(one.names) & set(other.names))
        if both:
            found.append(f"{len(both)} names are in both {one.split} and {other.split}, such as {both[0]}")
    return found


def _span(shapes: list[tuple[int, int]]) -> str:
    """One size, or the smallest and largest height and width."""
    if not shapes:
        return "-"
    sizes = [f"{H} x {W}" for H, W in (np.min(shapes, axis=0), np.max(shapes, axis=0))]
    return " .. ".join(dict.fromkeys(sizes))


def _cell(report: SplitReport, i: int) -> str:
    """Share and pictures of class i of a split; i = L is void."""
    if report.pixels[i] == 0:
        return f"{'absent' if i < len(report.classes) else '0':>10}{0:>10}"
    total = report.pixels[:-1].sum() if i < len(report.classes) else report.pixels.sum()
    return f"{100 * report.pixels[i] / total:8.2f} %{report.occurs[i]:10}"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    about = "Open every picture and label of a data set, name whatever is wrong, and count the classes."
    parser = command_parser("check_data", "DATA", about)
    parser.epilog = "Exit status: 0 if all is well, 1 if any file is bad, 2 if DATA is no data set."
    parser.add_argument("data", metavar="DATA", help="a folder with a data set, toytown, or toytown_sizes")
    reports = check(parser.parse_args(argv).data)
    errors = [f"{report.split}: {error}" for report in reports for error in report.errors]
    lines = [f"bad: {error}" for error in errors] + [table(reports)] + [f"note: {note}" for note in notes(reports)]
    print(*lines, f"{len(errors)} bad" if errors else "all good", sep="\n")
    return 1 if errors else 0


if __name__ == "__main__":
    command_line(main)
