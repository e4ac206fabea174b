"""Whole files of every kind, and what the commands need around them: made once, copied for each case.

ROOT/seeds/KIND/0, 1, ...     whole files of a kind, to be damaged
ROOT/scenes/NAME/...          folders in which a damaged file takes a place
"""

import io
import json
import shutil
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import handmade as by
import labelled_data
import numpy as np
import scipy.io
from commands import evaluate  # noqa: F401  (mf.predict and mf.evaluate stay functions)
from PIL import Image
from safetensors.numpy import save_file
from small_checkpoint import make_checkpoint
from small_data import CLASSES, COLOURS, TINY, draw, make_pictures, make_sbd, make_set, zipped
from test_caffe import arrays as caffe_arrays
from test_caffe import network as caffe_network

from minifcn import figures, train
from minifcn.models import TRUNKS
from minifcn.training import folder, loop
from minifcn.training.segmentation import Segmentation
from minifcn.training.task import open_run

from .hostile import saved

RUN = "--model fcn16s --trunk tiny --batch 2 --seed 3 --warmup 0 --val-every 1"


def make(root: Path) -> None:
    """Make all of it. For a process of its own: the package gets a trunk "tiny" and draws no figures."""
    patch()
    rng = np.random.default_rng(0)
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        for part in (pictures, labels, sets, weights, checkpoints, annotations, archives, runs):
            part(root, rng)


def patch() -> None:
    """A trunk that runs in milliseconds, and no drawing of curves and samples, which takes longer than training."""
    TRUNKS["tiny"] = TINY
    figures.curves = figures.samples = lambda path, *_, **__: path.write_bytes(b"")


def put(root: Path, kind: str, *contents: bytes) -> None:
    """Add whole files of a kind."""
    (root / "seeds" / kind).mkdir(parents=True, exist_ok=True)
    for content in contents:
        (root / "seeds" / kind / str(len(list((root / "seeds" / kind).iterdir())))).write_bytes(content)


def pictures(root: Path, rng) -> None:
    coloured = Image.fromarray(draw(1, 24, 28)[0])
    deep = Image.fromarray(rng.integers(0, 65536, (24, 28)).astype(np.uint16))
    put(root, "picture", *(saved(coloured.convert(mode), "PNG") for mode in ("1", "L", "LA", "P", "RGB", "RGBA")))
    turned = Image.Exif()
    turned[274] = 6
    put(root, "picture", saved(deep, "PNG"), saved(coloured, "PNG", exif=turned, dpi=(72, 72)), saved(deep, "TIFF"))
    put(root, "picture", saved(coloured, "JPEG", exif=turned), saved(coloured.convert("CMYK"), "JPEG"))
    put(root, "picture", saved(coloured, "JPEG", progressive=True), saved(coloured.convert("L"), "JPEG"))
    put(root, "picture", saved(coloured, "MPO", save_all=True, append_images=[coloured]), saved(coloured, "BMP"))
    for compression in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"):
        put(root, "picture", saved(coloured, "TIFF", compression=compression))
    put(root, "picture", saved(coloured.convert("1"), "TIFF", compression="group4"), saved(coloured, "WEBP"))
    put(root, "picture", saved(coloured, "WEBP", lossless=True), saved(coloured.convert("P"), "BMP"))
    put(root, "picture", saved(coloured, "GIF", save_all=True, append_images=[coloured]), saved(coloured, "PPM"))
    put(root, "picture", saved(coloured.convert("L"), "PPM"), saved(deep, "PPM"), b"P3 2 1 255 1 2 3 4 5 6\n")


