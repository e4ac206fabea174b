"""Ship a pretrained trunk: data/weights/TRUNK.safetensors, its log, its curve, and its card, from the runs' own files.

    python -m experiments.ship_weights RUN ...       the runs of minifcn.pretrain that led to it, in order; all complete

The last run's trunk.safetensors is copied, and scored once more from that file, float16 and folded, on the held-out
pictures: those are the figures of the card.
"""

import argparse
import hashlib
import json
import shlex
import shutil
from pathlib import Path
from statistics import mean

import numpy as np

from experiments.results import ROOT, commit
from experiments.results_page import machine_line
from minifcn import figures, load_weights
from minifcn.datasets.classification import Pictures
from minifcn.datasets.transforms import Preprocessing
from minifcn.models.classifier import EPS, VGGClassifier
from minifcn.training.classification import TRUNK_FILE, accuracy
from minifcn.training.folder import read_log
from minifcn.weights import checkpoint

FOLDER = ROOT / "data" / "weights"
EVERY = 100  # steps a row of the shipped log
CARD = """# {trunk}: the weights that training starts from

Written by `python -m experiments.ship_weights {folders}`; not to be edited.

**What it is.** The VGG trunk at a quarter of the width, conv1_1 to fc7: {count:,} weights in float16, trained by
minifcn from random weights to tell {L} kinds of things apart. `--init vgg`, the default, starts an FCN from it.

**Held-out pictures: top-1 {top1}, top-5 {top5}** of this very file, on pictures of {size} x {size} pixels; chance would
be {chance}.

**Data.** 100 of the 200 classes of Tiny ImageNet, photographs of 64 x 64: 50,000 pictures to train, 500 a class, and
5,000 held out, the set's own val split. Those were scored after every epoch but chose nothing: the last step's weights
are shipped. The pictures belong to their owners and are not in this project.

**Recipe.** SGD with momentum {momentum}, weight decay {decay}, batches of {batch}; random crops, mirrored or not; no
dropout; batch normalisation while training, folded into the weights afterwards. First small pictures, which are quick,
then twice as large ones, of which fc6's 7x7 kernel sees more. {seen:,} pictures were seen in {hours} hours.

{commands}

Input: {pixels}. The file says so too, and an FCN that starts from it keeps that.

{machine} One thread; other work was on the second core, and the minutes differ with it.

**Course.** [The log]({trunk}.csv), a row for every hundred steps, and its curve:

![loss, top-1 accuracy and learning rate]({trunk}.png)

{table}

**Checksum.** SHA-256 of {trunk}.safetensors, {bytes:,} bytes:
{sha256}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--commit", help="the commit they ran with, if that is not the present one")
    args = parser.parse_args()
    runs = [read_run(folder) for folder in args.runs]
    settings, last = runs[-1]["settings"], args.runs[-1]
    trunk = settings["trunk"]
    target = FOLDER / f"{trunk}.safetensors"
    FOLDER.mkdir(exist_ok=True)
    shutil.copy(last / TRUNK_FILE, target)
    scores = score(target, settings)
    rows = [(number, *row) for number, run in enumerate(runs, 1) for row in shortened(run["log"])]
    lines = ["run,step,lr,loss,val_top1,val_top5", *(",".join(map(str, row)) for row in rows)]
    (FOLDER / f"{trunk}.csv").write_text("\n".join(lines) + "\n")
    draw(FOLDER / f"{trunk}.png", runs)
    (FOLDER / "README.md").write_text(card(trunk, runs, scores, args.commit or commit()), encoding="utf-8")
    print(f"wrote {', '.join(str(path.relative_to(ROOT)) for path in sorted(FOLDER.iterdir()))}: {scores}")


def read_run(folder: Path) -> dict:
    config, metrics = (json.loads((folder / name).read_text()) for name in ("config.json", "metrics.json"))
    settings = config["stages"][0]
    assert metrics["steps"] == settings["steps"], f"{folder}: not complete"
    log = read_log(folder / "log.csv", settings["steps"], ("top1", "top5"))
    return {"name": folder.name, "settings": settings, "metrics": metrics, "log": log, "machine": config["machine"]}


def score(path: Path, settings: dict) -> dict:
    """Top-1 and top-5 of the shipped file. It is folded already: mean 0 and variance 1 - eps change nothing more."""
    held_out = Pictures(settings["data"], "val")
    model = VGGClassifier(len(held_out.classes), settings["trunk"])
    for name, parameter in model.parameters().items():
        if name.endswith(".var"):
            parameter.data -= np.float32(EPS)
    report = load_weights(model, path)
    assert not report.skipped and all(name.endswith((".mean", ".var")) for name in report.missing)
    return accuracy(model, held_out, report.preprocessing, settings["size"], "held-out pictures")


def shortened(log: list[dict]) -> list[tuple]:
    """A row for every hundred steps, with their mean loss; and what was measured on the held-out pictures in them."""
    rows = []
    for i in range(0, len(log), EVERY):
        part = log[i : i + EVERY]
        found = [(row["val_top1"], row["val_top5"]) for row in part if "val_top1" in row] or [("", "")]
        rows.append((part[-1]["step"], f"{part[-1]['lr']:.6g}", f"{mean(row['loss'] for row in part):.4f}", *found[-1]))
    return rows


def draw(path: Path, runs: list[dict]) -> None:
    """The runs' curves, one after the other."""
    rows = [row for run in runs for row in run["log"]]
    rows = [row | {"step": step} for step, row in enumerate(rows, 1)]
    figures.curves(path, rows, "val_top1", "top-1 accuracy")


