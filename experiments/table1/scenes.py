"""The report's pictures: a scene with large objects and one with small ones, as each network sees them."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from minifcn.datasets import Dataset
from minifcn.datasets.transforms import Preprocessing
from minifcn.figures import colourise
from minifcn.files import atomic_file, write_json
from minifcn.training.evaluation import predict
from minifcn.weights import load_model

from .blocks import Scenes
from .table import ROWS

NETWORKS = ("fcn32s_vgg", "fcn16s_fcn32s", "fcn8s_fcn16s")
REPORTED = ("picture", "truth", ROWS["fcn16s_fcn32s"].name)  # what the lab report's figures show
LIST = "scenes.json"
NAMES = {"large": "Large objects", "small": "Small objects"}


def extremes(diameters: list[float], count: int) -> dict[str, list[int]]:
    """The pictures with the largest and with the smallest objects. diameters: their means, NaN without objects."""
    order = [i for i in np.argsort(diameters) if not np.isnan(diameters[i])]  # NaN is sorted last
    return {"large": [int(i) for i in order[::-1][:count]], "small": [int(i) for i in order[:count]]}


def draw(folder: Path, dataset: Dataset, chosen: dict[str, list[int]], checkpoints: dict[str, Path]) -> None:
    """Write scenes.json and, for each scene, its layers as PNGs. checkpoints: of NETWORKS, by row."""
    networks = {ROWS[row].name: load_model(path) for row, path in checkpoints.items()}
    listed = {}
    for kind, indices in chosen.items():
        listed[kind] = []
        for i in indices:
            picture, labels = dataset[i]
            layers = {"picture": picture, "truth": colourise(labels, dataset.palette)}
            for name, (model, meta) in networks.items():
                x = Preprocessing.from_dict(meta["preprocessing"]).apply(picture)[None]
                layers[name] = colourise(predict(model, x)[0], dataset.palette)
            files = {name: f"{kind}_{dataset.names[i]}_{k}.png" for k, name in enumerate(layers)}
            for name, file in files.items():
                with atomic_file(folder / file) as opened:
                    Image.fromarray(layers[name]).save(opened, format="PNG")
            listed[kind].append(files)
    content = {"scenes": listed, "classes": dataset.classes, "palette": dataset.palette.tolist()}
    write_json(folder / LIST, content)  # last: it marks complete scenes


def read(folder: Path) -> list[Scenes]:
    """The blocks of what `draw` wrote; none where it wrote nothing."""
    if not (folder / LIST).exists():
        return []
    content = json.loads((folder / LIST).read_text())
    palette = np.array(content["palette"], np.uint8)
    return [
        Scenes(
            f"{kind}_objects",
            f"{NAMES[kind]}: picture, truth and networks",
            [
                {name: np.asarray(Image.open(folder / file).convert("RGB")) for name, file in files.items()}
                for files in scenes
            ],
            content["classes"],
            palette,
        )
        for kind, scenes in content["scenes"].items()
        if scenes  # none where nothing is large enough to be an object
    ]
