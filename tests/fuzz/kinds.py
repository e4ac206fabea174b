"""The table of kinds: which whole files, damaged how, put where, and which commands read them.

A new kind of weight file is one line in KINDS, and its whole files are one `put` in scenes.py. A reader takes the
case's folder and the damaged file, and returns a command's main and its arguments.
"""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import handmade as by
import numpy as np
import safetensors.numpy
from commands import evaluate, predict

from minifcn import check_data, import_labels, inspect_weights, load_weights, pretrain, train
from minifcn.datasets.pictures import EXTENSIONS
from minifcn.models import Widths, fcn16s
from minifcn.weights.checkpoint import CODES, checksum

from . import hostile
from .damage import any_bytes, any_json, inside_matlab, inside_png, odd_document


class Kind(NamedTuple):
    """seeds: a folder of whole files, or "".  scene: the folder that is copied for a case.  places: names in it for the
    damaged file.  damage: functions of (generator, whole file, another one).  refuse: none of them is any good.
    """

    seeds: str
    scene: str
    places: tuple[str, ...]
    damage: tuple[Callable, ...]
    readers: tuple[Callable, ...]
    refuse: bool = False


# --- readers ---


def command(module, *arguments: str) -> Callable:
    """A reader: a command with these arguments, in which {file} and {case} are put in."""
    return lambda case, file: (module.main, [a.format(file=file, case=case) for a in arguments])


def into_network(case: Path, file: Path):
    """mf.load_weights, into a network of the seeds' width."""
    return lambda argv: load_weights(fcn16s(3, Widths(by.BLOCKS, 3), "same"), argv[0]) and None, [str(file)]


INSPECT = command(inspect_weights, "{file}")
CHECK = command(check_data, "{case}", "--allow-absent")
PREDICT = command(predict, "{file}", "{case}/photo.png", "--out", "{case}/out", "--page")
EVALUATE = command(evaluate, "{file}", "--data", "{case}/set", "--split", "val", "--out", "{case}/scores.json")
INIT = "--trunk tiny --model fcn8s --steps 1 --batch 2 --out {case}/out".split()
START = command(train, "--data", "{case}/set", "--init", "{file}", *INIT)
SHOW = command(predict, "{case}/good.safetensors", "{file}", "--out", "{case}/out")
SHOW_ALL = command(predict, "{case}/good.safetensors", "{case}/images", "--out", "{case}/out", "--page")
COMPARE = command(
    predict, "{case}/good.safetensors", "{case}/images", "--out", "{case}/out", "--compare", "{case}/labels"
)
IMPORT = command(import_labels, "{case}", "--out", "{case}/../out")
RESUME = command(train, "--resume", "{case}/run")
TRUNK = "--trunk tiny --size 16 --crop 14 --batch 3 --steps 1 --warmup 0 --out {case}/out".split()
PRETRAIN = command(pretrain, "--data", "{file}", *TRUNK)


# --- damage that knows the format ---


def in_checkpoint(rng, data: bytes, other: bytes) -> bytes:
    """A checkpoint whose document or arrays are odd, with a right checksum."""
    if rng.integers(5) == 0:
        return any_bytes(rng, data, other)
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    text, tensors = header["__metadata__"]["minifcn"], safetensors.numpy.load(data)
    if rng.integers(3):
        document = json.loads(text)
        whole = rng.integers(10) == 0
        odd = odd_document(rng, document if whole else document["meta"])
        text = odd if whole else f'{{"format": 1, "meta": {odd}}}'
    if rng.integers(3) == 0 or text == header["__metadata__"]["minifcn"]:
        odd_tensors(rng, tensors)
    return checkpoint_of(text, tensors)


def odd_tensors(rng, tensors: dict) -> None:
    """One array is missing, renamed, of another shape or type, or holds what no weight is."""
    name = sorted(tensors)[rng.integers(len(tensors))]
    x = tensors.pop(name)
    choice = rng.integers(6)
    if choice == 1:
        tensors[f"{name}\x1b[31m"] = x
    elif choice == 2:
        tensors[name] = x.reshape(-1)
    elif choice == 3:
        tensors[name] = np.full_like(x, [np.nan, np.inf, 3e38][rng.integers(3)])
    elif choice == 4:
        tensors[name] = x.astype(["float16", "float64", "int64", "bool", "uint8"][rng.integers(5)])
    elif choice == 5:
        tensors[name] = np.zeros((0, 3), np.float32)


