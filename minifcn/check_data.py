"""Check a data set before training on it: open every picture and every label file, and count what is in them.

    python -m minifcn.check_data DATA

names every file that cannot be used, with its values, and prints for each split the number of pictures, their sizes,
each class's share of the labelled pixels, in how many pictures it occurs, and the share of void. The exit status is 0
if all is well, 1 if any file is bad, 2 if DATA is no data set.
"""

import itertools

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

    def __init__(self, where: str, split: str):
        """Read all of a split, with a progress bar; errors are collected, not raised."""
        self.split, self.classes, self.names, self.shapes, self.errors = split, (), (), [], []
        try:
            self.read(open_dataset(where, split))
        except InputError as error:
            self.errors.append(str(error))

    def read(self, dataset: Dataset) -> None:
        self.classes, self.names = dataset.classes, dataset.names
        self.pixels, self.occurs = np.zeros((2, len(dataset.classes) + 1), np.int64)
        for index in tqdm(range(len(dataset)), desc=dataset.split, unit="picture", leave=False):
            try:
                _, labels = dataset[index]
            except InputError as error:
                self.errors.append(str(error))
                continue
            counts = np.bincount(labels.ravel(), minlength=256)  # (256,)
            counts = np.append(counts[: len(dataset.classes)], counts[dataset.ignore_label])  # (L + 1,)
            self.shapes.append(labels.shape)
            self.pixels += counts
            self.occurs += counts > 0
        if self.shapes and not self.pixels[:-1].any():
            raise InputError(f"every pixel of the labels is void; write the classes' ids, not {dataset.ignore_label}")

    def sizes(self) -> str:
        """One size, or the smallest and largest height and width."""
        ends = (np.min(self.shapes, axis=0), np.max(self.shapes, axis=0)) if self.shapes else ()
        return " .. ".join(dict.fromkeys(f"{H} x {W}" for H, W in ends)) or "-"

    def cell(self, i: int) -> str:
        """Share and pictures of class i; i = L is void."""
        void = i == len(self.classes)
        if self.pixels[i] == 0:
            return f"{'0' if void else 'absent':>10}{0:>10}"
        total = self.pixels.sum() if void else self.pixels[:-1].sum()
        return f"{100 * self.pixels[i] / total:8.2f} %{self.occurs[i]:10}"

    def notes(self) -> list[str]:
        """What is no error but may not be meant."""
        if not self.shapes:
            return []
        absent = [name for name, count in zip(self.classes, self.pixels[:-1], strict=True) if count == 0]
        found = [f"absent: {', '.join(absent)}"] if absent else []
        if self.pixels[-1] and np.count_nonzero(self.pixels[:-1]) < 2:
            advice = "in masks of 0 and 255, 255 is void; write 1 for the second class"
            found.insert(0, f"at most one class besides void: {advice}")
        return [f"{self.split}: {note}" for note in found]


def table(reports: list[SplitReport]) -> str:
    """Lay the reports out: a line for each split, then a line for each class."""
    lines = [f"{'split':10}{'pictures':>10}{'bad':>6}  sizes (height x width)"]
    lines += [f"{r.split:10}{len(r.shapes):10}{len(r.errors):6}  {r.sizes()}" for r in reports]
    counted = [report for report in reports if report.shapes]
    if counted:
        names = [*counted[0].classes, "void"]
        width = max(map(len, ["class", *names])) + 2
        lines += ["", " " * width + "".join(f"{report.split:>20}" for report in counted)]
        lines += ["class".ljust(width) + f"{'share':>10}{'pictures':>10}" * len(counted)]
        lines += [name.ljust(width) + "".join(r.cell(i) for r in counted) for i, name in enumerate(names)]
        lines += ["", "share: of the labelled pixels; void: of all pixels. pictures: in how many the class occurs."]
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit status."""
    about = "Open every picture and label of a data set, name whatever is wrong, and count the classes."
    parser = command_parser("check_data", "DATA", about)
    parser.epilog = "Exit status: 0 if all is well, 1 if any file is bad, 2 if DATA is no data set."
    parser.add_argument("data", metavar="DATA", help="a folder with a data set, toytown, or toytown_sizes")
    data = parser.parse_args(argv).data
    reports = [SplitReport(data, split) for split in list_splits(data)]
    if not any(report.classes for report in reports):
        raise InputError(reports[0].errors[0])
    errors = [f"{report.split}: {error}" for report in reports for error in report.errors]
    notes = [note for report in reports for note in report.notes()]
    for one, other in itertools.combinations(reports, 2):
        if both := sorted(set(one.names) & set(other.names)):
            notes.append(f"{len(both)} names are in both {one.split} and {other.split}, such as {both[0]}")
    lines = [f"bad: {error}" for error in errors] + [table(reports)] + [f"note: {note}" for note in notes]
    print(*lines, f"{len(errors)} bad" if errors else "all good", sep="\n")
    return 1 if errors else 0


if __name__ == "__main__":
    command_line(main)
