"""Train an FCN: python -m minifcn.train

Without arguments it trains FCN-32s and, from it, FCN-16s on the embedded data set, toytown, and ends with a picture
that shows both. With --data it trains on your own pictures: a folder with images/, labels/ and classes.txt, or CamVid,
VOC or SBD as they are. training/settings.py declares the options.
"""

from pathlib import Path

from .command import command_line, command_parser
from .datasets import DRAWN, has_split, lasting_name, open_dataset, survey
from .errors import InputError, say
from .files import write_json
from .models import TRUNKS
from .training.evaluation import load
from .training.folder import say_written
from .training.recipes import of_stage, presets
from .training.segmentation import Segmentation, draw_samples, open_splits
from .training.settings import EPOCHS, TOYTOWN_STEPS, SegmentationSettings, TrainOptions, read, steps_for
from .training.task import run_command
from .weights import WeightFile, open_weights
from .weights.shipped import SCRATCH, SHIPPED, find_weights, shipped_files

CHAIN = ["fcn32s", "fcn16s"]  # --model, where it is not given


def options(argv=None) -> tuple[TrainOptions, dict]:
    p = command_parser("train", "[--data DATA] [--model M ...] [options]", "Train fully convolutional networks.")
    return read(p, argv, SegmentationSettings, TrainOptions)


def main(argv=None) -> int:
    return run_command(Segmentation, *options(argv), plan, report, own=argv is None)


def plan(opts: TrainOptions, given: dict) -> tuple[list[SegmentationSettings], tuple, WeightFile | None]:
    """Open data and weights; return the settings of each network to train, and what was opened."""
    given = {"data": SegmentationSettings.data} | given
    splits = open_splits(given["data"], side=given.get("side", 0))
    survey.check(given["data"], [split for split in splits if split], opts.allow_absent)
    trunk = given.get("trunk", SegmentationSettings.trunk)
    init = given.get("init", SHIPPED if trunk in shipped_files("weights") else SCRATCH)
    path = None if init == SCRATCH else find_weights(init, trunk)
    given["init"], file = (str(path), open_weights(path)) if path else (None, None)
    stages = stages_of(opts, given, splits[0], file)
    models, s = [s.model for s in stages], stages[0]
    if len(set(models)) < len(models):
        raise InputError(f"--model: expected each network once, received {' '.join(models)}")
    if s.low_memory and (s.accumulate > 1 or s.clip):
        other = f"--accumulate {s.accumulate}" if s.accumulate > 1 else f"--clip {s.clip:g}"
        raise InputError(f"--low-memory and {other}: no gradient is kept to add up or to clip; leave one of them out")
    if not path and (s.freeze or s.pretrained_lr != 1):
        raise InputError(f"--freeze {s.freeze}, --pretrained-lr {s.pretrained_lr:g}: need weights; give --init FILE")
    return stages, splits, file


def stages_of(opts: TrainOptions, given: dict, train_set, file: WeightFile | None) -> list[SegmentationSettings]:
    """The settings of each network: as given, else as the recipe presets, else as fits the data, else the defaults."""
    built = file.meta.get("model", {}) if file else {}
    models, chosen = given.get("model", CHAIN), {"fc": built.get("fc")} | presets(opts.recipe, given)
    first = SegmentationSettings(**chosen | {"model": models[0], "steps": 1})
    pictures = first.batch * first.accumulate
    height, width = first.crop or train_set.survey.shapes[0]
    pixels = 1 if first.reduction == "mean" else pictures * height * width  # a sum's gradient is so many times a mean's
    clip = 0.0 if first.low_memory else SegmentationSettings.clip * pixels
    # Where the score layers of the FCN in the file are taken over, so are the scales that they were trained with.
    score_fr = (1, 1, first.fc or TRUNKS[first.trunk].fc, len(train_set.classes))
    kept = file and any(x.name == "score_fr.weight" and x.shape == score_fr for x in file.arrays)
    scale = tuple((built if kept else {}).get("skip_scale", SegmentationSettings.skip_scale))
    preset = TOYTOWN_STEPS if given["data"] in DRAWN else None
    stages = []
    for i, model in enumerate(models):
        at_once = i == 0 and model != "fcn32s" and not kept
        stage = {"lr": SegmentationSettings.lr / pixels, "clip": clip, "skip_scale": scale} | chosen
        stage |= of_stage(opts.recipe, model, at_once, pictures) | given
        stage["steps"] = steps_for(opts, given, first, len(train_set), EPOCHS, stage.get("steps", preset))
        stages.append(SegmentationSettings(**stage | {"model": model, "data": lasting_name(given["data"])}))
        scale = stages[-1].skip_scale  # score layers that the next one takes over were trained with it
    return stages


def report(folder: Path, folders: list[Path], stages: list, metrics: list[dict], where: str) -> None:
    """Draw what a chain predicts side by side; the last lines: each network's summary, and every file written."""
    if len(folders) > 1:
        data, networks = stages[0].data, {place.name: load(place / "last.safetensors", where) for place in folders}
        dataset = open_dataset(data, next(split for split in ("test", "val", "train") if has_split(data, split)))
        draw_samples(folder / "samples.png", dataset, networks)
        write_json(folder / "metrics.json", {m["model"]: m for m in metrics})
    say("", *(m["summary"] for m in metrics))
    for place in dict.fromkeys([*folders, folder]):
        say_written(place)
    say(f"look at {folder / 'samples.png'}")


if __name__ == "__main__":
    command_line(main)
