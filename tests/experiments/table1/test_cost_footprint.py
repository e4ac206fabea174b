"""What the report makes of the memory and time of training: verdicts on made-up records, the table, the drawing."""

import io
from statistics import median

import numpy as np
import pytest
from PIL import Image

from experiments.table1 import cost, plots
from experiments.table1.blocks import Heading, Table, Verdict, markdown

PARTS = ["weights", "momentum", "gradients", "activations", "workspace"]


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
    found = cost.footprint_verdicts(records(peaks, low_peak=low_peak))[0]
    assert (found.name, found.verdict) == ("memory of training", verdict)
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
    found = cost.footprint_verdicts(records(seconds=seconds))[1]
    assert (found.name, found.verdict) == ("hours an epoch", verdict)


def test_epoch_claim_says_the_range():
    found = cost.footprint_verdicts([record(seconds=(1.0, 2.0, 3.0))])[1].found  # quartiles 1.5 and 2.5 s
    assert found == "FCN-32s 3.54 to 5.90 hours; not measured: FCN-16s, FCN-8s."
    assert cost.hours_range(record(seconds=(3.6,))) == (8.498, 8.498)


def test_nothing_measured_decides_nothing():
    for found in cost.footprint_verdicts([record("fcn32s", True), record("fcn16s", trunk="vgg_quarter")]):
        assert found.verdict == "undecided"
        assert "not measured: FCN-32s, FCN-16s, FCN-8s" in found.found


@pytest.mark.parametrize("other", [{"trunk": "vgg_quarter"}, {"pad": "same"}, {"height": 360}, {"width": 480}])
def test_other_settings_are_left_out_of_the_verdicts(other):
    strange = [record("fcn32s", peak=9.0, seconds=SLOW, **other)]
    assert [v.verdict for v in cost.footprint_verdicts(records() + strange)] == ["refuted", "supported"]


# --- showing them ---


def table_of(records):
    return next(block for block in cost.footprint(records) if isinstance(block, Table))


def test_table():
    table = table_of([record("fcn16s", True, 1.5, (1.0, 2.0, 3.0))])
    parts = ["0.510 / 0.500", "0.410 / 0.400", "0.010 / 0.000", "0.210 / 0.200", "0.500 / 0.360", "0.040"]
    rest = ["1.68 / 1.50", "1.12", "2.00", "4.72 (3.54 to 5.90)"]
    assert table.rows == [["FCN-16s", "vgg16, 375 x 500, pad 100, low memory", *parts, *rest]]
    assert len(table.header) == len(table.rows[0])
    assert table_of([record()]).rows[0][1] == "vgg16, 375 x 500, pad 100"


def test_blocks():
    found = cost.footprint(records())
    assert [type(block) for block in found].count(Verdict) == 2
    table = next(block for block in found if isinstance(block, Table))
    assert len(table.rows) == 6
    text = markdown([Heading(""), *found])
    assert "![Memory of a training step" in text and "(footprint.png)" in text and "Refuted" in text


def area(png: bytes, colour: str) -> int:
    x = np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))
    return int((x == tuple(bytes.fromhex(colour[1:]))).all(2).sum())


@pytest.mark.parametrize("part", [*PARTS, "base"])
def test_a_measured_part_is_drawn_as_tall_as_it_is(part):
    colour = plots.PART_COLOURS[part]

    def drawn(size, others=0):
        sizes = dict.fromkeys([*PARTS, "base"], others) | {part: size}
        r = record(peak=0.1) | {"base": sizes.pop("base"), "measured": sizes}
        return area(plots.footprint_plot([r]), colour)

    none, one, two = drawn(0), drawn(10**9), drawn(2 * 10**9)
    assert one > none + 1000 and (two - none) / (one - none) == pytest.approx(2, rel=0.03)
    assert drawn(10**9, others=10**8) == pytest.approx(one, rel=0.03)  # none lies over another
    assert drawn(-(10**9)) == none  # a rest below zero


def test_three_gigabytes_reach_the_line():
    r = record() | {"measured": dict.fromkeys(PARTS, 0) | {"weights": 3 * 10**9}, "base": 0}
    x = np.asarray(Image.open(io.BytesIO(plots.footprint_plot([r]))).convert("RGB"))

    def rows(colour):  # where it is seen widely: a bar or the line, not the legend
        return np.flatnonzero((x == tuple(bytes.fromhex(colour[1:]))).all(2).sum(1) > 100)

    line = rows(plots.LIMIT)
    assert len(line) and rows(plots.PART_COLOURS["weights"])[0] == pytest.approx(line.mean(), abs=4)


def test_the_drawing_is_the_same_twice():
    assert plots.footprint_plot(records()) == plots.footprint_plot(records())
