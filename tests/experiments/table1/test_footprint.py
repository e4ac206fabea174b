"""What training costs: real steps in processes of their own, and verdicts on made-up records."""

import io
import json
import os
import tracemalloc
from statistics import median

import numpy as np
import pytest
from PIL import Image

from experiments.table1 import footprint, plots_cost
from experiments.table1.blocks import Report, Table, Verdict, markdown
from minifcn.cpu import threads
from minifcn.errors import InputError
from minifcn.models import MODELS, Widths
from minifcn.ops import softmax_cross_entropy
from minifcn.training import machine

PARTS = ["weights", "momentum", "gradients", "activations", "workspace"]
TINY = {"height": 64, "width": 96, "trunk": "vgg_quarter", "pad": "same"}


@pytest.fixture(scope="module")
def measured():
    """Records of FCN-16s, {low_memory: record}, taken by a process that is itself a large one."""
    ballast = np.ones(40_000_000)  # 320 MB: its own peak must not become the child's
    records = {low: footprint.measure("fcn16s", low, **TINY, steps=3 + low) for low in (False, True)}
    return records if ballast.all() else {}


# --- measuring ---


def test_a_record_says_what_was_run(measured):
    for low, r in measured.items():
        said = {"network": "fcn16s", "low_memory": low, **TINY, "batch": 1, "classes": 21, "steps": 3 + low}
        assert said.items() <= r.items()
        assert json.loads(json.dumps(r)) == r and r["threads"] >= 1


def test_measured_parts_are_those_of_the_network(measured):
    parameters = MODELS["fcn16s"](21, "vgg_quarter", "same").parameters().values()
    learnt = sum(p.data.nbytes for p in parameters if p.requires_grad)
    for low, r in measured.items():
        parts = r["measured"]
        assert list(parts) == list(r["predicted"]) == PARTS
        assert parts["weights"] == sum(p.data.nbytes for p in parameters)
        assert parts["momentum"] == learnt
        assert parts["gradients"] == (0 if low else learnt)
        assert parts["activations"] == pytest.approx(r["predicted"]["activations"], rel=0.02)


def test_low_memory_saves_the_first_maps_of_three_blocks(measured):
    maps = 4 * (64 * 96 * 16 + 32 * 48 * 32 + 16 * 24 * 64)
    for what in ("predicted", "measured"):
        assert measured[False][what]["activations"] - measured[True][what]["activations"] == maps


def test_the_parts_and_the_base_make_the_peak(measured):
    for r in measured.values():
        assert r["base"] + sum(r["measured"].values()) == r["peak"]
        assert 10_000_000 < r["base"] < r["peak"] < 200_000_000
        assert r["measured"]["workspace"] > 0
    assert measured[True]["peak"] < measured[False]["peak"]


def test_predicted_is_what_a_run_prints(measured):
    model = MODELS["fcn16s"](21, "vgg_quarter", "same")
    for low, r in measured.items():
        assert sum(r["predicted"].values()) == machine.estimate(model, 1, 64, 96, low)


def test_the_first_step_is_not_timed(measured):
    for r in measured.values():
        assert len(r["seconds"]) == r["steps"] - 1 and min(r["seconds"]) > 0
        assert r["seconds_a_picture"] == median(r["seconds"])
        assert r["hours_an_epoch"] == pytest.approx(r["seconds_a_picture"] * 8498 / 3600)


def step(model, height, width):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1, height, width, 3), np.float32)
    labels = rng.integers(0, model.num_classes, (1, height, width), np.uint8)
    return softmax_cross_entropy(model.train()(x), labels, reduction="sum") * (1 / labels.size)


