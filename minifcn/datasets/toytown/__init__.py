"""Toytown: the embedded data set. Street scenes drawn by this package, so that training needs no download.

The first use of a split draws it (some 50 ms a picture) and keeps it as PNG files, which later runs read:

    <root>/<version>/seed<seed>/<split>/pictures/train_000.png     RGB, 160 x 192
                                        labels/train_000.png       paletted, class index or 255 (void)
                     sizes1/seed<seed>/...                         the same of toytown_sizes

toytown_sizes is the same town with cars, persons and signs of four sizes: it tells what size alone does to a network.

`root` is data/toytown of a source checkout, or the user's cache folder where the package is installed. Drawing is
deterministic in (seed, split, index): an interrupted cache is completed, a deleted one comes back the same.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from ...errors import InputError
from ..dataset import Dataset
from ..labels import LabelCoding, read_example
from ..pictures import Example
from .canvas import CLASSES, VOID
from .scene import draw_scene

VERSION = "v2"  # of the drawing code: raise it whenever any pixel changes, and old caches are redrawn
MANY = 64  # pictures from which a second process is worth its start
SPLITS = {"train": 600, "val": 100, "test": 200}
THIN = ("person", "pole", "sign")  # narrower than the 32 pixels that one score of an FCN-32s covers
WIDE = tuple(name for name in CLASSES if name not in THIN)
# Of cars, persons and signs in toytown_sizes. The largest hide one another, and the picture's edge cuts many of them.
SIZES = (0.5, 1.0, 2.0, 4.0)
PALETTE = np.array([
    (112, 178, 224), (196, 132, 96), (96, 94, 110), (206, 196, 178),  # sky, building, road, pavement
    (92, 150, 82), (206, 70, 66), (246, 180, 60), (62, 56, 140), (240, 112, 176),  # tree, car, person, pole, sign
], np.uint8)  # fmt: skip
CODING = LabelCoding(CLASSES, PALETTE)


class Toytown(Dataset):
    """One split of the drawn street scenes: "train" (600 pictures), "val" (100) or "test" (200).

    seed: of the drawing; every seed is another town.  root: folder of the cache; None takes `default_root()`.

    Item i is (picture, labels): uint8 (160, 192, 3) RGB, and uint8 (160, 192) with classes 0 to 8 and void 255.
    Raises InputError for an unknown split, and for a file of the cache that cannot be read.
    """

    name = "toytown"
    variant = ""  # the folder, below that of the version, in which the cache of another kind of town is
    in_turn = (None,)  # sizes of the things, picture by picture

    def __init__(self, split: str, seed: int = 0, root: str | Path | None = None):
        if split not in SPLITS:
            raise InputError(f"{self.name} has the splits {', '.join(SPLITS)}, received {split!r}")
        names = [f"{split}_{index:03d}" for index in range(SPLITS[split])]
        super().__init__(self.name, split, list(CLASSES), PALETTE.copy(), names, self._read)
        self.sizes = [self.in_turn[index % len(self.in_turn)] for index in range(len(self))]
        self.folder = Path(root or default_root()) / VERSION / self.variant / f"seed{seed}" / split
        try:
            self._draw_missing(seed)
        except OSError as error:
            raise InputError(f"{self.folder}: {error.strerror or error}; set MINIFCN_CACHE to another folder") from None

    @classmethod
    def scene(cls, seed: int, split: str, index: int) -> Example:
        """Draw an item."""
        number = index // len(cls.in_turn) if split == "test" else index
        return draw_scene(seed, list(SPLITS).index(split), number, cls.in_turn[index % len(cls.in_turn)])

    def _path(self, kind: str, index: int) -> Path:
        return self.folder / kind / f"{self.names[index]}.png"

    def _read(self, index: int) -> Example:
        try:
            return read_example(self._path("pictures", index), self._path("labels", index), CODING)
        except InputError as error:
            raise InputError(f"{error}; or delete the folder {self.folder} and it will be drawn anew") from error

    def _draw_missing(self, seed: int) -> None:
        """Draw the pictures that the cache lacks, a large number of them with a second process."""
        missing = [i for i in range(len(self)) if not self._path("labels", i).exists()]
        if missing:
            task = (type(self), self.folder, self.split, seed, missing)
            with helper(*task) if len(missing) >= MANY and (os.cpu_count() or 1) > 1 else nullcontext():
                list(tqdm(draw(*task), f"drawing {self.name}/{self.split}", len(missing), unit="picture"))


class ToytownSizes(Toytown):
    """One split of street scenes in which the size of the compact things varies: cars, persons and the boards of signs.

    Picture i has them sizes[i] times as large as they are in toytown: SIZES in turn. Each picture of "train" (600) and
    "val" (100) is another scene; "test" (200) is 50 scenes, each at all four sizes and otherwise the same (see
    draw_scene). Arguments and errors are Toytown's.
    """

    name = "toytown_sizes"
    variant = "sizes1"  # raise its number when what this class adds changes any pixel
    in_turn = SIZES


def draw(kind: type[Toytown], folder: str | Path, split: str, seed: int, indices: list[int]) -> Iterator[int]:
    """Draw these pictures of a split, but for those that are there; yield each index when its files are complete."""
    colours = PALETTE.tobytes().ljust(3 * VOID, b"\0") + b"\xff\xff\xff"  # of a PNG's 256 indices: void is white
    for index in indices:
        drawn, labelled = (Path(folder, part, f"{split}_{index:03d}.png") for part in ("pictures", "labels"))
        if not labelled.exists():
            picture, labels = kind.scene(seed, split, index)
            paletted = Image.fromarray(labels).convert("P")
            paletted.putpalette(colours)
            write_png(Image.fromarray(picture), drawn)
            write_png(paletted, labelled)  # last: it marks a finished pair
        yield index


@contextmanager
def helper(kind: type[Toytown], folder: Path, split: str, seed: int, indices: list[int]) -> Iterator[None]:
    """Inside this block another process draws too, from the last picture to the first.

    It prints each index into a pipe: if this process is killed, that has no reader, and the next print ends the other.
    """
    call = f"toytown.{kind.__name__}, {str(folder.resolve())!r}, {split!r}, {seed}, {indices[::-1]}"
    code = f"from minifcn.datasets import toytown\nfor i in toytown.draw({call}): print(i, flush=True)"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:  # by now the two have met, or this process was interrupted
        process.terminate()
        process.communicate()


def write_png(image: Image.Image, path: Path) -> None:
    """Write through a temporary file, so that a kill leaves no truncated picture under the final name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")  # of this process: two may write the same picture
    image.save(temporary, format="PNG")
    os.replace(temporary, path)


def default_root() -> Path:
    """Return where the drawn sets are cached: $MINIFCN_CACHE, data/ of a checkout, or the user's cache folder."""
    if os.environ.get("MINIFCN_CACHE"):
        return Path(os.environ["MINIFCN_CACHE"]) / "toytown"
    checkout = Path(__file__).resolve().parents[3]
    if (checkout / "pyproject.toml").exists():
        return checkout / "data" / "toytown"
    places = {"win32": ("LOCALAPPDATA", "AppData/Local"), "darwin": ("", "Library/Caches")}
    variable, usual = places.get(sys.platform, ("XDG_CACHE_HOME", ".cache"))
    return Path(os.environ.get(variable) or Path.home() / usual) / "minifcn" / "toytown"
