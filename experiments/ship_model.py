"""Ship a network that works before any training: data/models/NAME.safetensors and its card, from a run's own files.

    python -m experiments.ship_model RUN NAME

The run's last checkpoint (of a chain its last network's) is written in float16, without momenta, and scored from that
file on the split named in the card.
"""

import argparse
import hashlib
import json
import math
from pathlib import Path
from statistics import mean
from textwrap import fill

import numpy as np

from experiments.results import ROOT
from experiments.results_page import COUNTED, command, machine_line
from experiments.table1.jobs import commit, named, reported_split
from experiments.table1.plots import title
from minifcn.datasets import Dataset, open_dataset
from minifcn.datasets.transforms import Preprocessing
from minifcn.training.evaluation import evaluate
from minifcn.weights import checkpoint, load_model

FOLDER = ROOT / "data" / "models"
EXPECT = {  # what the user of each must know
    "camvid": "It knows streets seen from a car on a few drives through one town, in daylight; on other pictures it "
    "will err.",
    "voc": "It knows cats and dogs, and less well persons, sheep, horses and cows, where they fill a good part of the "
    "photograph. Of the other classes it has seen few pictures or none, and finds next to nothing. It takes one animal "
    "for another, and in parts: a dog with a cat's head.",
}
SEEN = (
    " `predict` shows it pictures with a longer side of {side} pixels, which it was trained on (`--side 0`: as they "
    "are). The training pictures belong to their owners and are not in this project."
)
SOME = ", the mean of {} (of all classes there, as evaluate prints it: {:.1f} %)"
ON = ", and on from the network of the command before, shipped under this name meanwhile"
CARD = """# {name}: a network that works before any training

Written by `python -m experiments.ship_model runs/{run} {name}{commit}`; not to be edited.

    python -m minifcn.predict --model {name} MY.jpg
    python -m minifcn.evaluate --model {name} --data {data} --split {split}

**What it is.** {model}, trunk {trunk}: {count:,} weights in float16, trained by minifcn on the {pictures} training
pictures of {data} to tell {L} classes: {classes}.

**Jaccard on {split} ({scored} pictures, whole, at one scale): {jaccard} %** of this very file{counted}; pixel accuracy
{pixel} %. The last step's weights are shipped, whatever {split} said of others. That it is this network and this way
of training was chosen with a look at scores on {split}, the only split there is beside train.

| class | Jaccard, % |
|---|---|
{table}

**What to expect.** {expect}

**Recipe.** From [the shipped VGG weights](../weights/README.md), which saw other photographs{on}:

{commands}

{minutes} minutes, validation included{last}; other work was on the machine. {machine}

Input: {pixels}. The file says so too.

**Checksum.** SHA-256 of {name}.safetensors, {bytes:,} bytes:
{sha256}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("name", choices=EXPECT)
    parser.add_argument("--commit", help="the commit it ran with, if that is not the present one")
    args = parser.parse_args()
    config, metrics = (json.loads((args.run / name).read_text()) for name in ("config.json", "metrics.json"))
    data, stages = config["stages"][-1]["data"], [named(settings) for settings in config["stages"]]
    chain = metrics if len(stages) > 1 else {stages[0]["model"]: metrics}
    assert all(chain[stage["model"]]["steps"] == stage["steps"] for stage in stages), f"{args.run}: not complete"
    tensors, meta = checkpoint.load(args.run / (stages[-1]["model"] if len(stages) > 1 else "") / "last.safetensors")
    tensors = {name: x.astype(np.float16) for name, x in tensors.items() if name.startswith("model/")}
    assert all(np.isfinite(x).all() for x in tensors.values())
    names = "model classes palette values entries colours preprocessing step seed seconds".split()
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"{args.name}.safetensors"
    led = stages  # all that led here
    if stages[0]["init"] == path.name:  # it goes on from the network there, unless that is this one already
        before = checkpoint.load(path)[1]["stages"]
        led = before if before[-len(stages) :] == stages else before + stages
    kept = {name: meta[name] for name in names if name in meta}
    side = stages[-1]["side"] or meta["longest"]
    checkpoint.save(path, tensors, kept | {"stages": led, "side": side})

    starts = [i for i, stage in enumerate(led) if i == 0 or stage["init"] == path.name]
    commands = [command(led[i:j]).strip("`") for i, j in zip(starts, [*starts[1:], None], strict=True)]
    facts = describe(path, open_dataset(data, reported_split(data))) | {
        "name": args.name,
        "side": side,
        "run": args.run.name,
        "expect": fill(EXPECT[args.name] + SEEN.format(side=side), 120),
        "commit": f" --commit '{args.commit}'" if args.commit else "",
        "pictures": meta["pictures"],
        "commands": "\n".join(f"    {words}" for words in commands),
        "on": ON if len(commands) > 1 else "",
        "last": " (of the last command)" if len(commands) > 1 else "",
        "minutes": f"{sum(m['train_seconds'] for m in chain.values()) / 60:.0f}",
        "machine": machine_line([{"machine": config["machine"], "commit": args.commit or commit()}]),
    }
    (FOLDER / f"{args.name}.md").write_text(CARD.format(**facts), encoding="utf-8")
    print(f"wrote {path.relative_to(ROOT)} and its card: Jaccard {facts['jaccard']} % on {facts['split']}")


def describe(path: Path, dataset: Dataset) -> dict:
    """What the card says of the shipped file, scored anew."""
    model, meta = load_model(path)
    preprocessing = Preprocessing.from_dict(meta["preprocessing"])
    counts = evaluate(model, dataset, "the shipped file")
    by_class = dict(zip(dataset.classes, counts.class_jaccard(), strict=True))
    some = COUNTED.get(dataset.name, [name for name, jaccard in by_class.items() if not math.isnan(jaccard)])
    return {
        "data": dataset.name,
        "split": dataset.split,
        "model": title(model.name),
        "trunk": meta["model"]["trunk"],
        "count": sum(p.data.size for p in model.parameters().values()),
        "L": len(dataset.classes),
        "classes": ", ".join(dataset.classes),
        "scored": len(dataset),
        "jaccard": f"{100 * mean(by_class[name] for name in some):.1f}",
        "counted": SOME.format(", ".join(some), 100 * counts.jaccard()) if dataset.name in COUNTED else "",
        "pixel": f"{100 * counts.pixel_accuracy():.1f}",
        "table": "\n".join(
            f"| {name} | {'absent' if math.isnan(j) else f'{100 * j:.1f}'} |" for name, j in by_class.items()
        ),
        "pixels": preprocessing.describe(),
        "bytes": path.stat().st_size,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }


if __name__ == "__main__":
    main()
