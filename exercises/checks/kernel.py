"""Checks kernel.cu in the emulator: accesses to memory, results against NumPy, traffic, who does what, large arrays."""

import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from exercises.checking import NO_SLIP, NotBegun, Wrong, described, shown

EMULATOR = Path(__file__).resolve().parents[2] / "tests" / "cuda"
TYPES = ("const float*", "const float*", "float", "float*", "long long", "int")
THREADS, WARPS = 128, 4
ORDERS = (("forward", 0), ("reverse", 0), ("random", 1), ("random", 2))
TOO_MUCH = "Right, but it reads {times:.3g} times the bytes: "
GUARD = "A guard is missing: the last block has warps beyond the last pixel, where p >= P. They must not touch memory."
LOST = (
    "Some lanes of the mask never come to the shuffle: they have returned, or are in another branch. All 32 must go "
    "there together; those that have no channel bring a sum of 0."
)
FAULTS = {  # what the emulator says -> what went wrong
    "out-of-bounds read .* argument 1": "w has C numbers. The loop over channels must end before C.",
    "out-of-bounds": "Work out the index by hand, for this block and thread: which p, which c?",
    "race": (
        "A race: several threads write the same number, and which comes last is chance. A sum over lanes needs the "
        "shuffles, and then one lane writes."
    ),
    "lacks the calling lane": (
        "The mask lacks a lane that calls: all 32 do, so it is 0xffffffff, eight f. A lane that is not in the mask may "
        "receive anything."
    ),
    "deadlock|of the mask|after .* returned|divergent": LOST,
    "uninitialised memory: .* argument 3": (
        "y is read before anybody has written it: its memory holds anything. Sum in a register, and write y[p] once, "
        "with = and not +=."
    ),
    "uninitialised": "That memory is read before anybody has written it.",
    "signed overflow": "The product is too large for an int: those end at 2^31 - 1. Make p a long long; p * C then is.",
    "const": "x and w are only to be read.",
    "endless": "The loop has no end: does its step grow, or halve, to the end?",
}


def steps(folder: Path) -> Iterator[str]:
    file = folder / "kernel.cu"
    source = file.read_text(encoding="utf-8-sig", errors="replace")
    if re.search(r"\{\s*\}\s*$", re.sub(r"//.*", "", source)):
        raise NotBegun(f"the kernel is yours to write, in {file}")
    score = compiled(source, file.name)
    yield "g++ compiles it, and its parameters are right"
    whole = np.arange(16.0).reshape(4, 4), np.array([1.0, 10, 100, 1000]), 0.5
    for title, x, w, bias in (
        ("by hand: 4 pixels, 4 channels", *whole),
        ("32 channels, one for each lane", *random(4, 32)),
        ("70 channels: lanes take two or three", *random(8, 70)),
        ("5 pixels: the last block has a warp for one, and three for none", *random(5, 9)),
        ("1 pixel, 1 channel", *random(1, 1)),
        ("101 pixels, 33 channels", *random(101, 33)),
    ):
        try:
            for order, seed in ORDERS:
                check_result(score, x, w, bias, order, seed)
        except Wrong as wrong:
            wrong.step = title
            raise
        yield f"{title}, threads in any order"
    yield check_traffic(score)
    yield check_share(score)
    yield check_sectors(score)
    yield check_large(score)


def compiled(source: str, name: str):
    """The kernel in the emulator, which is reached as minifcn.gpu_selftest does."""
    if shutil.which("g++") is None:
        raise Wrong(
            "This exercise runs in the emulator, which needs g++. Install it (apt install g++), and come again."
        )
    if str(EMULATOR) not in sys.path:
        sys.path.insert(0, str(EMULATOR))
    import emulator

    try:
        module = emulator.Module(source, name)
    except emulator.KernelError as error:
        first = re.search(rf"^.*{re.escape(name)}:\d+.* error: .*$", str(error), re.MULTILINE)
        raise Wrong(f"It does not compile:\n{first.group() if first else error}") from None
    if module.signatures.get("score") != TYPES:
        received = module.signatures.get("score", "no kernel of that name")
        raise Wrong(f"The kernel is called score, and its parameters are {', '.join(TYPES)}; received: {received}")
    return module


