"""What a report measures beside its runs: each result is a JSON file, and what is there is not measured again."""

import json
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
from tqdm import tqdm

from minifcn.datasets import TOYTOWN, Dataset, open_dataset
from minifcn.datasets.dataset import scaled
from minifcn.datasets.transforms import Preprocessing
from minifcn.files import write_json
from minifcn.models import MODELS
from minifcn.training.loop import Stopped
from minifcn.training.machine import machine as describe_machine
from minifcn.weights import load_model

from . import cost, machine, objects, scenes, stride, table
from .build import CEILING, FOOTPRINT, OBJECTS, REALTIME, SPEED, read
from .jobs import Job, reported_split
from .plan import VGG, Options, checkpoint_of

SIZES = "toytown_sizes"  # scenes with objects of all sizes
SCENES = 2  # with the largest objects, and as many with the smallest


# --- the networks whose recall is measured: each from VGG weights, and on toytown trained for it, on all sizes ---


def data_of(options: Options) -> str:
    return SIZES if options.data == TOYTOWN else options.data


def run_name(options: Options, model: str, seed: int) -> str:
    return f"stride/{model}/seed{seed}" if options.data == TOYTOWN else table.run_name(f"{model}_vgg", seed)


def jobs(options: Options) -> list[Job]:
    """The runs that the table does not have, with the learning rates that it chose."""
    if "stride" not in options.parts or options.data != TOYTOWN:
        return []
    for split in ("train", reported_split(SIZES)):
        open_dataset(SIZES, split)  # draws it, before several runs need it at once
    like = {model: table.run_name(f"{model}_vgg", options.seeds[0]) for model in MODELS}

    def settings(model: str, seed: int, records: dict[str, dict]):
        return options.settings(model, VGG, lr=records[like[model]]["settings"]["lr"], seed=seed, data=SIZES)

    return [
        Job(run_name(options, model, seed), options.steps, partial(settings, model, seed), [like[model]])
        for model, seed in product(MODELS, options.seeds)
    ]


# --- measuring ---


def measure(folder: Path, options: Options, stop) -> None:
    """Measure what the parts need, one thing after the other. Raises Stopped in between where `stop.requested`."""
    reported = reported_pictures(options.data, options)
    draw_scenes(folder, options, reported)
    height, width = reported[0][1].shape
    shape = {"height": height, "width": width, "classes": len(reported.classes)}
    speeds = [{"network": m, "trunk": options.trunk, "pad": "same", "batch": options.batch, **shape} for m in MODELS]
    latencies = cost.latencies([(height, width), (2 * height, 2 * width)], len(reported.classes))
    makers = {
        SPEED: [partial(cost.measure_speed, setting) for setting in speeds],
        CEILING: [partial(stride.ceiling, reported, progress="coarser truth")],
        OBJECTS: [partial(recall_of, folder, options, *run) for run in product(MODELS, options.seeds)],
        FOOTPRINT: [partial(cost.measure, cost.train, setting) for setting in cost.FOOTPRINTS],
        REALTIME: [partial(latency_of, folder, options, reported, setting) for setting in latencies],
    }
    wanted = {SPEED, *options.parts, *[CEILING, OBJECTS] * ("stride" in options.parts)}
    for name in makers:
        if name in wanted:
            collect(folder / "results" / f"{name}.json", makers[name], stop)


def reported_pictures(data: str, options: Options) -> Dataset:
    """The split that is reported, at the report's scale."""
    return scaled(open_dataset(data, reported_split(data)), options.scale)


def collect(path: Path, makers: list, stop) -> None:
    """Make the records of a result that are not there yet, keeping each as soon as it is made."""
    records = json.loads(path.read_text())["records"] if path.exists() else []
    left = makers[len(records) :]
    for make in tqdm(left, path.stem, disable=None if left else True):
        if stop.requested:
            raise Stopped("stopped between two measurements")
        records.append(make() | {"machine": describe_machine(), "commit": machine.commit()})
        write_json(path, {"of": len(makers), "records": records})


def recall_of(folder: Path, options: Options, model: str, seed: int) -> dict:
    """How well a network of the report finds objects of each size."""
    network, meta = load_model(checkpoint_of(folder, run_name(options, model, seed)))
    prepared, reported = Preprocessing.from_dict(meta["preprocessing"]), reported_pictures(data_of(options), options)
    return objects.measure(network, prepared, reported, seed, f"objects, {model}, seed {seed}")


def latency_of(folder: Path, options: Options, dataset: Dataset, setting: dict) -> dict:
    """The latency of a setting; with those that the report trained goes the Jaccard of the network's best row."""
    found = cost.measure(cost.segment, setting) | {"jaccard": None, "data": None}
    if setting["trunk"] == options.trunk and setting["height"] == dataset[0][1].shape[0]:
        found["jaccard"] = table.best_mean(setting["network"], read(folder / "results"), options.seeds)
        found["data"] = dataset.name
    return found


def draw_scenes(folder: Path, options: Options, dataset: Dataset) -> None:
    """The pictures with the largest and with the smallest objects, as the networks of the first seed see them."""
    if (folder / "results" / scenes.LIST).exists():
        return
    wanted, diameters = objects.wanted(dataset), []
    for i in tqdm(range(len(dataset)), "sizes of objects", unit="picture", leave=False):
        labels = dataset[i][1]
        found = [thing.diameter for thing in objects.objects(labels, labels, wanted)]
        diameters.append(float(np.mean(found)) if found else np.nan)
    checkpoints = {row: Path(checkpoint_of(folder, table.run_name(row, options.seeds[0]))) for row in scenes.NETWORKS}
    scenes.draw(folder / "results", dataset, scenes.extremes(diameters, SCENES), checkpoints)
