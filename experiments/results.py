"""The figures of docs/results.md: what was trained, on which machine, with which scores.

    python -m experiments.results run             FCN-32s, 16s, 8s from scratch on toytown, three seeds: nine runs
    python -m experiments.results chain           the main job from scratch and from the shipped weights, three seeds
    python -m experiments.results add RUN NAME    record another run (its folder) as docs/results/NAME.json
    python -m experiments.results table1 FOLDER   take over the results of a report of minifcn.table1, and its drawings
    python -m experiments.results report          write docs/results.md from docs/results/*.json

A record holds settings, seed, machine and scores, read from the run's own files, and the commit: the present one, if
--commit does not name another.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path

from experiments.results_page import CHAIN, MODELS, PAGE, RECORDS, SCENES, SEEDS, report
from experiments.table1 import build, scenes
from experiments.table1.jobs import ROOT, commit, named
from minifcn.cpu import num_threads
from minifcn.datasets import DRAWN
from minifcn.datasets.toytown import Toytown

INITS, STEPS = ("scratch", "vgg"), 800


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("run")
    commands.add_parser("chain")
    adding = commands.add_parser("add")
    adding.add_argument("run", type=Path)
    adding.add_argument("name")
    adding.add_argument("--commit", help="the commit it was run with, if that is not the present one")
    adding.add_argument("--note", help="what the page must say of it beside its figures")
    taking = commands.add_parser("table1")
    taking.add_argument("folder", type=Path)
    commands.add_parser("report")
    args = parser.parse_args()
    if args.command == "run":
        run_all()
    elif args.command == "chain":
        run_chains()
    elif args.command == "add":
        add(args.run, args.name, args.commit, args.note)
    elif args.command == "table1":
        take_over(args.folder)
    else:
        PAGE.write_text(report(), encoding="utf-8")
        print(f"wrote {PAGE.relative_to(ROOT)}")


def run_all() -> None:
    """Train every network with every seed, each in a process of its own with one thread, as many at a time as cores."""
    Toytown("train"), Toytown("val"), Toytown("test")  # drawn before they are needed by several at once

    def run(task: tuple[int, str]) -> None:
        seed, model = task
        name = f"toytown_{model}_seed{seed}"
        command = [sys.executable, "-m", "minifcn.train", "--model", model, "--seed", str(seed)]
        command += ["--init", "scratch", "--steps", str(STEPS), "--val-every", "0", "--name", name]
        environment = os.environ | {"MINIFCN_THREADS": "1"}
        subprocess.run(command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL, check=True)
        add(ROOT / "runs" / name, name)

    with ThreadPoolExecutor(num_threads()) as pool:
        list(pool.map(run, product(SEEDS, MODELS)))


def run_chains() -> None:
    """Run the main job, FCN-32s then 16s on toytown, from scratch and from the shipped weights: one after the other."""
    found = {init: [] for init in INITS}
    for seed, init in product(SEEDS, INITS):
        name = f"chain_{init}_seed{seed}"
        options = ["--init", init, "--seed", str(seed), "--name", name]
        subprocess.run([sys.executable, "-m", "minifcn.train", *options], cwd=ROOT, check=True)
        config, metrics = (json.loads((ROOT / "runs" / name / f).read_text()) for f in ("config.json", "metrics.json"))
        found[init].append({"seed": seed, **{model: summary(m) for model, m in metrics.items()}})
    record = {"chains": found, "steps": config["stages"][0]["steps"], "machine": config["machine"], "commit": commit()}
    write(CHAIN, record)


def summary(metrics: dict) -> dict:
    return {"jaccard": metrics["test"]["jaccard"], "train_seconds": metrics["train_seconds"]}


def add(run: Path, name: str, at: str | None = None, note: str | None = None) -> None:
    """Record a run; of a chain of networks all settings, and the metrics by network."""
    config, metrics = (json.loads((run / file).read_text()) for file in ("config.json", "metrics.json"))
    stages = [named(settings) for settings in config["stages"]]
    settings = {"settings": stages[0]} if len(stages) == 1 else {"stages": stages}
    settings |= {"note": note} if note else {}
    write(name, settings | {"commit": at or commit(), "machine": config["machine"], "metrics": metrics})


def take_over(folder: Path) -> None:
    """Copy a report's results and drawings; its scenes only where the pictures are this project's own."""
    drawn = build.read(folder / "results")[build.OPTIONS]["data"] in DRAWN  # before anything goes
    target = RECORDS / folder.name
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    files = [path for path in (folder / "results").glob("*.json") if path.name != scenes.LIST]
    files += [path for path in folder.glob("*.png") if drawn or path.name not in SCENES]
    for path in files:
        shutil.copy(path, target)
    print(f"wrote {len(files)} files to {target.relative_to(ROOT)}")


def write(name: str, record: dict) -> None:
    RECORDS.mkdir(exist_ok=True)
    (RECORDS / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n")
    print(f"wrote {(RECORDS / name).relative_to(ROOT)}.json")


if __name__ == "__main__":
    main()
