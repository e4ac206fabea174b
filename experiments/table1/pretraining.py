"""The claims that pretrained weights cut the time to an acceptable result, and that from scratch is inefficient.

Two kinds of runs tell. The table's, three seeds: when does a network from VGG weights reach nine tenths of what the
same network from scratch ends with? And a grid of FCN-16s: both starts, the same learning rates, 1/8 to all of the
training pictures, each run of the same number of steps.
"""

from itertools import product
from math import isnan, nan

from . import table
from .blocks import Block, Claim, Heading, Plot, Table, Text, Verdict
from .jobs import Job
from .plan import SCRATCH, VGG, Options, held_out_score
from .plots import fractions
from .table import run_name

MODEL = "fcn16s"
STARTS = (VGG, SCRATCH)
NAMES = {VGG: "from VGG weights", SCRATCH: "from scratch"}
FRACTIONS = (0.125, 0.25, 0.5, 1.0)
SHARE = 0.9  # of the final Jaccard from scratch: "an acceptable result"
PAIRS = (("fcn32s_vgg", "fcn32s_scratch"), ("fcn16s_vgg", "fcn16s_scratch"))
PRETRAINING_SECONDS = 6386  # of the shipped weights, one core; data/weights/README.md gives the minutes

TIME = Claim(
    "pretraining",
    "Pretrained weights cut the time to an acceptable result.",
    "for FCN-32s and FCN-16s and every seed, the run from VGG weights reaches nine tenths of the final Jaccard of the "
    "run from scratch (both on the held-out tenth) in at most half of the steps that that run needs for it.",
    "for either network and every seed it needs as many steps or more, or does not reach it at all. Undecided "
    "otherwise, and where a first validation finds both there already.",
)
INEFFICIENT = Claim(
    "scratch",
    "Training from scratch is inefficient.",
    "the run from VGG weights is also ahead with the time of pretraining added to its own: its seconds to nine tenths, "
    "plus those of pretraining, are fewer than those from scratch, for both networks and every seed.",
    "they are more, for both networks and every seed; runs shorter than pretraining can find nothing else. Undecided "
    "otherwise, and where a first validation finds both there already.",
)


def grid_name(start: str, fraction: float, lr: float) -> str:
    """The run of a start with a share of the pictures and a learning rate; with all of them it is the table's."""
    return table.grid_name(f"{MODEL}_{start}", lr) if fraction == 1 else f"pretraining/{start}/{fraction:g}/lr{lr:g}"


def jobs(options: Options) -> list[Job]:
    """The runs of the grid that the table does not have, with the first seed."""
    made = []
    for start, fraction, lr in product(STARTS, FRACTIONS, options.lrs):
        if fraction < 1:

            def settings(_, start=start, fraction=fraction, lr=lr):
                return options.settings(MODEL, start, lr=lr, fraction=fraction, seed=options.seeds[0])

            name = grid_name(start, fraction, lr)
            made.append(Job(name, options.steps, settings, keep=False, may_diverge=True))
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
    for vgg, scratch in PAIRS:
        for seed in seeds:
            runs = {VGG: records[run_name(vgg, seed)], SCRATCH: records[run_name(scratch, seed)]}
            goal = SHARE * (runs[SCRATCH]["course"][-1][2] or 0)
            race = {"model": runs[VGG]["settings"]["model"], "seed": seed, "goal": goal}
            race["first"] = runs[SCRATCH]["course"][0][0]  # step of the first validation
            found.append(race | {start: reached(run, goal) for start, run in runs.items()})
    return found


