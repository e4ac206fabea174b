"""minifcn against PyTorch on this machine's CPU: prints, and writes docs/benchmarks.md (about 40 minutes).

    env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE python experiments/speed/bench.py [--only layers ...]

Contenders run in processes of their own and take turns; their results are compared before anything is timed. A figure
is the median of all runs. with_torch.py says what "tuned" and "plain" mean.
"""

import argparse
import os
import platform
import subprocess
import sys
from importlib.util import find_spec
from math import exp, log
from pathlib import Path

from driver import Contender, fresh, peak

ROOT = Path(__file__).resolve().parents[2]
LAYERS = {  # name: (H, W, C, K) for a picture of 384 x 480
    "conv1_2": (384, 480, 64, 64),
    "conv2_1": (192, 240, 64, 128),
    "conv2_2": (192, 240, 128, 128),
    "conv3_1": (96, 120, 128, 256),
    "conv3_2, 3": (96, 120, 256, 256),
    "conv4_1": (48, 60, 256, 512),
    "conv4_2, 3": (48, 60, 512, 512),
    "conv5_1, 2, 3": (24, 30, 512, 512),
}
FUNCTIONS = ("forward", "input gradient", "weight gradient")
KEPT = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "-1"}  # what minifcn asks of glibc, asked for PyTorch
MINIFCN = Contender("minifcn", "with_minifcn")
TWO = Contender("2 processes", "with_ranks", threads=1, processes=2)
TUNED = Contender("PyTorch, tuned", "with_torch", {"style": "tuned"})
TUNED_KEPT = Contender("PyTorch, tuned, freed memory kept", "with_torch", {"style": "tuned"}, environment=KEPT)
HALF = [
    Contender(f"PyTorch, bfloat16, {how}", "with_torch", {"style": "tuned", "bfloat16": how}, environment=KEPT)
    for how in ("autocast", "whole")
]
NCNN = Contender("ncnn", "with_ncnn")
PLAIN = Contender("PyTorch, plain", "with_torch", {"style": "plain"})
FULL = {"trunk": "vgg16", "classes": 21, "N": 1, "dropout": 0.0}
TOYTOWN = {"trunk": "vgg_quarter", "classes": 9, "N": 2, "H": 160, "W": 192, "pad": "same", "dropout": 0.0}


def main() -> None:
    parts = {f.__name__: f for f in (layers, networks, fastest, memory, frozen, toytown, processes, growth, threads)}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=parts, default=[*parts])
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "benchmarks.md")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    page = header()
    for name in args.only:
        print(f"\n== {name}", flush=True)
        page += ["", *parts[name](args.rounds)]
        args.out.write_text("\n".join(page) + "\n", encoding="utf-8")
    print(f"wrote {args.out}")