def checkpoint_of(text: str, tensors: dict) -> bytes:
    """The bytes of a checkpoint with this document, as minifcn lays it out."""
    metadata = {"minifcn": text, "crc32": checksum(text, sorted(tensors.items()))}
    tensors = dict(sorted(tensors.items(), key=lambda item: (-item[1].itemsize, item[0])))
    entries, end = {"__metadata__": metadata}, 0
    for name, x in tensors.items():
        begin, end = end, end + x.nbytes
        entries[name] = {"dtype": CODES[x.dtype.name], "shape": list(x.shape), "data_offsets": [begin, end]}
    header = json.dumps(entries).encode()
    return len(header).to_bytes(8, "little") + header + b"".join(x.tobytes() for x in tensors.values())


def pickled(zip_format: bool) -> Callable:
    return lambda rng, *_: hostile.damaged_pickle(rng, zip_format)


# --- the table ---

PICTURES = tuple(f"photo{extension}" for extension in EXTENSIONS)
IN_SET = tuple(f"images/train00{extension}" for extension in EXTENSIONS)
LISTS = ("classes.txt", "class_dict.csv", "labelmap.txt")
WEIGHTS = (INSPECT, into_network, PREDICT)
weights = partial(Kind, scene="weights", places=("weights.bin",), readers=WEIGHTS)
pictures = partial(Kind, scene="no picture", places=IN_SET, readers=(SHOW, SHOW_ALL, CHECK))
annotated = partial(Kind, places=("a.json",), damage=(any_json,), readers=(IMPORT,))
run = partial(Kind, scene="stopped", readers=(RESUME,))

KINDS = {
    "legacy .pth": weights("legacy", damage=(any_bytes, pickled(False))),
    "zip .pth": weights("zip", damage=(any_bytes, pickled(True))),
    "safetensors": weights("safetensors", damage=(any_bytes,)),
    "matconvnet": weights("matconvnet", damage=(any_bytes, inside_matlab)),
    "caffemodel": weights("caffe", damage=(any_bytes,)),
    "pickle calls": weights("", damage=(hostile.hostile_pickle,)),
    "checkpoint": Kind(
        "checkpoint", "checkpoint", ("ck.safetensors",), (in_checkpoint,), (INSPECT, PREDICT, EVALUATE, START)
    ),
    "picture": pictures("picture", damage=(any_bytes, inside_png)),
    "other format": pictures("", damage=(hostile.forbidden,), refuse=True),
    "picture bomb": pictures("", damage=(hostile.picture_bomb,)),
    "labels": Kind("labels", "no labels", ("labels/train00.png",), (any_bytes, inside_png), (CHECK, COMPARE)),
    "labels, other": Kind(
        "", "no labels", ("labels/train00.png",), (hostile.forbidden, hostile.picture_bomb), (CHECK, COMPARE)
    ),
    "classes": Kind("classes", "no classes", LISTS, (hostile.odd_text,), (CHECK,)),
    "list of names": Kind("split", "no list", ("train.txt",), (hostile.odd_text,), (CHECK,)),
    "SBD .mat": Kind("sbd", "sbd", ("cls/2008_000002.mat",), (any_bytes, inside_matlab), (CHECK,)),
    "SBD bomb": Kind("", "sbd", ("cls/2008_000002.mat",), (hostile.matlab_bomb,), (CHECK,)),
    "labelme": annotated("labelme", "labelme"),
    "COCO": annotated("coco", "coco"),
    "Supervisely": annotated("supervisely", "supervisely"),
    "archive": Kind("archive", "archive", ("pictures.zip",), (any_bytes, hostile.odd_zip), (PRETRAIN,)),
    "config.json": run("config", places=("run/config.json",), damage=(any_json,)),
    "log.csv": run("log", places=("run/log.csv",), damage=(any_bytes,)),
    "last": run("last", places=("run/last.safetensors",), damage=(in_checkpoint,)),
    "metrics.json": run("metrics", scene="finished", places=("run/metrics.json",), damage=(any_json,)),
}
