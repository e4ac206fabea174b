"""What the report makes of segmenting one picture at a time: verdicts on made-up records, the table, the drawing."""

import io

import numpy as np
import pytest
from PIL import Image

from experiments.table1 import cost, plots
from experiments.table1.blocks import Heading, Table, Verdict, markdown


def record(network="fcn32s", p50=50.0, p95=60.0, cpu=0.05, jaccard=None, **other):
    return {
        **{"network": network, "trunk": "vgg_quarter", "pad": "same", "height": 360, "width": 480, "classes": 21},
        **{"cores": 1, "bound": True, "p50": p50, "p95": p95, "cpu_seconds": cpu, "peak": 10**8},
        **{"jaccard": jaccard, "data": None if jaccard is None else "camvid val"},
    } | other


def pair(p50=50.0, p95=60.0, ours=0.50, theirs=0.54, share=0.9, **other):
    first = record("fcn32s", p50, p95, 0.1 * share, ours, **other)
    return [first, record("fcn8s", 100.0, 120.0, 0.1, theirs, **other)]


@pytest.mark.parametrize(
    "records, verdict",
    [
        (pair(), "supported"),
        (pair(p95=100.0), "supported"),
        (pair(ours=0.50, theirs=0.55), "supported"),  # 5 points are not more than 5, whatever floats make of it
        (pair(p50=101.0, p95=110.0), "refuted"),
        (pair(ours=0.48, theirs=0.54), "refuted"),
        (pair(p50=101.0, p95=110.0) + pair(ours=0.48, theirs=0.54, height=180), "refuted"),
        (pair(p50=99.0, p95=110.0), "undecided"),
        (pair(p50=99.0, p95=110.0) + pair(p50=101.0, p95=110.0, trunk="vgg16"), "undecided"),
        (pair(p50=101.0, p95=110.0) + pair(trunk="vgg16"), "supported"),
        (pair(theirs=None), "undecided"),
        (pair(ours=0.25, theirs=0.25, classes=4), "undecided"),  # one class everywhere reaches that
        (pair(ours=0.25, theirs=0.26, classes=4), "supported"),
        (pair(ours=None), "undecided"),
        ([], "undecided"),
        (pair(cores=2), "undecided"),
        (pair(bound=False), "undecided"),
    ],
)
def test_enough_claim(records, verdict):
    found = cost.realtime_verdicts(records)[0]
    assert (found.name, found.verdict) == ("real time", verdict)


def test_enough_claim_wants_the_same_data_and_setting():
    ours, theirs = pair()
    assert cost.realtime_verdicts([ours, theirs | {"data": "toytown test"}])[0].verdict == "undecided"
    for other in ({"height": 1}, {"width": 1}, {"trunk": "vgg16"}, {"classes": 9}):
        assert [v.verdict for v in cost.realtime_verdicts([ours, theirs | other])] == ["undecided"] * 2


def test_enough_claim_says_what_it_found():
    assert cost.realtime_verdicts(pair(p50=30.0, p95=33.0))[0].found == (
        "vgg_quarter at 360 x 480: 30 ms, 95th percentile 33 ms, 30 pictures/s too, Jaccard 50.0 % against 54.0 % of "
        "FCN-8s (camvid val)."
    )
    assert "30 pictures/s" not in cost.realtime_verdicts(pair(p50=30.0, p95=34.0))[0].found
    assert cost.realtime_verdicts([])[0].found == "no width and resolution with both networks trained."


@pytest.mark.parametrize(
    "records, verdict",
    [
        (pair(share=0.7), "supported"),
        (pair(share=0.97), "refuted"),
        (pair(share=1.2) + pair(share=0.96, trunk="vgg16"), "refuted"),
        (pair(share=0.9), "undecided"),
        (pair(share=0.7) + pair(share=0.97, trunk="vgg16"), "undecided"),
        (pair(share=0.7) + pair(share=0.9, height=180), "undecided"),
        (pair(share=0.7, cores=2), "undecided"),
        (pair(share=0.97) + pair(share=0.7, cores=2), "refuted"),
        ([record()], "undecided"),
    ],
)
def test_fewer_claim(records, verdict):
    found = cost.realtime_verdicts(records)[1]
    assert (found.name, found.verdict) == ("fewer resources", verdict)


def test_fewer_claim_says_what_it_found():
    first, second = pair(share=0.7)
    said = "vgg_quarter at 360 x 480: 0.70 of the processor time, 0.50 of the median latency"
    assert cost.realtime_verdicts([first, second | {"peak": 2 * 10**8}])[1].found == f"{said}, 0.50 of the peak memory."
    assert cost.realtime_verdicts([first | {"peak": None}, second])[1].found == f"{said}."


# --- showing them ---


def test_table():
    found = cost.realtime([record("fcn8s", 40.0, 51.26, 0.0432, 0.571), record(cores=2, bound=False, peak=None)])
    table = next(block for block in found if isinstance(block, Table))
    assert table.rows == [
        ["FCN-8s", "vgg_quarter", "360 x 480", "1", "40.0", "51.3", "25.0", "0.0432", "0.10", "57.1 (camvid val)"],
        [
            "FCN-32s",
            "vgg_quarter",
            "360 x 480",
            "2, not bound",
            "50.0",
            "60.0",
            "20.0",
            "0.0500",
            "unknown",
            "not trained",
        ],
    ]
    assert len(table.header) == 10


def test_blocks():
    found = cost.realtime(pair() + pair(trunk="vgg16"))
    assert [type(block) for block in found].count(Verdict) == 2
    assert len(next(block for block in found if isinstance(block, Table)).rows) == 4
    text = markdown([Heading(""), *found])
    assert "(latency.png)" in text and "Supported." in text and "Weights are random" in text


def bar(png: bytes, network: str) -> int:
    """How many rows of pixels the network's bar reaches over, legend left out."""
    x = np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))
    colour = tuple(bytes.fromhex(plots.COLOURS[network][1:]))
    return int(((x == colour).all(2).sum(1) > 70).sum())  # the legend's swatch is narrower than a bar here


def test_bars_are_logarithmic():
    def drawn(p50):  # the other two fix the axis
        records = [record("fcn8s", 10.0, 10.0), record("fcn16s", 1000.0, 1000.0), record("fcn32s", p50, p50)]
        return bar(plots.latency_plot(records), "fcn32s")

    ten, hundred, thousand = drawn(10.0), drawn(100.0), drawn(1000.0)
    assert ten > 20 and thousand - hundred == pytest.approx(hundred - ten, abs=12) and hundred - ten > 100


def test_the_drawing_is_the_same_twice_and_shows_the_spread():
    def drawn(p95):
        return plots.latency_plot([record(), record("fcn8s", 70.0, p95), record(trunk="vgg16")])

    assert drawn(80.0) == drawn(80.0) != drawn(90.0)