def test_what_the_graph_keeps_by_hand():
    """test_memory.py's slim network: the maps, in float32; dropout's masks, the labels and a few single numbers."""
    model = MODELS["fcn32s"](2, Widths((2, 3, 4, 5, 6), 7), "same")
    maps = 3072 + 2048 + 2048 + 640 + 768 + 240 + 512 + 80 + 160 + 25 + 48 + 7.5 + 28
    kept = sum(footprint.buffers(step(model, 32, 32), model).values())
    assert 4 * maps + 2 * 7 + 32 * 32 <= kept <= 4 * maps + 2 * 7 + 32 * 32 + 100


@pytest.mark.parametrize("name, pad, recomputed", [("fcn32s", "same", 0), ("fcn8s", "same", 3), ("fcn16s", 100, 0)])
def test_what_the_graph_keeps_is_what_numpy_allocated(name, pad, recomputed, monkeypatch):
    monkeypatch.setattr(threads, "num_threads", lambda: 1)  # a helper may first need its workspace in the second step
    model = MODELS[name](21, "vgg_quarter", pad)
    model.recomputed = recomputed
    step(model, 64, 96)  # the convolutions' own workspace stays
    tracemalloc.start()
    loss = step(model, 64, 96)
    arrays = tracemalloc.take_snapshot().filter_traces([tracemalloc.DomainFilter(True, np.lib.tracemalloc_domain)])
    tracemalloc.stop()
    held = sum(trace.size for trace in arrays.traces)
    assert sum(footprint.buffers(loss, model).values()) == pytest.approx(held, abs=100)


def test_views_and_lists_of_arrays_count_once():
    whole = np.zeros(100)
    assert list(map(id, footprint.arrays([1, None, [whole, (whole,)], "x"]))) == [id(whole)] * 2

    model = MODELS["fcn32s"](2, Widths((2, 3, 4, 5, 6), 7), "same")
    loss = step(model, 32, 32)
    before = footprint.buffers(loss, model)
    loss.creator.extra = [whole[:10], (whole.reshape(10, 10), model.parameters()["fc6.weight"].data)]
    after = footprint.buffers(loss, model)
    assert sum(after.values()) - sum(before.values()) == whole.nbytes


def test_a_process_that_fails_says_why():
    with pytest.raises(InputError, match=r"footprint: .*fcn4s.*KeyError: 'fcn4s'"):
        footprint.measure("fcn4s", False, **TINY, steps=2)
    with pytest.raises(ValueError, match="at least 2"):
        footprint.measure("fcn16s", False, **TINY, steps=1)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="only Linux binds processes to cores")
