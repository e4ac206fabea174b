"""The report's table: its five networks, FCN-8s twice, and a control, each with several seeds.

    FCN-32s from VGG --+--> FCN-16s from 32s ----> FCN-8s from 16s          from scratch: 32s, 16s
                       +--> FCN-32s, trained on    (the control)            from VGG:     16s, 8s ("at once")

Every run has the same number of steps after whatever it starts from; with the same seed, the same order of pictures and
augmentation. With the first seed each learning rate is run, and the best is the row's (or in short runs, one for each
kind of start); so the learning rate of a row, like the checkpoint of a run, is chosen on a held-out tenth of train. The
reported split is scored once a run.
"""

from collections.abc import Iterable
from dataclasses import replace
from itertools import product
from operator import sub
from pathlib import Path
from statistics import mean, stdev
from typing import NamedTuple

from .blocks import Block, Heading, Plot, Table, prose
from .jobs import SCRATCH, VGG, Job, Options, checkpoint_of, held_out_score
from .plots import courses


class Row(NamedTuple):
    """A line of the table. start: VGG, SCRATCH, or the row whose network of the same seed it goes on from."""

    name: str
    model: str
    start: str


ROWS = {  # a row comes after the one that it starts from
    "fcn32s_vgg": Row("FCN-32s from VGG weights", "fcn32s", VGG),
    "fcn32s_scratch": Row("FCN-32s from scratch", "fcn32s", SCRATCH),
    "fcn16s_fcn32s": Row("FCN-16s from 32s weights", "fcn16s", "fcn32s_vgg"),
    "fcn16s_vgg": Row("FCN-16s from VGG weights", "fcn16s", VGG),
    "fcn16s_scratch": Row("FCN-16s from scratch", "fcn16s", SCRATCH),
    "fcn8s_fcn16s": Row("FCN-8s from 16s weights", "fcn8s", "fcn16s_fcn32s"),
    "fcn8s_vgg": Row("FCN-8s at once, from VGG weights", "fcn8s", VGG),
    "fcn32s_on": Row("control: FCN-32s trained on", "fcn32s", "fcn32s_vgg"),
}
HEADER = "network | Jaccard | s.d. | lr | chain, steps | chain, s | memory, GB | training, ms | inference, pictures/s"
HEADER = HEADER.split(" | ")
PAIRS = (  # two rows, and what their difference tells
    ("fcn32s_vgg", "fcn32s_scratch", "VGG weights, in 32s"),
    ("fcn16s_vgg", "fcn16s_scratch", "VGG weights, in 16s"),
    ("fcn16s_fcn32s", "fcn32s_vgg", "the skip and the longer training"),
    ("fcn16s_fcn32s", "fcn32s_on", "the skip, for as many steps in all"),
    ("fcn16s_fcn32s", "fcn16s_vgg", "the way over 32s (and twice the steps)"),
    ("fcn8s_fcn16s", "fcn16s_fcn32s", "the second skip and the longer training"),
    ("fcn8s_fcn16s", "fcn8s_vgg", "the way over 32s and 16s (and three times the steps)"),
    ("fcn8s_vgg", "fcn16s_vgg", "the second skip, for as many steps"),
)


def run_name(row: str, seed: int) -> str:
    return f"table/{row}/seed{seed}"


def lineage(row: str) -> list[str]:
    """The rows that lead to this one, itself last."""
    start = ROWS[row].start
    return [*(lineage(start) if start in ROWS else []), row]


def jobs(options: Options, root: Path) -> list[Job]:
    """The runs of the table, in an order in which each comes after those it needs."""
    made = []
    for (name, row), seed in product(ROWS.items(), options.seeds):
        run, first = run_name(name, seed), run_name(name, options.seeds[0])
        parents = (run_name(row.start, seed),) if row.start in ROWS else ()
        settings = options.settings(row.model, checkpoint_of(root, *parents) if parents else row.start, seed=seed)
        like = rates_name(leader(name)) if options.rate_steps else first
        if run == first and like in (run, rates_name(name)):
            tried = replace(settings, steps=options.rate_steps, val_every=0) if options.rate_steps else settings
            grid = {grid_name(name, lr): replace(tried, lr=lr) for lr in options.lrs}
            made += [Job(choice, at_rate, parents, may_diverge=True) for choice, at_rate in grid.items()]
            made.append(Job(like, after=tuple(grid)))
        if run != like:
            made.append(Job(run, settings, (like, *parents), rate_of=like))
    return made


def leader(row: str) -> str:
    """The first row with a row's kind of start: VGG weights, none, or another row's network."""

    def kind(name: str) -> str:
        return "a row" if ROWS[name].start in ROWS else ROWS[name].start

    return next(name for name in ROWS if kind(name) == kind(row))


def rates_name(row: str) -> str:
    """The best of a row's short runs, where learning rates are chosen in such."""
    return f"table/{row}/rates"


def copies(options: dict) -> list[str]:
    """The records that are other runs over again, the best of some."""
    short = options.get("rate_steps")
    return [rates_name(row) if short else run_name(row, options["seeds"][0]) for row in ROWS]