def command(run: dict) -> str:
    s = run["settings"]
    options = {"data": Path(s["data"]).name, "size": s["size"], "crop": s["crop"], "steps": s["steps"]}
    options |= {name: s[name] for name in ("batch", "lr", "schedule", "warmup", "seed")} | {"name": run["name"]}
    if s["init"]:
        options["init"] = "/".join(("runs", *Path(s["init"]).parts[-2:]))
    return "python -m minifcn.pretrain " + " ".join(f"--{k} {shlex.quote(str(v))}" for k, v in options.items())


def card(trunk: str, runs: list[dict], scores: dict, at: str) -> str:
    path, settings = FOLDER / f"{trunk}.safetensors", runs[-1]["settings"]
    tensors, meta = checkpoint.load(path)
    L = len(meta["classes"])
    table = ["| run | step | minutes | top-1, % | top-5, % |", "|---|---|---|---|---|"]
    for run in runs:
        for v in run["metrics"]["validations"]:
            cells = (run["name"], str(v["step"]), f"{v['seconds'] / 60:.0f}")
            table.append(f"| {' | '.join(cells)} | {100 * v['top1']:.1f} | {100 * v['top5']:.1f} |")
    facts = {
        "trunk": trunk,
        "folders": " ".join(f"runs/{run['name']}" for run in runs),
        "count": sum(x.size for name, x in tensors.items() if not name.startswith("model/fc8")),
        "L": L,
        "top1": f"{100 * scores['top1']:.1f} %",
        "top5": f"{100 * scores['top5']:.1f} %",
        "chance": f"{100 / L:g} % and {500 / L:g} %",
        "size": settings["size"],
        "momentum": settings["momentum"],
        "decay": settings["weight_decay"],
        "batch": settings["batch"],
        "seen": sum(run["settings"]["steps"] * run["settings"]["batch"] for run in runs),
        "hours": f"{sum(run['metrics']['train_seconds'] for run in runs) / 3600:.1f}",
        "commands": "\n".join(f"    {command(run)}" for run in runs),
        "pixels": Preprocessing.from_dict(meta["preprocessing"]).describe(),
        "machine": machine_line([{"machine": runs[-1]["machine"], "commit": at}]),
        "table": "\n".join(table),
        "bytes": path.stat().st_size,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }
    return CARD.format(**facts)


if __name__ == "__main__":
    main()