def header() -> list[str]:
    with MINIFCN as ours, TUNED as theirs:
        versions = ours.ask(versions=True) | theirs.ask(versions=True)
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    set_here = [name for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE") if name in os.environ]
    facts = {"processor": cpu_name(), "cores": os.cpu_count(), "Python": platform.python_version(), **versions}
    facts |= {"OPENBLAS_* set": ", ".join(set_here) or "none", "commit": commit.stdout.strip()}
    return [
        "# Benchmarks",
        "",
        f"Written by `python experiments/speed/{' '.join(map(os.path.basename, sys.argv))}`"
        " ([experiments/speed/bench.py](../experiments/speed/bench.py)); not to be edited.",
        "",
        *(f"- {name}: {value}" for name, value in facts.items()),
        "",
        "Each contender runs in a process of its own; they take turns; a figure is the median of all its runs.",
        "Before anything is timed, results must agree: layers and scores within a relative error of 1e-4, the losses",
        "of three training steps within 1e-3 (from the same weights). Dropout is off. A ratio above 1 means that",
        "minifcn is faster.",
        "*Tuned* and *plain* are described in [with_torch.py](../experiments/speed/with_torch.py). *Freed memory kept*",
        "is the tuned twin with the same request to glibc's malloc that minifcn makes (MALLOC_MMAP_MAX_=0,",
        "MALLOC_TRIM_THRESHOLD_=-1), which a PyTorch user has to know of.",
    ]


def layers(rounds: int) -> list[str]:
    """(a) Each 3x3 layer of VGG-16, each of the three functions, against both layouts of PyTorch."""
    lines = ["## 3x3 convolutions of VGG-16, 384 x 480, batch 1", ""]
    lines += ["Rates in 10^9 floating-point operations a second of the *direct* algorithm (2 x 9 C K a pixel).", ""]
    lines += row("layer", "function", "minifcn", "channels_last", "NCHW", "ratio to the faster layout")
    lines += row(*6 * ["---"])
    last = Contender("channels_last", "with_torch", {"style": "channels_last"})
    first = Contender("NCHW", "with_torch", {"style": "NCHW"})
    ratios = {}
    for name, (H, W, C, K) in LAYERS.items():
        work = 2 * 9 * H * W * C * K / 1e9
        total = dict.fromkeys(("minifcn", "channels_last", "NCHW"), 0.0)
        for function in FUNCTIONS:
            job = {"kind": "layer", "function": function, "H": H, "W": W, "C": C, "K": K, "warm": 2}
            seconds = fresh([MINIFCN, last, first], job, rounds, 1e-4)
            total = {side: total[side] + seconds[side] for side in total}
            ratio = min(seconds["channels_last"], seconds["NCHW"]) / seconds["minifcn"]
            lines += row(name, function, *(f"{work / s:.0f}" for s in seconds.values()), f"{ratio:.2f}")
        rates = (f"{3 * work / s:.0f}" for s in total.values())
        ratios[name] = total["channels_last"] / total["minifcn"]
        lines += row(
            name, "all three", *rates, f"**{min(total['channels_last'], total['NCHW']) / total['minifcn']:.2f}**"
        )
    mean = exp(sum(map(log, ratios.values())) / len(ratios))
    lines += [
        "",
        f"All three functions together against channels_last: geometric mean over the layers **{mean:.2f}**, ",
    ]
    lines[-1] += f"lowest {min(ratios.values()):.2f} ({min(ratios, key=ratios.get)})."
    return shown(lines)


def networks(rounds: int) -> list[str]:
    """(b) Training steps and inference at full width."""
    lines = ["## Networks at full width, batch 1, 21 classes", ""]
    lines += row("network", "picture", "pad", "what", "minifcn, s", "tuned, s", "ratio", "freed memory kept", "plain")
    lines += row(*9 * ["---"])
    for H, W in ((360, 480), (500, 500)):
        for network in ("fcn32s", "fcn16s", "fcn8s"):
            for pad in (100, "same"):
                for kind in ("train", "inference"):
                    job = FULL | {"kind": kind, "network": network, "H": H, "W": W, "pad": pad}
                    lines += network_row(job, max(2, rounds - 2))
    return shown(lines)


def network_row(job: dict, rounds: int) -> list[str]:
    agree = {"warm": 3 if job["kind"] == "train" else 1}
    whole = (job["H"], job["network"]) == (360, "fcn32s")
    contenders = [MINIFCN, TUNED] + ([TUNED_KEPT, PLAIN] if whole else [])
    seconds = fresh(contenders, job | agree, rounds, 1e-3 if job["kind"] == "train" else 1e-4)
    ours = seconds["minifcn"]
    against = [f"{seconds[c.name] / ours:.2f}" if c.name in seconds else "" for c in (TUNED_KEPT, PLAIN)]
    picture, theirs = f"{job['H']} x {job['W']}", seconds[TUNED.name]
    what = "train step" if job["kind"] == "train" else "inference"
    return row(
        job["network"], picture, job["pad"], what, f"{ours:.2f}", f"{theirs:.2f}", f"**{theirs / ours:.2f}**", *against
    )


def fastest(rounds: int) -> list[str]:
    """(c) Inference against ncnn, and the step against PyTorch in bfloat16."""
    lines = ["## The fastest of others: FCN-32s, full width, 360 x 480, pad 100", ""]
    lines += [
        "minifcn computes in float32. ncnn does, too: Winograd, packed layouts, weights transformed once, when they",
        "are loaded ([with_ncnn.py](../experiments/speed/with_ncnn.py)). PyTorch is tuned, in bfloat16, with freed",
        "memory kept; its losses of three steps must be within a half of minifcn's: with all of it in bfloat16 they",
        "are a fifth off, so that is not the same training.",
        "",
    ]
    lines += row("what", "minifcn, s", "other", "s", "ratio") + row(*5 * ["---"])
    job = FULL | {"network": "fcn32s", "H": 360, "W": 480, "pad": 100}
    for kind, others, tolerance in (("inference", [NCNN], 1e-4), ("train", HALF, 0.5)):
        if others == [NCNN] and not find_spec("ncnn"):
            lines += row(kind, "", "ncnn is not installed", "", "")
            continue
        seconds = fresh([*others, MINIFCN], job | {"kind": kind, "warm": 3}, rounds, tolerance)
        ours = seconds.pop("minifcn")
        for name, theirs in seconds.items():
            lines += row(kind, f"{ours:.2f}", name, f"{theirs:.2f}", f"**{theirs / ours:.2f}**")
    return shown(lines)


def memory(_: int) -> list[str]:
    """(d) The most memory a process holds in three training steps."""
    lines = [
        "## Peak memory",
        "",
        "ru_maxrss of a process that takes three training steps of FCN-32s, 360 x 480, full width,",
    ]
    lines += ["10^9 bytes. Weights and momentum alone are 1.07.", ""]
    lines += row("pad", "minifcn", "minifcn, low memory", *(c.name for c in (TUNED, PLAIN))) + row(*5 * ["---"])
    low = Contender("minifcn, low memory", "with_minifcn", {"low_memory": 3})
    for pad in (100, "same"):
        job = FULL | {"kind": "train", "network": "fcn32s", "H": 360, "W": 480, "pad": pad, "warm": 3}
        lines += row(pad, *(f"{peak(c, job) / 1e9:.2f}" for c in (MINIFCN, low, TUNED, PLAIN)))
    return shown(lines)


def frozen(rounds: int) -> list[str]:
    """(e) Training the whole of VGG-16, and all of it but its first two blocks."""
    lines = ["## FCN-8s, VGG-16 with fc 512: training step of 2 pictures of 240 x 320, blocks frozen", ""]
    lines += ["Peak memory is that of a process that takes three steps, in 10^9 bytes.", ""]
    heads = ("minifcn, s", "tuned, s", "ratio", "kept, s", "ratio", "minifcn, GB", "tuned, GB", "kept, GB")
    lines += row("--freeze", *heads) + row(*9 * ["---"])
    sides = [MINIFCN, TUNED, TUNED_KEPT]
    for blocks in (0, 2):
        job = FULL | {"kind": "train", "network": "fcn8s", "pad": "same", "N": 2, "H": 240, "W": 320, "fc": 512}
        job |= {"freeze": blocks, "warm": 3}
        ours, *theirs = fresh(sides, job, rounds, 1e-3).values()
        cells = [f"{ours:.2f}"] + [cell for s in theirs for cell in (f"{s:.2f}", f"**{s / ours:.2f}**")]
        lines += row(blocks, *cells, *(f"{peak(c, job) / 1e9:.2f}" for c in sides))
    return shown(lines)


def toytown(rounds: int) -> list[str]:
    """(f) The default training step."""
    lines = ["## The default step: toytown, `vgg_quarter`, 2 pictures of 160 x 192", ""]
    lines += row("network", "threads", "minifcn, s", "tuned, s", "ratio", "plain") + row(*6 * ["---"])
    for network in ("fcn32s", "fcn16s"):
        for count in (1, 2):
            sides = [Contender(c.name, c.side, c.options, count) for c in (MINIFCN, TUNED, PLAIN)]
            ours, tuned, plain = fresh(
                sides, TOYTOWN | {"kind": "train", "network": network, "warm": 3}, 3 * rounds, 1e-3
            ).values()
            lines += row(
                network, count, f"{ours:.3f}", f"{tuned:.3f}", f"**{tuned / ours:.2f}**", f"{plain / ours:.2f}"
            )
    return shown(lines)


def processes(rounds: int) -> list[str]:
    """(g) Small networks: one process of one thread or two, and two processes."""
    lines = ["## Small networks: `vgg_quarter`, training steps, dropout off", ""]
    lines += ["Ratios are of PyTorch's time to that of two processes; all have two cores.", ""]
    heads = ("1 thread, s", "2 threads, s", "2 processes, s", "all-reduce, s", "tuned, s", "ratio", "kept, s", "ratio")
    lines += row("network", "pictures", *heads, "1 thread to 2 processes") + row(*11 * ["---"])
    one, two = Contender("1 thread", "with_minifcn", threads=1), TWO
    for network, N, H, W in (("fcn32s", 2, 160, 192), ("fcn8s", 2, 180, 240), ("fcn8s", 4, 360, 480)):
        job = TOYTOWN | {"kind": "train", "network": network, "N": N, "H": H, "W": W, "warm": 3}
        seconds = fresh([one, MINIFCN, two, TUNED, TUNED_KEPT], job, 3 * rounds, 1e-3)
        summed = fresh([two], job | {"kind": "all-reduce"}, rounds, 0)["2 processes"]
        ours, tuned, kept = (seconds[c.name] for c in (two, TUNED, TUNED_KEPT))
        cells = [f"{seconds[c.name]:.3f}" for c in (one, MINIFCN, two)] + [f"{summed:.4f}"]
        cells += [f"{tuned:.3f}", f"**{tuned / ours:.2f}**", f"{kept:.3f}", f"**{kept / ours:.2f}**"]
        lines += row(network, f"{N} x {H} x {W}", *cells, f"{seconds['1 thread'] / ours:.2f}")
    return shown(lines)


def growth(rounds: int) -> list[str]:
    """(h) Time against the picture's area and the batch."""
    lines = ['## Growth: training step of FCN-32s, full width, pad "same"', ""]
    lines += row("batch", "picture", "pixels", "seconds", "time an area of the first") + row(*5 * ["---"])
    first = None
    for N, H, W in ((1, 180, 240), (1, 256, 338), (1, 360, 480), (1, 512, 676), (2, 360, 480), (4, 360, 480)):
        job = FULL | {"kind": "train", "network": "fcn32s", "pad": "same", "N": N, "H": H, "W": W, "warm": 2}
        seconds = fresh([MINIFCN], job, max(2, rounds - 2), 1.0)["minifcn"]
        first = first or (seconds, N * H * W)
        lines += row(N, f"{H} x {W}", N * H * W, f"{seconds:.2f}", f"{seconds / first[0] / (N * H * W / first[1]):.2f}")
    return shown(lines)


def threads(rounds: int) -> list[str]:
    """(i) One thread against two."""
    lines = ["## One thread against two: training step of FCN-32s, full width, 360 x 480, pad 100", ""]
    lines += row("", "1 thread, s", "2 threads, s", "ratio") + row(*4 * ["---"])
    for side in (MINIFCN, TUNED):
        sides = [Contender(str(n), side.side, side.options, n) for n in (1, 2)]
        job = FULL | {"kind": "train", "network": "fcn32s", "H": 360, "W": 480, "pad": 100, "warm": 2}
        one, two = fresh(sides, job, max(2, rounds - 2), 1e-3).values()
        lines += row(side.name, f"{one:.2f}", f"{two:.2f}", f"**{one / two:.2f}**")
    return shown(lines)


def row(*cells) -> list[str]:
    return [f"| {' | '.join(map(str, cells))} |"]


def shown(lines: list[str]) -> list[str]:
    print("\n".join(lines), flush=True)
    return lines


def cpu_name() -> str:
    try:
        found = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
        return found[0].split(":")[1].strip()
    except (OSError, IndexError):
        return platform.processor() or "unknown"


if __name__ == "__main__":
    main()
