"""What a report measures beside its runs: each result is a JSON file, and what is there is not measured again."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
from tqdm import tqdm

from minifcn.datasets import Dataset, open_dataset
from minifcn.datasets.dataset import scaled
from minifcn.datasets.transforms import Preprocessing
from minifcn.files import write_json
from minifcn.training import folder as runs
from minifcn.training.loop import Stopped
from minifcn.weights import load_model

from . import footprint, machine, objects, realtime, scenes, sizes, speed, stride, table
from .build import CEILING, FOOTPRINT, OBJECTS, REALTIME, SPEED, read
from .plan import VGG, Options, checkpoint_of
from .worker import reported_split

SCENES = 2  # with the largest objects, and as many with the smallest


def measure(folder: Path, options: Options, parts: list[str], stop) -> None:
    """Measure what the parts need, one thing after the other. Raises Stopped in between where `stop.requested`."""
    results = folder / "results"
    reported = reported_pictures(options.data, options)
    draw_scenes(folder, options, reported)
    todo = [lambda model=model: speed.measure(asdict(options.settings(model, VGG))) for model in objects.STRIDES]
    collect(results / f"{SPEED}.json", todo, stop, "speed")
    if "stride" in parts:
        collect(results / f"{CEILING}.json", [lambda: stride.ceiling(reported, progress="coarser truth")], stop)
        recall = reported_pictures(sizes.data_of(options), options)
        todo = [
            lambda model=model, seed=seed: recall_of(folder, options, model, seed, recall)
            for model in objects.STRIDES
            for seed in options.seeds
        ]
        collect(results / f"{OBJECTS}.json", todo, stop)
    if "footprint" in parts:
        todo = [lambda setting=setting: footprint.measure(**setting) for setting in footprint.SETTINGS]
        collect(results / f"{FOOTPRINT}.json", todo, stop, "memory at full width")
    if "realtime" in parts:
        settings = latencies(results, options, reported)
        todo = [lambda setting=setting: realtime.measure(**setting) for setting in settings]
        collect(results / f"{REALTIME}.json", todo, stop, "latency")


def reported_pictures(data: str, options: Options) -> Dataset:
    """The split that is reported, at the report's scale."""
    return scaled(open_dataset(data, reported_split(data)), options.scale)


def collect(path: Path, todo: list, stop, progress: str | None = None) -> None:
    """Make the records of a result that are not there yet, keeping each as soon as it is made."""
    here = {"machine": runs.machine(), "commit": machine.commit()}
    records = json.loads(path.read_text())["records"] if path.exists() else []
    left = todo[len(records) :]
    for make in tqdm(left, progress, disable=None if progress and left else True):
        if stop.requested:
            raise Stopped("stopped between two measurements")
        records.append(make() | here)
        write_json(path, {"of": len(todo), "records": records})


def recall_of(folder: Path, options: Options, model: str, seed: int, dataset: Dataset) -> dict:
    """How well a network of the report finds objects of each size."""
    network, meta = load_model(checkpoint_of(folder, sizes.run_name(options, model, seed)))
    preprocessing = Preprocessing.from_dict(meta["preprocessing"])
    return objects.measure(network, preprocessing, dataset, seed, f"objects, {model}, seed {seed}")


def draw_scenes(folder: Path, options: Options, dataset: Dataset) -> None:
    """The pictures with the largest and with the smallest objects, as the networks of the first seed see them."""
    if (folder / "results" / scenes.LIST).exists():
        return
    wanted = objects.wanted(dataset)
    diameters = []
    for i in tqdm(range(len(dataset)), "sizes of objects", unit="picture", leave=False):
        labels = dataset[i][1]
        found = [thing.diameter for thing in objects.objects(labels, labels, wanted)]
        diameters.append(float(np.mean(found)) if found else np.nan)
    checkpoints = {row: Path(checkpoint_of(folder, table.run_name(row, options.seeds[0]))) for row in scenes.NETWORKS}
    scenes.draw(folder / "results", dataset, scenes.extremes(diameters, SCENES), checkpoints)


def latencies(results: Path, options: Options, dataset: Dataset) -> list[dict]:
    """The settings to time: every network, both widths, the report's pictures and twice their size, one core and two.

    With those that the report trained goes the Jaccard of each network's best row.
    """
    found = read(results)
    height, width = dataset[0][1].shape
    settings = []
    for setting in realtime.settings([(height, width), (2 * height, 2 * width)]):
        if setting["trunk"] == options.trunk and setting["height"] == height:
            best = table.best_mean(setting["network"], found, options.seeds)
            setting |= {"jaccard": best, "data": dataset.name}
        settings.append(setting | {"classes": len(dataset.classes)})
    return settings
