"""docs/results.md as text, section by section, from the records in docs/results."""

import json
from dataclasses import fields
from pathlib import Path
from statistics import mean

from experiments.table1 import build, scenes
from experiments.table1.blocks import Plot, markdown
from experiments.table1.build import machine_line
from experiments.table1.jobs import ROOT
from minifcn.datasets.toytown import THIN, WIDE
from minifcn.training.settings import SegmentationSettings
from minifcn.weights.shipped import shipped_files

RECORDS, PAGE = ROOT / "docs" / "results", ROOT / "docs" / "results.md"
LONG = "toytown_long_fcn32s"  # an FCN-32s trained for longer: what colour and position alone are compared with
FULL_WIDTH = "full_width_fcn16s"  # experiments/full_width.py makes it
CAMVID = ("camvid_fcn8s", "camvid_fcn8s_vgg")  # the same run from scratch and from the shipped weights
ABSENT = ("voc",)  # data sets of which a class occurs in no training picture
COUNTED = {"voc": "background cat cow dog horse person sheep".split()}  # those in at least 200 training pictures
CHAIN = "toytown_chain"  # a record: the main job
SEEDS, MODELS = (0, 1, 2), ("fcn32s", "fcn16s", "fcn8s")
SCENES = {f"{kind}_objects.png": f"{text}: picture, truth, FCN-16s" for kind, text in scenes.NAMES.items()}


def report() -> str:
    records = {path.stem: json.loads(path.read_text()) for path in sorted(RECORDS.glob("*.json"))}
    toytown = {name: r for name, r in records.items() if name.startswith("toytown_fcn")}
    others = {name: r for name, r in records.items() if name not in toytown and "settings" in r}
    lines = ["# Results", "", "Written by `python -m experiments.results report` from docs/results/*.json.", ""]
    for folder in sorted(RECORDS.glob("table1_*"), reverse=True):  # voc, toytown, camvid
        lines += table1_section(folder)
    lines += toytown_section(toytown)
    if CHAIN in records:
        lines += chain_section(records[CHAIN])
    if all(name in records for name in CAMVID):
        lines += camvid_section(*(records[name]["metrics"] for name in CAMVID))
    for name, record in records.items():
        if "stages" in record:
            lines += networks_section(name, record)
    if FULL_WIDTH in records:
        lines += full_width_section(records[FULL_WIDTH])
    if "colour_position" in records:
        lines += colour_section(records["colour_position"], records[LONG])
    for name, record in others.items():
        lines += run_section(name, record)
    return "\n".join(lines) + "\n"


def table1_section(folder: Path) -> list[str]:
    """A report of minifcn.table1, from the JSON files of its runs and measurements."""
    pictures = [Plot(name.removesuffix(".png"), b"", text) for name, text in SCENES.items() if (folder / name).exists()]
    return [markdown(build.report(build.read(folder), pictures), f"results/{folder.name}/", level=2)]


def toytown_section(records: dict) -> list[str]:
    some = next(iter(records.values()))
    settings = some["settings"]
    lines = [
        "## Toytown: 32s, 16s and 8s from scratch",
        "",
        f"`python -m experiments.results run`: {settings['steps']} steps of {settings['batch']} pictures each, trunk "
        f"{settings['trunk']}, lr {settings['lr']:g} {settings['schedule']} on the {settings['reduction']} loss, seeds "
        f"{', '.join(map(str, SEEDS))}. Jaccard in per cent on the 200 test pictures, last checkpoint: mean over the "
        f"seeds, and in brackets the lowest and highest. Thin: {', '.join(THIN)}. Large: {', '.join(WIDE)}. "
        "Seconds are of one thread, with other work on the machine's second core.",
        "",
        machine_line([*records.values()]),
        "",
        "| network | Jaccard | thin | large | pixel accuracy | training, s | peak memory, GB |",
        "|---|---|---|---|---|---|---|",
    ]
    for model in MODELS:
        metrics = [r["metrics"] for r in records.values() if r["settings"]["model"] == model]
        scores = [m["test"] for m in metrics]
        columns = [
            [100 * s["jaccard"] for s in scores],
            [100 * mean(s["class_jaccard"][c] for c in THIN) for s in scores],
            [100 * mean(s["class_jaccard"][c] for c in WIDE) for s in scores],
            [100 * s["pixel_accuracy"] for s in scores],
            [m["train_seconds"] for m in metrics],
        ]
        peak = [m["peak_memory_bytes"] / 1e9 for m in metrics]
        cells = [f"{mean(c):.1f} ({min(c):.1f} to {max(c):.1f})" for c in columns] + [f"{max(peak):.2f}"]
        lines.append(f"| {model} | {' | '.join(cells)} |")
    return [*lines, "", *class_table(records), ""]