def test_a_process_is_bound_before_numpy_starts_threads(tmp_path, monkeypatch):
    (tmp_path / "probe.py").write_text(
        "import os, numpy\n"
        "def run(n):\n"
        "    numpy.ones((n, n)) @ numpy.ones((n, n))\n"
        "    bound = [sorted(os.sched_getaffinity(int(t))) for t in os.listdir('/proc/self/task')]\n"
        "    return {'bound': bound, 'threads': os.environ['MINIFCN_THREADS']}\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    core = max(os.sched_getaffinity(0))
    found = footprint.in_own_process("probe", {"n": 300}, [core], 3)
    assert found["threads"] == "3" and all(cores == [core] for cores in found["bound"])


def test_a_loss_that_is_not_finite_ends_it(monkeypatch):
    monkeypatch.setattr(footprint, "softmax_cross_entropy", lambda *_, **__: footprint.Tensor(np.array(np.nan)))
    with pytest.raises(RuntimeError, match="loss is nan at step 0"):
        footprint.run("fcn32s", False, 32, 32, "vgg_quarter", "same", 2)


def test_the_settings_are_the_references():
    assert len({tuple(s.items()) for s in footprint.SETTINGS}) == len(footprint.SETTINGS) == 3 * 2
    for s in footprint.SETTINGS:
        assert (s["trunk"], s["pad"], s["height"], s["width"]) == ("vgg16", 100, 375, 500)


# --- judging made-up records ---


def record(network="fcn32s", low_memory=False, peak=2.0, seconds=(2.0, 2.1), **other):
    parts = dict(zip(PARTS, (5 * 10**8, 4 * 10**8, 0 if low_memory else 3 * 10**8, 2 * 10**8), strict=False))
    base = 4 * 10**7
    rest = round(peak * 1e9) - base - sum(parts.values())
    predicted = {name: size + 10**7 for name, size in parts.items()} | {"workspace": 5 * 10**8}
    return {
        "network": network,
        "low_memory": low_memory,
        **{"trunk": "vgg16", "pad": 100, "height": 375, "width": 500, "batch": 1, "classes": 21},
        **{"predicted": predicted, "measured": parts | {"workspace": rest}, "base": base, "peak": round(peak * 1e9)},
        **{"seconds": list(seconds), "seconds_a_picture": median(seconds)},
        "hours_an_epoch": median(seconds) * 8498 / 3600,
    } | other


def records(peaks=(2.0, 2.0, 2.0), seconds=((2.0, 2.1),) * 3, low_peak=1.5):
    names = ("fcn32s", "fcn16s", "fcn8s")
    normal = [record(name, False, p, s) for name, p, s in zip(names, peaks, seconds, strict=True)]
    return normal + [record(name, True, low_peak) for name in names]


@pytest.mark.parametrize(
    "peaks, low_peak, verdict",
    [
        ((3.5, 3.3, 3.6), 2.0, "supported"),
        ((3.5, 3.3, 2.9), 2.0, "supported"),  # of FCN-8s the sentence may or may not speak
        ((2.0, 2.1, 2.99), 1.5, "refuted"),
        ((2.0, 2.1, 3.5), 1.5, "undecided"),
        ((3.5, 2.0, 2.0), 1.5, "undecided"),
        ((2.0, 3.5, 2.0), 1.5, "undecided"),
        ((3.1, 3.1, 3.1), 2.0, "undecided"),  # 3 x 10^9, but not 3 x 2^30
        ((3.5, 3.1, 3.5), 2.0, "undecided"),
        ((3.0, 2.9, 2.9), 2.0, "undecided"),
        ((3.1, 3.1, 3.1), 3.5, "undecided"),  # low memory decides nothing
    ],
)
def test_memory_claim(peaks, low_peak, verdict):
    found = footprint.verdicts(records(peaks, low_peak=low_peak))[0]
    assert (found.claim.name, found.verdict) == ("memory of training", verdict)
    assert f"FCN-16s {peaks[1]:.2f} GB" in found.found
    assert f"FCN-16s with --low-memory {low_peak:.2f} GB" in found.found


SLOW, RIGHT, FAST = (3.0, 3.1, 3.2), (2.0, 2.1, 2.2), (1.0, 1.1, 1.2)  # 7.1 to 7.6, 4.7 to 5.2, 2.4 to 2.8 hours


@pytest.mark.parametrize(
    "seconds, verdict",
    [
        ((RIGHT, RIGHT, RIGHT), "supported"),
        ((RIGHT, RIGHT, SLOW), "supported"),
        ((RIGHT, SLOW, RIGHT), "undecided"),
        ((SLOW, SLOW, SLOW), "refuted"),
        ((FAST, FAST, FAST), "refuted"),
        ((SLOW, SLOW, RIGHT), "undecided"),
        (((2.0, 2.5, 2.9, 3.5),) * 3, "undecided"),  # quartiles 5.6 and 7.2 hours: astride 6.25
        (((1.0, 1.6, 1.8, 2.0),) * 3, "undecided"),  # quartiles 3.4 and 4.4 hours: astride 4
        (((2.0, 2.1, 2.1, 2.2, 9.9),) * 3, "supported"),  # a single slow step is outside the quartiles
    ],
)
def test_epoch_claim(seconds, verdict):
    found = footprint.verdicts(records(seconds=seconds))[1]
    assert (found.claim.name, found.verdict) == ("hours an epoch", verdict)


def test_epoch_claim_says_the_range():
    found = footprint.verdicts([record(seconds=(1.0, 2.0, 3.0))])[1].found  # quartiles 1.5 and 2.5 s
    assert found == "FCN-32s 3.54 to 5.90 hours; not measured: FCN-16s, FCN-8s."
    assert footprint.hours_range(record(seconds=(3.6,))) == (8.498, 8.498)


def test_nothing_measured_decides_nothing():
    for found in footprint.verdicts([record("fcn32s", True), record("fcn16s", trunk="vgg_quarter")]):
        assert found.verdict == "undecided"
        assert "not measured: FCN-32s, FCN-16s, FCN-8s" in found.found


@pytest.mark.parametrize("other", [{"trunk": "vgg_quarter"}, {"pad": "same"}, {"height": 360}, {"width": 480}])
def test_other_settings_are_left_out_of_the_verdicts(other):
    strange = [record("fcn32s", peak=9.0, seconds=SLOW, **other)]
    assert [v.verdict for v in footprint.verdicts(records() + strange)] == ["refuted", "supported"]


# --- showing them ---


def test_table():
    table = footprint.table([record("fcn16s", True, 1.5, (1.0, 2.0, 3.0))])
    parts = ["0.510 / 0.500", "0.410 / 0.400", "0.010 / 0.000", "0.210 / 0.200", "0.500 / 0.360", "0.040"]
    rest = ["1.68 / 1.50", "1.12", "2.00", "4.72 (3.54 to 5.90)"]
    assert table.rows == [["FCN-16s", "vgg16, 375 x 500, pad 100, low memory", *parts, *rest]]
    assert len(table.header) == len(table.rows[0])
    assert footprint.table([record()]).rows[0][1] == "vgg16, 375 x 500, pad 100"


def test_blocks():
    found = footprint.blocks(records())
    assert [type(block) for block in found].count(Verdict) == 2
    table = next(block for block in found if isinstance(block, Table))
    assert len(table.rows) == 6
    text = markdown(Report("", found))
    assert "![Memory of a training step" in text and "(footprint.png)" in text and "Refuted" in text


def area(png: bytes, colour: str) -> int:
    x = np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))
    return int((x == tuple(bytes.fromhex(colour[1:]))).all(2).sum())


