"""Train an FCN: python -m minifcn.train

Without arguments it trains FCN-32s and, from it, FCN-16s on the embedded data set, toytown, and ends with a picture
that shows both. With --data it trains on your own pictures: a folder with images/, labels/ and classes.txt, or CamVid's
layout. training/settings.py declares the options.
"""

import argparse
from dataclasses import replace
from pathlib import Path

from . import device
from .command import command_line, command_parser
from .datasets import DRAWN, has_split, lasting_name, open_dataset
from .datasets.transforms import Preprocessing
from .errors import InputError
from .files import write_json
from .training import options
from .training.folder import go_on_with, new_folder, read_config, stopping, write_config
from .training.loop import Stopped
from .training.recipes import of_stage, presets
from .training.segmentation import Segmentation, Splits, check_labelled, draw_samples, open_splits, run_stage
from .training.settings import EPOCHS, TOYTOWN_STEPS, SegmentationSettings, TrainOptions
from .weights import WeightFile, load_model, open_weights
from .weights.shipped import SCRATCH, SHIPPED, find_weights, shipped_files

CHAIN = ["fcn32s", "fcn16s"]  # --model, where it is not given


def parser(everything: bool = False) -> argparse.ArgumentParser:
    p = command_parser("train", "[--data DATA] [--model M ...] [options]", "Train fully convolutional networks.")
    return options.add_options(p, SegmentationSettings, TrainOptions, everything=everything)


def main(argv=None) -> int:
    opts, given = options.read(parser, argv, TrainOptions, SegmentationSettings)
    device.start(opts.device)  # where there is none, before anything is written
    if opts.resume is not None:
        folder, task = Path(opts.resume), None
        stages = read_config(folder, SegmentationSettings, given.get("data"))
    else:
        folder, stages, task = begin(opts, given)
    folders = [folder] if len(stages) == 1 else [folder / s.model for s in stages]
    scores = {}
    try:
        with stopping() as stop:
            for i, (stage, place) in enumerate(zip(stages, folders, strict=True)):
                if i > 0:
                    stage, task = replace(stage, init=str(folders[i - 1] / "last.safetensors")), None
                scores[stage.model] = run_stage(place, stage, opts.device, stop, task)
    except Stopped as stopped:
        print(f"\n{stopped}\n{go_on_with('train', folder, opts.device)}")
        return 130
    if len(stages) > 1:
        compare(folder, folders, stages[0].data, opts.device)
        write_json(folder / "metrics.json", scores)
    report(folder, folders, scores)
    return 0


def begin(opts: TrainOptions, given: dict) -> tuple[Path, list[SegmentationSettings], Segmentation]:
    """Build the first network, then make the folder: a refused run leaves none. Return folder, settings and network."""
    stages, splits, file = plan(opts, given)
    task = Segmentation(stages[0], opts.device, splits)
    task.initialise(file)
    folder = new_folder(Path(opts.out), opts.name or Path(stages[0].data).name)
    write_config(folder, stages, opts.device)
    return folder, stages, task


def plan(opts: TrainOptions, given: dict) -> tuple[list[SegmentationSettings], Splits, WeightFile | None]:
    """Open data and weights; return the settings of each network to train, and what was opened."""
    given = {"data": SegmentationSettings.data} | given
    splits = open_splits(given["data"])
    check_labelled(given["data"], splits[0])
    given["init"], file = find_start(given)
    stages = stages_of(opts, given, splits[0], file)
    check_together(stages)
    return stages, splits, file


def find_start(given: dict) -> tuple[str | None, WeightFile | None]:
    """The file to start from, and what is in it."""
    trunk = given.get("trunk", SegmentationSettings.trunk)
    init = given.get("init") or (SHIPPED if trunk in shipped_files("weights") else SCRATCH)
    if init == SCRATCH:
        return None, None
    path = find_weights(init, trunk)
    return str(path), open_weights(path)


def stages_of(opts: TrainOptions, given: dict, train_set, file: WeightFile | None) -> list[SegmentationSettings]:
    """The settings of each network: as given, else as the recipe presets, else as fits the data, else the defaults."""
    models, chosen = given.get("model", CHAIN), presets(opts.recipe, given)
    first = SegmentationSettings(**chosen | {"model": models[0], "steps": 1})
    pictures = first.batch * first.accumulate
    height, width = first.crop or train_set[0][1].shape
    pixels = 1 if first.reduction == "mean" else pictures * height * width  # a sum's gradient is so many times a mean's
    fitting = {
        "lr": SegmentationSettings.lr / pixels,
        "clip": 0.0 if first.low_memory else SegmentationSettings.clip * pixels,
    }
    start = begun_with(file, len(train_set.classes))
    stages, scale = [], tuple((start or {}).get("skip_scale", SegmentationSettings.skip_scale))
    for i, model in enumerate(models):
        at_once = i == 0 and model != "fcn32s" and start is None
        stage = fitting | {"skip_scale": scale} | chosen | of_stage(opts.recipe, model, at_once, pictures) | given
        preset = stage.get("steps", TOYTOWN_STEPS if given["data"] in DRAWN else None)
        stage["steps"] = options.steps_for(opts, given, first, len(train_set), EPOCHS, preset)
        stages.append(SegmentationSettings(**stage | {"model": model, "data": lasting_name(given["data"])}))
        scale = stages[-1].skip_scale  # score layers that the next one takes over were trained with it
    return stages


def begun_with(file: WeightFile | None, num_classes: int) -> dict | None:
    """How the FCN in a file was built, where its score layers are taken over; else None."""
    arrays = file.arrays if file else []
    scores = any(array.name == "score_fr.bias" and array.shape == (num_classes,) for array in arrays)
    return file.meta.get("model", {}) if scores else None


def check_together(stages: list[SegmentationSettings]) -> None:
    """Raise InputError for options that do not go together."""
    models, s = [s.model for s in stages], stages[0]
    if len(set(models)) < len(models):
        raise InputError(f"--model: expected each network once, received {' '.join(models)}")
    if s.low_memory and (s.accumulate > 1 or s.clip):
        other = f"--accumulate {s.accumulate}" if s.accumulate > 1 else f"--clip {s.clip:g}"
        raise InputError(f"--low-memory and {other}: no gradient is kept to add up or to clip; leave one of them out")


def compare(folder: Path, folders: list[Path], data: str, where: str) -> None:
    """samples.png of a chain: picture, truth, and each network's prediction."""
    networks = {}
    for place in folders:
        model, meta = load_model(place / "last.safetensors", where)
        networks[place.name] = (model, Preprocessing.from_dict(meta["preprocessing"]))
    dataset = open_dataset(data, next(split for split in ("test", "val", "train") if has_split(data, split)))
    draw_samples(folder / "samples.png", dataset, networks)


def report(folder: Path, folders: list[Path], scores: dict) -> None:
    """The last lines: each network's Jaccard, and every file written."""
    print()
    for model, metrics in scores.items():
        split = "test" if "test" in metrics else "val"
        found = metrics["test"] if "test" in metrics else (metrics["validations"] or [{"jaccard": None}])[-1]
        score = "not measured" if found["jaccard"] is None else f"{100 * found['jaccard']:.1f} %"
        print(f"{model}: {split} Jaccard {score}, trained {metrics['steps']} steps in {metrics['train_seconds']:.0f} s")
    for place in dict.fromkeys([*folders, folder]):
        print(f"wrote {', '.join(str(path) for path in sorted(place.iterdir()) if path.is_file())}")
    print(f"look at {folder / 'samples.png'}")


if __name__ == "__main__":
    command_line(main)