def chain_section(record: dict) -> list[str]:
    """The main job before and after there were pretrained weights to start from."""
    lines = [
        "## The main job, from scratch and from the shipped VGG weights",
        "",
        f"`python -m experiments.results chain`: FCN-32s, then FCN-16s from its weights, {record['steps']} steps of 2 "
        f"pictures each, all by default but --init and --seed ({', '.join(map(str, SEEDS))}). Jaccard in per cent on "
        "the 200 test pictures: mean, and in brackets the lowest and highest.",
        "",
        machine_line([record]),
        "",
        "| --init | FCN-32s | FCN-16s | training both, s |",
        "|---|---|---|---|",
    ]
    for init, chains in record["chains"].items():
        columns = [[100 * chain[model]["jaccard"] for chain in chains] for model in ("fcn32s", "fcn16s")]
        columns.append([sum(chain[m]["train_seconds"] for m in ("fcn32s", "fcn16s")) for chain in chains])
        cells = [f"{mean(c):.1f} ({min(c):.1f} to {max(c):.1f})" for c in columns]
        lines.append(f"| {init} | {' | '.join(cells)} |")
    return [*lines, ""]


def camvid_section(scratch: dict, vgg: dict) -> list[str]:
    """The same network and steps, from scratch and from the shipped weights: Jaccard over training time."""
    lines = [
        "## CamVid, from scratch and from the shipped VGG weights",
        "",
        f"The runs {' and '.join(CAMVID)}, whose commands stand below: same network, steps and settings but --init.",
        "Jaccard in per cent on val. A step is the same work in both; minutes differ with the version of minifcn and",
        "with what else ran on the machine.",
        "",
        "| step | scratch | VGG weights | minutes, scratch | minutes, VGG weights |",
        "|---|---|---|---|---|",
    ]
    for a, b in zip(scratch["validations"], vgg["validations"], strict=True):
        assert a["step"] == b["step"]
        minutes = " | ".join(f"{v['seconds'] / 60:.1f}" for v in (a, b))
        lines.append(f"| {a['step']} | {100 * a['jaccard']:.1f} | {100 * b['jaccard']:.1f} | {minutes} |")
    return [*lines, ""]


def networks_section(name: str, record: dict) -> list[str]:
    """A chain: each network trained from the one before."""
    stages, metrics = record["stages"], record["metrics"]
    lines = [
        f"## {name}: each network from the one before",
        "",
        command(stages),
        "",
        machine_line([record]),
        "",
        f"{stages[0]['steps']} steps of {stages[0]['batch']} pictures a network. Steps and minutes include those of "
        "the networks before (some other work was on the machine). Scores of the last checkpoints on val, in per cent:",
        "",
        "| network | steps | minutes | peak memory, GB | Jaccard | pixel accuracy | mean accuracy | f.w. IU |",
        "|---|---|---|---|---|---|---|---|",
    ]
    steps = seconds = 0
    for model, m in metrics.items():
        steps, seconds = steps + m["steps"], seconds + m["train_seconds"]
        first = f"{model} | {steps} | {seconds / 60:.1f} | {m['peak_memory_bytes'] / 1e9:.2f}"
        lines.append(score_row(first, m["validations"][-1]))
    return [*lines, ""]


def full_width_section(record: dict) -> list[str]:
    return [
        "## FCN-16s at full width, from a torchvision file",
        "",
        f"`python -m experiments.full_width CAMVID`, which runs `{record['command']}`: {record['steps']} steps "
        "on whole CamVid pictures of 360 x 480. The file is written by PyTorch as the published one is; "
        "its values are random.",
        "",
        machine_line([record]),
        "",
        "| seconds a step | peak memory, GB | an epoch of 8,498 SBD pictures, hours | loss, first 10 steps | last 10 |",
        "|---|---|---|---|---|",
        f"| {record['seconds_a_step']:.2f} | {record['peak_memory_bytes'] / 1e9:.2f} | "
        f"{record['hours_an_epoch_of_sbd']:.1f} | {record['loss_first_10']:.2f} | {record['loss_last_10']:.2f} |",
        "",
        "SBD's pictures are up to 500 x 500, 1.4 times as many pixels, so its epoch is that much longer at most.",
        "",
    ]


