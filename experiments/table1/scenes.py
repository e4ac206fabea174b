"""The report's pictures: scenes with large objects and scenes with small ones, as each network sees them."""

import json
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from minifcn.datasets import Dataset
from minifcn.figures import save_label_png
from minifcn.files import atomic_file, write_json
from minifcn.training.evaluation import load, predict

from .blocks import Scenes
from .objects import objects, wanted
from .table import ROWS

NETWORKS = ("fcn32s_vgg", "fcn16s_fcn32s", "fcn8s_fcn16s")
REPORTED = ("picture", "truth", ROWS["fcn16s_fcn32s"].name)  # what the lab report's figures show
LIST = "scenes.json"
NAMES = {"large": "Large objects", "small": "Small objects"}
COUNT = 2  # with the largest objects, and as many with the smallest


def diameters(dataset: Dataset) -> list[float]:
    """The mean diameter of each picture's objects, NaN without objects."""
    found, classes = [], wanted(dataset)
    for i in tqdm(range(len(dataset)), "sizes of objects", unit="picture", leave=False):
        labels = dataset[i][1]
        sizes = [thing.diameter for thing in objects(labels, labels, classes)]
        found.append(float(np.mean(sizes)) if sizes else np.nan)
    return found


def extremes(diameters: list[float], count: int = COUNT) -> dict[str, list[int]]:
    """The pictures with the largest and with the smallest objects. diameters: their means, NaN without objects."""
    order = [i for i in np.argsort(diameters).tolist() if not np.isnan(diameters[i])]
    return {"large": order[::-1][:count], "small": order[:count]}


def draw(folder: Path, dataset: Dataset, chosen: dict[str, list[int]], checkpoints: dict[str, Path]) -> None:
    """Write scenes.json and, for each scene, its layers as PNGs. checkpoints: of NETWORKS, by row."""
    networks = {ROWS[row].name: load(path) for row, path in checkpoints.items()}
    listed = {kind: [] for kind in chosen}
    for kind, i in ((kind, i) for kind, indices in chosen.items() for i in indices):
        picture, labels = dataset[i]
        layers = {"truth": labels}
        for name, model in networks.items():
            layers[name] = predict(model, picture)
        files = {name: f"{kind}_{dataset.names[i]}_{k}.png" for k, name in enumerate(["picture", *layers])}
        with atomic_file(folder / files["picture"]) as file:
            Image.fromarray(picture).save(file, format="PNG")
        for name, x in layers.items():
            save_label_png(folder / files[name], x, dataset.palette)
        listed[kind].append(files)
    # last: it marks complete scenes
    write_json(folder / LIST, {"scenes": listed, "classes": dataset.classes, "palette": dataset.palette.tolist()})


def read(folder: Path) -> list[Scenes]:
    """The blocks of what `draw` wrote; none where it wrote nothing, and none without pictures."""
    if not (folder / LIST).exists():
        return []
    content = json.loads((folder / LIST).read_text())
    palette, found = np.array(content["palette"], np.uint8), []
    for kind, scenes in content["scenes"].items():
        layers = [{name: np.asarray(Image.open(folder / file)) for name, file in files.items()} for files in scenes]
        caption = f"{NAMES[kind]}: picture, truth and networks"
        if layers:  # none where nothing is large enough to be an object
            found.append(Scenes(f"{kind}_objects", caption, layers, content["classes"], palette))
    return found