def labels(root: Path, _) -> None:
    values = draw(2, 24, 28)[1]
    paletted = Image.fromarray(values, "P")
    paletted.putpalette(np.vstack([COLOURS, np.full((252, 3), 9)]).astype(np.uint8).tobytes())
    put(root, "labels", saved(Image.fromarray(values), "PNG"), saved(paletted, "PNG"), saved(paletted, "PNG", bits=8))
    few = Image.fromarray(values % 255, "P")
    few.putpalette(COLOURS.tobytes())
    put(root, "labels", saved(few, "PNG", bits=2), saved(Image.fromarray(values.astype(np.uint16)), "PNG"))
    put(root, "labels", saved(Image.fromarray(values), "TIFF"), saved(Image.fromarray(values), "BMP"))


def sets(root: Path, _) -> None:
    """A set whose first picture, labels, lists of classes or of names are to come; a small one is soon surveyed."""
    make_set(root / "scenes" / "set", [("train", 4), ("val", 2)], size=(24, 28))
    for name, gone in (
        ("no picture", "images/train00.png"),
        ("no labels", "labels/train00.png"),
        ("no list", "train.txt"),
    ):
        shutil.copytree(root / "scenes" / "set", root / "scenes" / name)
        (root / "scenes" / name / gone).unlink()
    shutil.copytree(root / "scenes" / "set", root / "scenes" / "no classes")
    (root / "scenes" / "no classes" / "classes.txt").unlink()
    put(root, "split", (root / "scenes" / "set" / "train.txt").read_bytes())
    coloured = [f"{name} {r} {g} {b}" for name, (r, g, b) in zip(CLASSES, COLOURS.tolist(), strict=False)]
    lists = [[*CLASSES], coloured, [line.replace(" ", ",") for line in ["name r g b", *coloured]]]
    lists += [
        [f"{i} {name}" for i, name in enumerate(CLASSES)],
        [f"{line.replace(' ', ':', 1)}::" for line in coloured],
    ]
    lists += [["__ignore__", *CLASSES], [f"{name} #0{i}0a0b" for i, name in enumerate([*CLASSES, "void"])]]
    put(root, "classes", *("\n".join([*lines, ""]).encode() for lines in lists))
    sbd = make_sbd(root / "scenes" / "sbd", {"train": ["2008_000002", "2008_000003"], "val": ["2008_000051"]})
    first, stream = sbd / "cls" / "2008_000002.mat", io.BytesIO()
    scipy.io.savemat(stream, scipy.io.loadmat(first))  # not compressed
    put(root, "sbd", first.read_bytes(), stream.getvalue())
    first.unlink()


def weights(root: Path, _) -> None:
    (root / "scenes" / "weights").mkdir(parents=True)
    labelled_data.picture(root / "scenes" / "weights" / "photo.png", size=(40, 24))
    arrays = by.trunk()
    put(root, "legacy", by.legacy(by.state_dict(by.tensors(arrays)), by.contents(arrays)))
    put(root, "zip", by.zipped(by.state_dict(by.tensors(arrays)), by.contents(arrays)))
    save_file(arrays, root / "trunk")
    put(root, "safetensors", (root / "trunk").read_bytes())
    for how in ({}, {"version": "V1", "form": "legacy", "packed": False}):
        put(root, "caffe", caffe_network(caffe_arrays("fcn16s"), **how))
    for packed in (False, True):
        stream = io.BytesIO()
        scipy.io.savemat(stream, {"layers": matconvnet(arrays), "meta": {"normalization": {}}}, do_compression=packed)
        put(root, "matconvnet", stream.getvalue())


def matconvnet(arrays: dict) -> np.ndarray:
    """A cell of structs, each with a cell of weights, of arrays as PyTorch lays them out."""
    cells = np.empty((1, len(by.CONVS)), object)
    for i, layer in enumerate(by.CONVS):
        both = np.empty((1, 2), object)
        both[0, 0], both[0, 1] = arrays[f"{layer}.weight"].transpose(2, 3, 1, 0), arrays[f"{layer}.bias"][:, None]
        cells[0, i] = {"name": layer, "type": "conv", "weights": both}
    return cells