def command(stages: list[dict]) -> str:
    """The command that makes this run again, of one network or a chain; options not named have their defaults."""
    settings = stages[0]
    named = ("model", "data", "steps", "batch", "lr", "warmup", "clip", "dropout", "val_every", "seed")
    words = {name: settings[name] for name in named} | {"model": " ".join(stage["model"] for stage in stages)}
    for f in fields(SegmentationSettings):
        value, default = (list(x) if isinstance(x, tuple) else x for x in (settings.get(f.name, f.default), f.default))
        if f.metadata.get("help") and f.name not in words and value != default:
            words[f.name] = " ".join(map(str, value)) if isinstance(value, list) else value
    shipped = {f"{settings['trunk']}.safetensors": "vgg"}
    shipped |= {path.name: name for name, path in shipped_files("models").items()}
    words["init"] = shipped.get(settings["init"], settings["init"] or "scratch")
    options = " ".join(f"--{name.replace('_', '-')} {value}" for name, value in words.items())
    return f"`python -m minifcn.train {options}{' --allow-absent' * (settings['data'] in ABSENT)}`"


def score_row(split: str, scores: dict) -> str:
    keys = ("jaccard", "pixel_accuracy", "mean_accuracy", "frequency_weighted_jaccard")
    return f"| {split} | {' | '.join(f'{100 * scores[key]:.1f}' for key in keys)} |"


def class_table(records: dict) -> list[str]:
    """Each class's Jaccard, mean over the seeds."""
    lines = [f"| class | {' | '.join(MODELS)} |", "|---|" + "---|" * len(MODELS)]
    for name in (*WIDE, *THIN):
        cells = []
        for model in MODELS:
            metrics = [r["metrics"] for r in records.values() if r["settings"]["model"] == model]
            cells.append(f"{100 * mean(m['test']['class_jaccard'][name] for m in metrics):.1f}")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def colour_section(record: dict, trained: dict) -> list[str]:
    best, fcn = max(record["jaccard"].values()), trained["metrics"]["test"]["jaccard"]
    lines = [
        "## Can toytown be learnt from colour and position alone?",
        "",
        "`python -m experiments.colour_position --json docs/results/colour_position.json`: classifiers that see "
        "nothing",
        "of a pixel but its colour and its place, fitted to the training set; Jaccard in per cent on the test set.",
        "",
        "| classifier | Jaccard |",
        "|---|---|",
        *(f"| {name} | {100 * score:.1f} |" for name, score in record["jaccard"].items()),
        f"| FCN-32s ({LONG}, below) | {100 * fcn:.1f} |",
        "",
        f"The best classifier reaches {best / fcn:.2f} of the network's Jaccard.",
        "",
    ]
    return lines


def counted(names: list[str], scores: dict) -> list[str]:
    """The classes that count in a set where others have too few pictures, and their mean."""
    if not names:
        return []
    average = build.mean_of(names, scores)
    return [
        f"The classes in at least 200 training pictures have a mean Jaccard of **{100 * average:.1f}** on val. "
        "What is taken for another class counts against them. No published figure is of these pictures.",
        "",
        f"| {' | '.join(names)} |",
        "|---" * len(names) + "|",
        f"| {' | '.join(f'{100 * build.mean_of([name], scores):.1f}' for name in names)} |",
        "",
    ]


def run_section(name: str, record: dict) -> list[str]:
    settings, metrics = record["settings"], record["metrics"]
    last, said = metrics["validations"][-1], record.get("note", "")
    if not said and (init := Path(settings["init"] or "").stem) in shipped_files("models"):
        said = f"`{init}` is the network of that name that was shipped at that commit."
    lines = [
        f"## {name}",
        "",
        f"{command([settings])} {said}".strip(),
        "",
        machine_line([record]),
        "",
        f"Trained {metrics['steps']} steps in {metrics['train_seconds'] / 60:.1f} minutes (validation included; other "
        "work may have been on the machine); peak memory "
        f"{metrics['peak_memory_bytes'] / 1e9:.2f} GB. Scores of the last checkpoint, in per cent:",
        "",
        "| split | Jaccard | pixel accuracy | mean accuracy | f.w. IU |",
        "|---|---|---|---|---|",
        *(score_row(split, s) for split, s in (("val", last), ("test", metrics.get("test"))) if s),
        "",
        *counted(COUNTED.get(settings["data"], []), metrics.get("val") or {}),
        "| step | minutes | Jaccard on val |",
        "|---|---|---|",
        *(f"| {v['step']} | {v['seconds'] / 60:.1f} | {100 * v['jaccard']:.1f} |" for v in metrics["validations"]),
        "",
    ]
    return lines
