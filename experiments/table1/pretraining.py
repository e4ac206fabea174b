"""The claims that pretrained weights cut the time to an acceptable result, and that from scratch is inefficient.

Two kinds of runs tell. The table's, three seeds: when does a network from VGG weights reach nine tenths of what the
same network from scratch ends with? And a grid of FCN-16s: both starts, the same learning rates, 1/8 to all of the
training pictures, each run of the same number of steps.
"""

from itertools import product
from math import inf, nan

from . import table
from .blocks import Block, Heading, Plot, Table, Verdict, judge, prose
from .jobs import SCRATCH, VGG, Job, Options, held_out_score
from .plots import fractions
from .table import run_name

MODEL = "fcn16s"
STARTS = {VGG: "from VGG weights", SCRATCH: "from scratch"}
FRACTIONS = (0.125, 0.25, 0.5, 1.0)
SHARE = 0.9  # of the final Jaccard from scratch: "an acceptable result"
RACE = "network | seed | goal | from VGG: steps | s | from scratch: steps | s | from VGG past its end: steps | s"
RACERS = ("fcn32s", "fcn16s")  # of the table, each from both starts
PRETRAINING_SECONDS = 6386  # of the shipped weights, one core; data/weights/README.md gives the minutes


def grid_name(start: str, fraction: float, lr: float) -> str:
    """The run of a start with a share of the pictures and a learning rate; with all of them it is the table's."""
    return table.grid_name(f"{MODEL}_{start}", lr) if fraction == 1 else f"pretraining/{start}/{fraction:g}/lr{lr:g}"


def jobs(options: Options) -> list[Job]:
    """The runs of the grid that the table does not have, with the first seed."""
    made, seed = [], options.seeds[0]
    for start, fraction, lr in product(STARTS, [f for f in FRACTIONS if f < 1], options.lrs):
        settings = options.settings(MODEL, start, fraction=fraction, lr=lr, seed=seed)
        made.append(Job(grid_name(start, fraction, lr), settings, keep=False, may_diverge=True))
    return made


# --- what was found ---


def run_names(lrs: list[float]) -> list[str]:
    return [grid_name(*choice) for choice in product(STARTS, FRACTIONS, lrs)]


def reached(record: dict, score: float) -> tuple[int, float] | None:
    """Steps and seconds after which a run first scored so much on the held-out tenth; None: it never did."""
    return next(((step, seconds) for step, seconds, jaccard in record["course"] if (jaccard or 0) >= score), None)


def races(records: dict[str, dict], seeds: list[int]) -> list[dict]:
    """For each network and seed: when each start reached nine tenths of the final score from scratch."""
    found = []
    for model, seed in product(RACERS, seeds):
        vgg, scratch = (records[run_name(f"{model}_{start}", seed)] for start in STARTS)
        end, first = scratch["course"][-1][2] or 0, scratch["course"][0][0]  # the first validation
        race = {"model": model, "seed": seed, "goal": SHARE * end, "first": first, "end": reached(vgg, end)}
        found.append(race | {VGG: reached(vgg, SHARE * end), SCRATCH: reached(scratch, SHARE * end)})
    return found


def ratios(races: list[dict], unit: int, extra: float = 0) -> tuple[list[list[float]], str]:
    """Steps (unit 0) or seconds (1) from VGG weights over those from scratch: by network and seed, and in words."""
    found = {model: [] for model in sorted(RACERS)}
    for race in races:
        found[race["model"]].append((race[VGG][unit] + extra) / race[SCRATCH][unit] if race[VGG] else inf)
    said = {model: ["not reached" if r == inf else f"{r:.2f}" for r in values] for model, values in found.items()}
    return [*found.values()], "; ".join(f"{model} {', '.join(values)}" for model, values in said.items())


def verdicts(races: list[dict], pretraining: float | None) -> list[Verdict]:
    """pretraining: its seconds, None where they are not known."""
    at_first = [race for race in races if race[VGG] and race[VGG][0] == race["first"]]
    blind = any(race[SCRATCH][0] == race["first"] for race in at_first)  # a first validation found both there already
    steps, said = ratios(races, 0)
    said = f"steps from VGG weights over steps from scratch: {said}."
    if at_first:
        said += f" In {len(at_first)} of {len(races)} the first validation found VGG weights there: upper bounds."
    # supported: for both networks and every seed; refuted: for either network and every seed, or for both
    sooner, no_sooner = max(map(max, steps)) <= 0.5, max(map(min, steps)) >= 1
    found = [judge("pretraining", sooner, no_sooner and not blind, said)]
    if pretraining is not None:
        seconds, said = ratios(races, 1, pretraining)
        said = f"seconds with {pretraining:.0f} s of pretraining over seconds from scratch: {said}."
        ahead, behind = max(map(max, seconds)) < 1, min(map(min, seconds)) > 1
        found.append(judge("scratch", ahead, behind and not blind, said))
    return found


def blocks(records: dict[str, dict], options: dict) -> list[Block]:
    """The races of the table's runs, and the grid where it was run.  options: as options.json has them."""
    found, grid = races(records, options["seeds"]), run_names(options["lrs"])
    whens = [cells(r[VGG]) + cells(r[SCRATCH]) + cells(r["end"]) for r in found]
    rows = [[r["model"], str(r["seed"]), percent(r["goal"]), *when] for r, when in zip(found, whens, strict=True)]
    made = [
        Heading("Do pretrained weights cut the time?"),
        *verdicts(found, PRETRAINING_SECONDS if options["shipped"] else None),  # of others it is not known
        prose("races"),
        Table(RACE.split(" | "), rows),
    ]
    return made + (fraction_blocks(records, options) if all(name in records for name in grid) else [])


def fraction_blocks(records: dict[str, dict], options: dict) -> list[Block]:
    """What the grid of fractions and learning rates found."""
    lrs = options["lrs"]
    grid = {(start, f): [records[grid_name(start, f, lr)] for lr in lrs] for start, f in product(STARTS, FRACTIONS)}
    scores = {name: [reported(grid[start, f]) for f in FRACTIONS] for start, name in STARTS.items()}
    shares = [f"{f:g} of the pictures" for f in FRACTIONS]
    rates = [[f"{STARTS[start]}, {f:g}", *map(percent, map(held_out_score, grid[start, f]))] for start, f in grid]
    return [
        prose("fractions", model=MODEL, seed=options["seeds"][0]),
        Table(["start", *shares], [[name, *map(percent, values)] for name, values in scores.items()]),
        "Jaccard on the held-out tenth for each learning rate of the grid:",
        Table(["start, fraction", *(f"lr {lr:g}" for lr in lrs)], rates),
        Plot("fractions", fractions(FRACTIONS, scores), "Jaccard against the share of training pictures"),
    ]


def reported(runs: list[dict]) -> float:
    """The Jaccard on the reported split, with the rate that is best on the held-out tenth; NaN where all diverged."""
    best = max(runs, key=held_out_score)
    return best["scores"]["jaccard"] if "scores" in best else nan


def cells(reached: tuple[int, float] | None) -> list[str]:
    return ["not reached", "-"] if reached is None else [str(reached[0]), f"{reached[1]:.0f}"]


def percent(score: float) -> str:
    return f"{100 * score:.1f}" if score >= 0 else "diverged"