def grid_name(row: str, lr: float) -> str:
    """The run of a row with the first seed and this learning rate."""
    return f"table/{row}/lr{lr:g}"


# --- what was found ---


def run_names(seeds: list[int]) -> list[str]:
    return [run_name(row, seed) for row in ROWS for seed in seeds]


def scores(row: str, records: dict[str, dict], seeds: list[int]) -> list[float]:
    """The reported Jaccard of a row with each seed."""
    return [records[run_name(row, seed)]["scores"]["jaccard"] for seed in seeds]


def blocks(records: dict[str, dict], options: dict, speeds: dict) -> list[Block]:
    """The table, the paired differences, the classes and the courses.

    options: as options.json has them.  speeds: of each network, alone on the machine (cost.py).
    """
    seeds = options["seeds"]
    some, each = records[run_name("fcn32s_vgg", seeds[0])], [f"seed {seed}" for seed in seeds]
    part = f" (mean of {', '.join(names)})" if (names := options.get("mean_of")) else ""
    plot = courses({r.name: [records[run_name(row, seed)]["course"] for seed in seeds] for row, r in ROWS.items()})
    return [
        Heading("The table"),
        prose("the table", split=some["split"] + part, steps=some["steps"], batch=some["settings"]["batch"]),
        rates(records, options),
        Table(HEADER + each, [line(row, records, seeds, speeds) for row in ROWS]),
        prose("differences"),
        Table(["difference", "what it tells", "mean", "s.d.", *each], differences(records, seeds)),
        prose("classes"),
        by_class(records, seeds),
        Plot("courses", plot, "Jaccard on the held-out tenth over the steps of each run: mean of the seeds, and range"),
    ]


def by_class(records: dict[str, dict], seeds: list[int]) -> Table:
    """The Jaccard of each class in each row, mean over the seeds; a dash where it is neither there nor predicted."""
    found = {row: [records[run_name(row, seed)]["scores"]["class_jaccard"] for seed in seeds] for row in ROWS}
    lines = []
    for name in found["fcn32s_vgg"][0]:
        known = [[run[name] for run in runs if run[name] is not None] for runs in found.values()]
        lines.append([name, *(f"{100 * mean(values):.1f}" if values else "-" for values in known)])
    return Table(["class", *(row.name for row in ROWS.values())], lines)


def rates(records: dict[str, dict], options: dict) -> str:
    """How the learning rates were chosen, and where a better one may lie outside the grid."""
    seeds, lrs, short = options["seeds"], options["lrs"], options.get("rate_steps")
    if len(lrs) == 1:
        return prose("one rate", lr=lrs[0])
    chosen = {name: records[run_name(name, seeds[0])]["settings"]["lr"] for name in ROWS}
    edge = ", ".join(f"{ROWS[name].name} ({lr:g})" for name, lr in chosen.items() if lr in (min(lrs), max(lrs)))
    edge = edge and f" At an edge of that grid: {edge}."
    short = f", in runs of {short} steps, one for each kind of start" if short else ""
    return prose("rates", lrs=", ".join(f"{lr:g}" for lr in lrs), seed=seeds[0], short=short, edge=edge)


def line(row: str, records: dict[str, dict], seeds: list[int], speeds: dict[str, dict]) -> list[str]:
    chains = [[records[run_name(part, seed)] for part in lineage(row)] for seed in seeds]  # its own run is the last
    seconds = mean(sum(run["seconds"] for run in chain) for chain in chains)
    peak = max(chain[-1]["peak_memory_bytes"] or 0 for chain in chains)
    average, deviation, *each = spread(scores(row, records, seeds), ".1f")
    cells = [ROWS[row].name, average, deviation, f"{chains[0][-1]['settings']['lr']:g}"]
    cells += [str(sum(run["steps"] for run in chains[0])), f"{seconds:.0f}", f"{peak / 1e9:.2f}" if peak else "unknown"]
    speed = speeds.get(ROWS[row].model)
    cells += [f"{speed['training_ms']:.0f}", f"{1000 / speed['inference_ms']:.1f}"] if speed else ["-", "-"]
    return cells + each


def best_mean(model: str, records: dict[str, dict], seeds: list[int]) -> float:
    """The reported Jaccard of the network's row that is best on the held-out tenth; means over the seeds."""
    rows = [name for name, row in ROWS.items() if row.model == model]
    best = max(rows, key=lambda name: mean(held_out_score(records[run_name(name, seed)]) for seed in seeds))
    return mean(scores(best, records, seeds))


def differences(records: dict[str, dict], seeds: list[int]) -> list[list[str]]:
    lines = []
    for a, b, what in PAIRS:
        found = map(sub, scores(a, records, seeds), scores(b, records, seeds))
        lines.append([f"{ROWS[a].name} - {ROWS[b].name}", what, *spread(found, "+.1f")])
    return lines


def spread(values: Iterable[float], form: str) -> list[str]:
    """In per cent: mean, standard deviation (a dash where one value has none), and each value."""
    found = [100 * x for x in values]
    average, *each = [f"{x:{form}}" for x in (mean(found), *found)]
    return [average, f"{stdev(found):.1f}" if len(found) > 1 else "-", *each]