def checkpoints(root: Path, _) -> None:
    for name in ("fcn32s", "fcn8s"):
        more = {"values": [0, 1, 2], "entries": [*CLASSES], "colours": None, "side": 0, "longest": 64}
        put(root, "checkpoint", make_checkpoint(root / name, name, **more).read_bytes())
    shutil.copytree(root / "scenes" / "set", root / "scenes" / "checkpoint" / "set")
    make_checkpoint(root / "scenes" / "checkpoint" / "good.safetensors", "fcn32s", longest=64)
    shutil.copy(root / "scenes" / "weights" / "photo.png", root / "scenes" / "checkpoint" / "photo.png")
    for name in ("no picture", "no labels"):
        shutil.copy(root / "scenes" / "checkpoint" / "good.safetensors", root / "scenes" / name)


def annotations(root: Path, _) -> None:
    """Of each format a scene in which one picture has its labels, and those of a.jpg are to come."""
    whole, size = labelled_data, [labelled_data.H, labelled_data.W]
    square, mask = whole.shape("car", whole.SQUARE), whole.text(whole.png(np.eye(6) > 0))
    shapes = [square, whole.shape("dog", [[3, 4], [9, 10]], "mask", mask=mask)]
    shapes += [whole.shape("tree", [[20, 20], [25, 20]], kind) for kind in ("circle", "rectangle")]
    points = {"exterior": whole.SQUARE, "interior": [whole.SQUARE[:3]]}
    polygon = {"geometryType": "polygon", "classTitle": "dog", "points": points}
    small = whole.bitmap(np.eye(6, dtype=np.uint8) * 255, [3, 4])
    runs = [{"size": size, "counts": counts} for counts in ([100, 300, 1840], "T3\\9`i1")]
    things = [whole.thing(outline) for outline in ([whole.FLAT], *runs)]
    for kind, document, name, other in (
        ("labelme", whole.labelme(*shapes), "b.json", whole.labelme(square, imagePath="b.jpg")),
        ("coco", whole.coco(*things), "b.json", whole.coco(*things, file_name="b.jpg")),
        ("supervisely", whole.supervisely(small, polygon), "b.jpg.json", whole.supervisely(polygon)),
    ):
        put(root, kind, json.dumps(document).encode())
        whole.write_json(root / "scenes" / kind / name, other)
        for picture in ("a.jpg", "b.jpg"):
            whole.picture(root / "scenes" / kind / picture)


def archives(root: Path, _) -> None:
    (root / "scenes" / "archive").mkdir()
    for layout in ("imagenet", "tiny"):
        pictures = make_pictures(root / "made" / layout, layout, (("train", 2), ("val", 1)), size=(16, 18))
        put(root, "archive", zipped(pictures, root / f"{layout}.zip").read_bytes())


class AfterTwo:
    """Asks a run to stop after its second step."""

    run = None

    @property
    def requested(self) -> bool:
        return self.run.step == 2


def runs(root: Path, _) -> None:
    """A run that was stopped after two steps of three, and one that is finished."""
    data, stop, out = str(root / "scenes" / "set"), AfterTwo(), root / "scenes" / "finished"
    given = ["--data", data, "--out", str(out), "--name", "run", *RUN.split(), "--steps", "3"]
    assert train.main(given) == 0
    [settings] = folder.read_config(out / "run", Segmentation.takes)
    stopped = root / "scenes" / "stopped" / "run"
    stopped.mkdir(parents=True)
    folder.write_config(stopped, [settings], "cpu")
    stop.run = open_run(Segmentation, stopped, settings)
    try:
        stop.run.train(stop)
    except loop.Stopped:
        pass
    for kind, path in (
        ("config", stopped / "config.json"),
        ("log", stopped / "log.csv"),
        ("last", stopped / "last.safetensors"),
    ):
        put(root, kind, path.read_bytes())
    put(root, "metrics", (out / "run" / "metrics.json").read_bytes())