def random(P: int, C: int) -> tuple:
    rng = np.random.default_rng(P * C)
    return rng.standard_normal((P, C)), rng.standard_normal(C), 3.25


def launch(score, x, w, bias, y, **how):
    """Launch the kernel, x, w and y in device memory; what the emulator finds becomes Wrong."""
    import emulator

    args = (x, w, np.float32(bias), y, np.int64(x.shape[0]), np.int32(x.shape[1]))
    try:
        return score.launch("score", (-(-len(x) // WARPS),), (THREADS,), args, **how)
    except emulator.KernelError as error:
        sentence = fault(str(error), len(x))
        given = f"Given x {x.shape}, w {w.shape}: {-(-len(x) // WARPS)} blocks of {THREADS} threads"
        raise Wrong(f"{given}\n\nThe emulator says:\n{error}\n\n{sentence}".rstrip()) from None


def fault(error: str, P: int) -> str:
    """The sentence for what the emulator says."""
    place = re.search(r"block \((\d+),0,0\) thread \((\d+),0,0\): out-of-bounds", error)
    if place and int(place[1]) * WARPS + int(place[2]) // 32 >= P:
        return GUARD
    return next((text for pattern, text in FAULTS.items() if re.search(pattern, error)), "")


def run(score, x, w, bias, **how) -> tuple:
    """Return y, which of its numbers were written, and the bytes moved."""
    import emulator

    y = emulator.empty(len(x), np.float32)
    x, w = (emulator.array(a.astype(np.float32)) for a in (x, w))
    traffic = launch(score, x, w, bias, y, **how)
    return np.array(y), np.array([emulator.initialised(y[i : i + 1]) for i in range(len(y))]), traffic


def check_result(score, x, w, bias, order, seed) -> None:
    y, written, _ = run(score, x, w, bias, order=order, seed=seed)
    given = described({"x": x, "w": w, "bias": bias, "P": x.shape[0], "C": x.shape[1]})
    if not written.all():
        p = int(np.argmin(written))
        text = (
            f"y[{p}] is never written. Pixel p is that of warp threadIdx.x / 32 in block blockIdx.x, 4 warps a block."
        )
        raise Wrong(f"{given}\n\n{text}")
    expected = (x @ w + bias).astype(np.float32)
    if not near(y, expected):
        found = [text for text, wrong in slips(x, w, bias).items() if near(y, wrong)]
        sentence = LOST if np.isnan(y).any() else next(iter(found), NO_SLIP)
        raise Wrong(f"{given}\n\n{shown('y', y, expected, 1e-5)}\n\n{sentence}".rstrip())


def near(y, expected) -> bool:
    return np.allclose(y, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


def slips(x, w, bias) -> dict:
    """Sentence -> the y that one gets by this slip."""
    lanes = np.zeros((len(x), 32))
    for c in range(x.shape[1]):
        lanes[:, c % 32] += x[:, c] * w[c]
    whole = lanes.sum(axis=1)
    return {
        "That is the sum of lane 0 alone. The other 31 lanes have the rest: add them up by shuffles.": lanes[:, 0]
        + bias,
        "The bias is missing.": whole,
        "The bias is in the sum 32 times, once a lane. Lane 0 adds it, after the shuffles.": whole + 32 * bias,
        "The bias is added for every channel. Lane 0 adds it once, after the shuffles.": whole + x.shape[1] * bias,
        "A step of the shuffles is missing, the first: with 32 lanes it is 16.": lanes[:, :16].sum(axis=1) + bias,
        "A step of the shuffles is missing, the last: they go on to 1 (step > 0).": lanes[:, ::2].sum(axis=1) + bias,
        "Only the first 32 channels count. A lane goes on to c + 32, c + 64, ... while there are channels.": (
            x[:, :32] @ w[:32] + bias
        ),
        "C / 32 rounds down, so the last C % 32 channels are in no lane's share. Begin at c = lane, in steps of 32.": (
            x[:, : x.shape[1] // 32 * 32] @ w[: x.shape[1] // 32 * 32] + bias
        ),
        "Every lane sums all channels, and the shuffles add up 32 times the sum. Begin at c = lane, in steps of 32.": (
            32 * whole + bias
        ),
        "Each lane adds all channels from its own on. Lanes take turns: c += 32.": (
            x @ (w * np.minimum(np.arange(len(w)) + 1, 32)) + bias
        ),
        "That is the sum of x alone: each number is to be multiplied by w[c].": x.sum(axis=1) + bias,
        "Every pixel has the score of pixel 0: it begins at x[p * C].": np.repeat(whole[:1], len(x)) + bias,
    }


def check_traffic(score) -> str:
    """Nothing is read twice, but for w once a pixel, and nothing is written twice."""
    x, w, bias = random(64, 96)
    _, _, traffic = run(score, x, w, bias)
    least, written = 2 * x.size * 4, len(x) * 4
    said = (
        f"reads {traffic.read} bytes, least {least} (x once, w once a pixel), writes {traffic.written}, least {written}"
    )
    if traffic.read > 2 * least:
        text = "every lane walks through all channels. Begin at c = lane and go on by c += 32, then each is read once."
        raise Wrong(TOO_MUCH.format(times=traffic.read / least) + f"{text}\n\n{said}")
    if traffic.read > least + 4 * len(x) * THREADS or traffic.written > written:
        raise Wrong(f"Right, but it moves more bytes than it needs to. Sum in a register, write y[p] once.\n\n{said}")
    return f"traffic: {said}"


def check_share(score) -> str:
    """Block 0 makes four pixels, not 128."""
    _, written, _ = run(score, *random(256, 40), blocks=[0])
    found = np.flatnonzero(written).tolist()
    if found == list(range(THREADS)):
        text = "each thread has taken a pixel of its own. Then the 32 lanes of a warp read numbers that lie C apart, "
        text += "and memory, which hands out 32 neighbours at once, sends 32 times what is used. Give a pixel a warp."
        raise Wrong(f"Right, but slow on a GPU: {text}")
    if found != list(range(WARPS)):
        raise Wrong(f"Block 0 should write y[0] to y[{WARPS - 1}], a pixel a warp; it wrote {len(found)}: {found[:8]}")
    return "block 0 makes pixels 0 to 3, a warp each"


def check_sectors(score) -> str:
    """What the warps ask for, in the sectors of 32 bytes that memory hands out, is what they use."""
    _, _, traffic = run(score, *random(64, 256), sectors=True)
    times = traffic.sectors_read / traffic.read
    if times > 1.5:
        text = f"memory hands out 32 bytes at a time, and your warps ask for {times:.3g} times what they use. "
        text += (
            "Neighbouring lanes should read neighbouring numbers at the same time: lane 0 takes channels 0, 32, ..., "
        )
        raise Wrong(f"Right, but slow on a GPU: {text}lane 1 takes 1, 33, ...")
    return f"the warps ask memory for {times:.3g} x the bytes that they use"


def check_large(score) -> str:
    """More than 2^31 numbers, of which only the last rows are in memory."""
    import emulator

    P, C, last = 2**25, 65, 8
    x, y = emulator.empty((P, C), np.float32), emulator.empty(P, np.float32)
    values, w, bias = random(last, C)
    x[-last:] = values
    emulator.mark_initialised(x[-last:])
    launch(score, x, emulator.array(w.astype(np.float32)), bias, y, blocks=[P // WARPS - 1])
    if not emulator.initialised(y[-WARPS:]) or not near(y[-WARPS:], values[-WARPS:] @ w + bias):
        raise Wrong(
            "With more than 2^31 numbers in x the last pixels are wrong: make p a long long, and p * C with it."
        )
    return "more than 2^31 numbers"
