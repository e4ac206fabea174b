"""What a whole split holds, read once: sizes, pixels of each class, and every file that cannot be used."""

import re
from collections import defaultdict

import numpy as np

from ..errors import InputError
from .colours import is_background
from .pictures import pixel_counts


class Survey:
    """What a split holds. Shapes and counts are those of the good pictures.

    counts: int64 (pictures, L + 1), the pixels of each class, then of void.  pixels, occurs: int64 (L + 1,), all of
    them, and in how many pictures each is.  shapes: [(H, W)].  errors: a line for each thing that is wrong.  absent:
    classes that occur nowhere, but for a first one that is a background.  only: the class that all labelled pixels
    have, or None.
    """

    def __init__(self, dataset):
        """Read all of a Dataset, with a progress bar; errors are collected, not raised."""
        from tqdm import tqdm  # only here: it brings 2 MB of modules, which import minifcn alone does not need

        self.split, self.names, self.classes, self.notes = dataset.split, dataset.names, dataset.classes, dataset.notes
        self.side, coding = dataset.side, dataset.coding
        self.only_255 = coding is not None and coding.entries == coding.classes  # whether nothing else is void
        self.shapes, self.errors, counts, L = [], [], [], len(dataset.classes)
        for index in tqdm(range(len(dataset)), f"checking {dataset.split}", unit="picture", leave=False, disable=None):
            try:
                _, labels = dataset[index]
            except (InputError, MemoryError) as error:
                few = f"{self.names[index]}: too little memory for this picture; scale it down or cut it into parts"
                self.errors.append(few if isinstance(error, MemoryError) else str(error))
                continue
            found = pixel_counts(labels)  # (256,)
            counts.append([*found[:L], found[dataset.ignore_label]])  # (L + 1,)
            self.shapes.append(labels.shape)
        self.counts = np.array(counts, np.int64).reshape(-1, L + 1)
        self.pixels, self.occurs = self.counts.sum(axis=0), (self.counts > 0).sum(axis=0)
        there = [name for name, n in zip(self.classes, self.pixels[:-1], strict=True) if n]
        excused = self.classes[: is_background(self.classes[0])]
        self.absent = [name for name in self.classes if name not in there + excused]
        self.only, self.absence = there[0] if len(there) == 1 else None, f"in no picture: {', '.join(self.absent)}"

    def largest(self, batch: int) -> tuple[int, int]:
        """Height and width of the largest batch of so many pictures, padded to one size."""
        if batch == 1:
            return max(self.shapes, key=lambda shape: shape[0] * shape[1])
        return tuple(np.max(self.shapes, axis=0).tolist())

    def problems(self, allow_absent: bool) -> list[str]:
        """What must be mended before training, equal faults of many files in one sentence."""
        larger = f"give a larger --side than {self.side}"
        groups, training = defaultdict(list), self.split == "train" and not self.errors
        for error in self.errors:
            groups[re.match(r"[^\d;('\"]*", error.partition(": ")[2])[0]].append(error)
        found = [f"{len(same)} files, the first: {same[0]}" if len(same) > 1 else same[0] for same in groups.values()]
        if self.shapes and not self.pixels[:-1].any():
            found.append("every pixel of the labels is void; write the classes' values into the label files, not 255")
        elif training and self.only:
            way_out = "the label files must hold another value for each class, and 255 is void where any file holds a 1"
            way_out = f"{larger} if the label files hold more" if self.side else way_out
            found.append(f"all labelled pixels are of one class, {self.only!r}: nothing could be learnt; {way_out}")
        elif training and self.absent and not allow_absent:
            way_out = "take their lines out of classes.txt (if they are the last), add pictures, or give --allow-absent"
            found.append(f"{self.absence}; {larger + ', ' if self.side else ''}{way_out}")
        elif training and not allow_absent:
            found += self._stray()
        return found

    def _stray(self) -> list[str]:
        """What is wrong where masks of 0 and 255 seem to be read as 0, 1 and void because of a few pixels of 1."""
        if len(self.classes) != 2 or not self.only_255:
            return []
        (_, ones, voids), (_, with_one, with_void) = self.pixels.tolist(), self.occurs.tolist()
        both = (self.counts[:, 1:] > 0).all(axis=1).sum()
        if voids <= 10 * ones or 2 * both > with_void:
            return []
        first = self.names[self.counts[:, 1].argmax()]
        found = f"1 at {ones} pixels in {with_one} pictures, such as {first}; 255 at {voids} pixels in {with_void}"
        way_out = f"if 255 is {self.classes[1]!r}, write 255 for 1; if it is void, give --allow-absent"
        return [f"{found}: the 1s make void of 255; {way_out}"]


def check(where, datasets: list, allow_absent: bool) -> None:
    """Raise InputError for what must be mended in these splits before training; else print what was assumed.

    where: the data set's folder, for messages.
    """
    surveys = [dataset.survey for dataset in datasets if not dataset.drawn]
    found = [(s, problem) for s in surveys for problem in s.problems(allow_absent)]
    if wrong := [text if text in s.errors else f"{s.split}: {text}" for s, text in found]:
        raise InputError(f"{'; '.join(wrong)}. All that is wrong: python -m minifcn.check_data {where}")
    for note in notes(surveys, allow_absent):
        print(f"note: {note}")


def notes(surveys: list[Survey], allow_absent: bool) -> list[str]:
    """What was assumed or left out, and what is absent though nothing is wrong, each once."""
    told = [s for s in surveys if s.absent and s.shapes and (allow_absent or s.split != "train")]
    absent = [f"{survey.split}: {survey.absence}" for survey in told]
    for s in surveys:
        there = s.counts[:, 1:] > 0  # (pictures, 2): whether 1 and 255 occur
        if len(s.classes) == 2 and s.only_255 and there.any(axis=0).all() and not there.all(axis=1).any():
            absent.append(f"{s.split}: 1 is in some files, 255 in others, never both: is 255 {s.classes[1]!r} there?")
    return list(dict.fromkeys([note for survey in surveys for note in survey.notes] + absent))