@pytest.mark.parametrize("part", [*PARTS, "base"])
def test_a_measured_part_is_drawn_as_tall_as_it_is(part):
    colour = {**plots_cost.PART_COLOURS, "base": plots_cost.BASE_COLOUR}[part]

    def drawn(size, others=0):
        sizes = dict.fromkeys([*PARTS, "base"], others) | {part: size}
        r = record(peak=0.1) | {"base": sizes.pop("base"), "measured": sizes}
        return area(plots_cost.footprint_plot([r]), colour)

    none, one, two = drawn(0), drawn(10**9), drawn(2 * 10**9)
    assert one > none + 1000 and (two - none) / (one - none) == pytest.approx(2, rel=0.03)
    assert drawn(10**9, others=10**8) == pytest.approx(one, rel=0.03)  # none lies over another
    assert drawn(-(10**9)) == none  # a rest below zero


def test_three_gigabytes_reach_the_line():
    r = record() | {"measured": dict.fromkeys(PARTS, 0) | {"weights": 3 * 10**9}, "base": 0}
    x = np.asarray(Image.open(io.BytesIO(plots_cost.footprint_plot([r]))).convert("RGB"))

    def rows(colour):  # where it is seen widely: a bar or the line, not the legend
        return np.flatnonzero((x == tuple(bytes.fromhex(colour[1:]))).all(2).sum(1) > 100)

    line = rows(plots_cost.LIMIT)
    assert len(line) and rows(plots_cost.PART_COLOURS["weights"])[0] == pytest.approx(line.mean(), abs=4)


def test_the_drawing_is_the_same_twice():
    assert plots_cost.footprint_plot(records()) == plots_cost.footprint_plot(records())
