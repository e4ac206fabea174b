"""The report's table: its five networks, FCN-8s twice, and a control, each with several seeds.

    FCN-32s from VGG --+--> FCN-16s from 32s ----> FCN-8s from 16s          from scratch: 32s, 16s
                       +--> FCN-32s, trained on    (the control)            from VGG:     16s, 8s ("at once")

Every run has the same number of steps after whatever it starts from; with the same seed, the same order of pictures and
augmentation. With the first seed each learning rate is run, and the best is the row's; so the learning rate of a row,
like the checkpoint of a run, is chosen on a held-out tenth of train. The reported split is scored once a run.
"""

from functools import partial
from pathlib import Path
from statistics import mean, stdev
from typing import NamedTuple

from .blocks import Block, Heading, Plot, Table, Text, prose
from .jobs import Job
from .plan import SCRATCH, VGG, Options, best_run, checkpoint_of, held_out_score


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
PAIRS = (
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
    first, *others = options.seeds
    for name, row in ROWS.items():
        parents = {seed: [run_name(row.start, seed)] if row.start in ROWS else [] for seed in options.seeds}

        def settings(records, seed, lr=None, name=name, row=row, parents=parents):
            start = checkpoint_of(root, *parents[seed]) if parents[seed] else row.start
            lr = lr or records[run_name(name, first)]["settings"]["lr"]
            return options.settings(row.model, start, lr=lr, seed=seed)

        grid = {grid_name(name, lr): partial(settings, seed=first, lr=lr) for lr in options.lrs}
        made += [Job(run, options.steps, make, parents[first], may_diverge=True) for run, make in grid.items()]
        made.append(Job(run_name(name, first), after=[*grid], pick=partial(best_run, [*grid])))
        for seed in others:
            after = [run_name(name, first), *parents[seed]]
            made.append(Job(run_name(name, seed), options.steps, partial(settings, seed=seed), after))
    return made


def grid_name(row: str, lr: float) -> str:
    """The run of a row with the first seed and this learning rate."""
    return f"table/{row}/lr{lr:g}"


# --- what was found ---


def run_names(seeds: list[int]) -> list[str]:
    return [run_name(row, seed) for row in ROWS for seed in seeds]


def scores(row: str, records: dict[str, dict], seeds: list[int]) -> list[float]:
    """The reported Jaccard of a row with each seed."""
    return [records[run_name(row, seed)]["scores"]["jaccard"] for seed in seeds]


def courses(records: dict[str, dict], seeds: list[int]) -> dict[str, list[list]]:
    """The courses of each row's seeds, by the row's name."""
    return {ROWS[row].name: [records[run_name(row, seed)]["course"] for seed in seeds] for row in ROWS}


def blocks(records: dict[str, dict], seeds: list[int], lrs: list[float], speeds: dict, plot: bytes) -> list[Block]:
    """The table, the paired differences and the courses. speeds: of each network, alone on the machine (speed.py)."""
    some = records[run_name("fcn32s_vgg", seeds[0])]
    return [
        Heading("The table"),
        prose("the table", split=some["split"], steps=some["steps"], batch=some["settings"]["batch"]),
        rates(records, seeds, lrs),
        Table(HEADER + [f"seed {seed}" for seed in seeds], [line(row, records, seeds, speeds) for row in ROWS]),
        prose("differences"),
        Table(DIFFERENCES + [f"seed {seed}" for seed in seeds], differences(records, seeds)),
        Plot("courses", plot, "Jaccard on the held-out tenth over the steps of each run: mean of the seeds, and range"),
    ]


def rates(records: dict[str, dict], seeds: list[int], lrs: list[float]) -> Text:
    """How the learning rates were chosen, and where a better one may lie outside the grid."""
    if len(lrs) == 1:
        return prose("one rate", lr=lrs[0])
    chosen = {row.name: records[run_name(name, seeds[0])]["settings"]["lr"] for name, row in ROWS.items()}
    edge = ", ".join(f"{name} ({lr:g})" for name, lr in chosen.items() if lr in (min(lrs), max(lrs)))
    edge = edge and f" At an edge of that grid: {edge}."
    return prose("rates", lrs=", ".join(f"{lr:g}" for lr in lrs), seed=seeds[0], edge=edge)


HEADER = ["network", "Jaccard", "s.d.", "lr", "chain, steps", "chain, s", "memory, GB", "training, ms"]
HEADER += ["inference, pictures/s"]
DIFFERENCES = ["difference", "what it tells", "mean", "s.d."]


def line(row: str, records: dict[str, dict], seeds: list[int], speeds: dict[str, dict]) -> list[str]:
    runs, found = [records[run_name(row, seed)] for seed in seeds], [100 * x for x in scores(row, records, seeds)]
    chains = [[records[run_name(part, seed)] for part in lineage(row)] for seed in seeds]
    peaks = [run["peak_memory_bytes"] for run in runs if run["peak_memory_bytes"]]
    speed = speeds.get(ROWS[row].model)
    return [
        ROWS[row].name,
        f"{mean(found):.1f}",
        spread(found),
        f"{runs[0]['settings']['lr']:g}",
        str(sum(run["steps"] for run in chains[0])),
        f"{mean(sum(run['seconds'] for run in chain) for chain in chains):.0f}",
        f"{max(peaks) / 1e9:.2f}" if peaks else "unknown",
        f"{speed['training_ms']:.0f}" if speed else "-",
        f"{1000 / speed['inference_ms']:.1f}" if speed else "-",
        *(f"{score:.1f}" for score in found),
    ]


def best_mean(model: str, records: dict[str, dict], seeds: list[int]) -> float:
    """The reported Jaccard of the network's row that is best on the held-out tenth; means over the seeds."""
    rows = [name for name, row in ROWS.items() if row.model == model]
    best = max(rows, key=lambda name: mean(held_out_score(records[run_name(name, seed)]) for seed in seeds))
    return mean(scores(best, records, seeds))


def differences(records: dict[str, dict], seeds: list[int]) -> list[list[str]]:
    lines = []
    for a, b, what in PAIRS:
        found = [100 * (x - y) for x, y in zip(scores(a, records, seeds), scores(b, records, seeds), strict=True)]
        average, *each = [f"{d:+.1f}" for d in (mean(found), *found)]
        lines.append([f"{ROWS[a].name} - {ROWS[b].name}", what, average, spread(found), *each])
    return lines


def spread(values: list[float]) -> str:
    """The standard deviation, or a dash where one value has none."""
    return f"{stdev(values):.1f}" if len(values) > 1 else "-"
