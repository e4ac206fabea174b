"""What a report measures beside its runs: each result is a JSON file, and what is there is not measured again."""

import json
from functools import partial
from itertools import product
from pathlib import Path

from tqdm import tqdm

from minifcn.datasets import TOYTOWN, Dataset, open_dataset
from minifcn.datasets.dataset import scaled
from minifcn.files import write_json
from minifcn.models import MODELS
from minifcn.training.evaluation import load
from minifcn.training.loop import Stopped
from minifcn.training.machine import machine

from . import cost, objects, scenes, stride, table
from .build import CEILING, FOOTPRINT, OBJECTS, REALTIME, SPEED, read
from .jobs import VGG, Job, Options, checkpoint_of, commit, reported_split

SIZES = "toytown_sizes"  # scenes with objects of all sizes


# --- the networks whose recall is measured: each from VGG weights, and on toytown trained for it, on all sizes ---


def run_name(options: Options, model: str, seed: int) -> str:
    return f"stride/{model}/seed{seed}" if options.data == TOYTOWN else table.run_name(f"{model}_vgg", seed)


def jobs(options: Options) -> list[Job]:
    """The runs that the table does not have, with the learning rates that it chose."""
    if options.data != TOYTOWN:
        return []
    for split in ("train", reported_split(SIZES)):
        open_dataset(SIZES, split)  # draws it, before several runs need it at once
    made = []
    for model, seed in product(MODELS, options.seeds):
        like = table.run_name(f"{model}_vgg", options.seeds[0])
        settings = options.settings(model, VGG, seed=seed, data=SIZES)
        made.append(Job(run_name(options, model, seed), settings, (like,), rate_of=like))
    return made


# --- measuring ---


def measure(folder: Path, options: Options, stop) -> None:
    """Measure what the parts need, one thing after the other. Raises Stopped in between where `stop.requested`."""
    reported, results = reported_pictures(options.data, options), folder / "results"
    if not (results / scenes.LIST).exists():
        networks = {row: checkpoint_of(folder, table.run_name(row, options.seeds[0])) for row in scenes.NETWORKS}
        scenes.draw(results, reported, scenes.extremes(scenes.diameters(reported)), networks)
    height, width = reported[0][1].shape
    speed = {"trunk": options.trunk, "pad": "same", "height": height, "width": width, "batch": options.batch}
    speed |= {"classes": len(reported.classes), "fc": options.fc}
    latencies = cost.latencies([(height, width), (2 * height, 2 * width)], len(reported.classes))
    makers = {
        SPEED: [partial(cost.measure, cost.speed, {"network": model} | speed, threads=1) for model in MODELS],
        CEILING: [partial(stride.ceiling, reported, progress="coarser truth")],
        OBJECTS: [partial(recall_of, folder, options, *run) for run in product(MODELS, options.seeds)],
        FOOTPRINT: [partial(cost.measure, cost.train, setting) for setting in cost.FOOTPRINTS],
        REALTIME: [partial(latency_of, folder, options, reported, setting) for setting in latencies],
    }
    wanted = {SPEED, *options.parts, *[CEILING, OBJECTS] * ("stride" in options.parts)}
    for name in makers:
        if name in wanted:
            collect(results / f"{name}.json", makers[name], stop)


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
        records.append(make() | {"machine": machine(), "commit": commit()})
        write_json(path, {"of": len(makers), "records": records})


def recall_of(folder: Path, options: Options, model: str, seed: int) -> dict:
    """How well a network of the report finds objects of each size."""
    network = load(checkpoint_of(folder, run_name(options, model, seed)))
    reported = reported_pictures(SIZES if options.data == TOYTOWN else options.data, options)
    return objects.measure(network, reported, seed, f"objects, {model}, seed {seed}")


def latency_of(folder: Path, options: Options, dataset: Dataset, setting: dict) -> dict:
    """The latency of a setting; with those that the report trained goes the Jaccard of the network's best row."""
    found = cost.measure(cost.segment, setting) | {"jaccard": None, "data": None}
    if setting["trunk"] == options.trunk and setting["height"] == dataset[0][1].shape[0]:
        found["jaccard"] = table.best_mean(setting["network"], read(folder / "results"), options.seeds)
        found["data"] = dataset.name
    return found
