"""log.csv: a row a step, with the validation scores where they were measured. Floats read back exactly.

step, epoch, lr, loss, val_jaccard, val_pixel_accuracy            the last ones after what the run measures
"""

import csv
import io
import os
from pathlib import Path

from ..errors import InputError
from ..files import atomic_file

FIELDS = ["step", "epoch", "lr", "loss"]


class Log:
    """log.csv, a row a step. Numbers are written so that they read back exactly."""

    def __init__(self, file, fields: list[str]):
        self._file, self._writer = file, csv.DictWriter(file, fields, lineterminator="\n")

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        try:
            self._file.close()
        except OSError as error:
            if kind is None:  # otherwise an error is under way already, most likely this one
                raise self._named(error) from error

    def writerow(self, row: dict) -> None:
        try:
            self._writer.writerow(row)
        except OSError as error:
            raise self._named(error) from error

    def flush(self) -> None:
        """Have the rows on the disk, before a checkpoint says that they are."""
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise self._named(error) from error

    def _named(self, error: OSError) -> OSError:
        return OSError(error.errno, error.strerror, self._file.name)


def open_log(path: Path, rows: list[dict], scores: tuple[str, ...]) -> Log:
    """Open log.csv with the rows so far: those after the checkpoint go, as their steps are run again.

    scores: the names of what is measured in validation.
    """
    fields = [*FIELDS, *(f"val_{name}" for name in scores)]
    with atomic_file(path) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="")
        writer = csv.DictWriter(text, fields, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        text.flush()
        text.detach()
    return Log(open(path, "a", newline="", encoding="utf-8"), fields)


def read_log(path: Path, step: int) -> list[dict]:
    """Read the rows up to a step. Raises InputError where some are missing or damaged."""
    kinds = {"step": int, "epoch": int}
    try:
        with open(path, newline="", encoding="utf-8") as file:
            rows = [row for row in csv.DictReader(file) if None not in row.values()]
        rows = [{k: kinds.get(k, float)(v) for k, v in row.items() if v != ""} for row in rows[:step]]
        steps = [row["step"] for row in rows if row.keys() >= {*FIELDS}]
    except (ValueError, TypeError, csv.Error):
        steps = None
    if steps != list(range(1, step + 1)):
        raise InputError(f"{path}: expected the rows of steps 1 to {step}, as in the checkpoint beside it; restore it")
    return rows


def curves_of(log: list[dict], score: str) -> dict[str, list[float]]:
    """The rows as figures.curves takes them, with that score of the validations."""
    validated = [row for row in log if f"val_{score}" in row]
    return {
        **{name: [row[name] for row in log] for name in ("step", "loss", "lr")},
        "val_step": [row["step"] for row in validated],
        "score": [row[f"val_{score}"] for row in validated],
    }