def verdicts(races: list[dict], pretraining: float | None) -> list[Verdict]:
    """pretraining: its seconds, None where they are not known."""
    models = sorted({race["model"] for race in races})

    def ratios(extra: float, unit: int) -> dict[str, list[float]]:
        """For each network: steps (unit 0) or seconds (1) from VGG weights over those from scratch, a seed each."""
        return {
            model: [
                (race[VGG][unit] + extra) / race[SCRATCH][unit] if race[VGG] else float("inf")
                for race in races
                if race["model"] == model
            ]
            for model in models
        }

    at_first = [race for race in races if race[VGG] and race[VGG][0] == race["first"]]
    blind = any(race[SCRATCH][0] == race["first"] for race in at_first)
    steps = ratios(0, 0)
    if all(r <= 0.5 for model in models for r in steps[model]):
        verdict = "supported"
    elif not blind and any(all(r >= 1 for r in steps[model]) for model in models):
        verdict = "refuted"
    else:
        verdict = "undecided"
    figures = f"steps from VGG weights over steps from scratch: {text(steps)}."
    if at_first:
        figures += f" In {len(at_first)} of {len(races)} the first validation found VGG weights there: upper bounds."
    found = [Verdict(TIME, verdict, figures)]
    if pretraining is not None:
        seconds = ratios(pretraining, 1)
        every = [r for model in models for r in seconds[model]]
        verdict = "supported" if max(every) < 1 else "refuted" if min(every) > 1 and not blind else "undecided"
        figures = f"seconds with {pretraining:.0f} s of pretraining over seconds from scratch: {text(seconds)}."
        found.append(Verdict(INEFFICIENT, verdict, figures))
    return found


def text(ratios: dict[str, list[float]]) -> str:
    return "; ".join(
        f"{model} {', '.join('not reached' if r == float('inf') else f'{r:.2f}' for r in values)}"
        for model, values in ratios.items()
    )


def grid(records: dict[str, dict], lrs: list[float]) -> dict[str, list[dict]]:
    """For each start: the record of the best learning rate of each fraction, by the held-out tenth."""
    return {
        start: [max((records[grid_name(start, f, lr)] for lr in lrs), key=held_out_score) for f in FRACTIONS]
        for start in STARTS
    }


def blocks(records: dict[str, dict], seeds: list[int], lrs: list[float], pretraining: float | None) -> list[Block]:
    found, best = races(records, seeds), grid(records, lrs)
    scores = {NAMES[start]: [100 * reported(record) for record in best[start]] for start in STARTS}
    return [
        Heading("Do pretrained weights cut the time?"),
        *verdicts(found, pretraining),
        Text(
            "To nine tenths of the final Jaccard from scratch, on the held-out tenth (validations are in the seconds):"
        ),
        race_table(found),
        Text(
            f"{MODEL} on a part of the training pictures, seed {seeds[0]}, as many steps as in the table: Jaccard on "
            "the reported split, of the learning rate that scored best on the held-out tenth."
        ),
        Table(
            ["start", *(f"{f:g} of the pictures" for f in FRACTIONS)],
            [[name, *("diverged" if isnan(s) else f"{s:.1f}" for s in values)] for name, values in scores.items()],
        ),
        Text("Jaccard on the held-out tenth for each learning rate of the grid:"),
        grid_table(records, lrs),
        Plot("fractions", fractions(FRACTIONS, scores), "Jaccard against the share of training pictures"),
    ]


def race_table(races: list[dict]) -> Table:
    header = ["network", "seed", "goal", "from VGG: steps", "s", "from scratch: steps", "s"]
    rows = [[r["model"], str(r["seed"]), percent(r["goal"]), *cells(r[VGG]), *cells(r[SCRATCH])] for r in races]
    return Table(header, rows)


def grid_table(records: dict[str, dict], lrs: list[float]) -> Table:
    rows = []
    for start in STARTS:
        for fraction in FRACTIONS:
            runs = [records[grid_name(start, fraction, lr)] for lr in lrs]
            rows.append([f"{NAMES[start]}, {fraction:g}", *(percent(held_out_score(run)) for run in runs)])
    return Table(["start, fraction", *(f"lr {lr:g}" for lr in lrs)], rows)


def reported(record: dict) -> float:
    """The Jaccard on the reported split; NaN where all learning rates diverged."""
    return record["scores"]["jaccard"] if "scores" in record else nan


def cells(reached: tuple[int, float] | None) -> list[str]:
    return ["not reached", "-"] if reached is None else [str(reached[0]), f"{reached[1]:.0f}"]


def percent(score: float) -> str:
    return "diverged" if score < 0 else f"{100 * score:.1f}"
