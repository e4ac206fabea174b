"""What segmenting a picture costs: real pictures in processes of their own, and verdicts on made-up records."""

import io
import json
import os

import numpy as np
import pytest
from PIL import Image

from experiments.table1 import plots_cost, realtime
from experiments.table1.blocks import Report, Table, Verdict, markdown

LINUX = hasattr(os, "sched_setaffinity")


@pytest.fixture(scope="module")
def measured():
    """A record of a tiny picture on one core."""
    ballast = np.ones(40_000_000)  # 320 MB: this process's peak must not become the child's
    r = realtime.measure("fcn16s", "vgg_quarter", 48, 64, 1, pictures=5, classes=9, jaccard=0.5, data="toytown test")
    return r if ballast.all() else {}


# --- measuring ---


def test_a_record_says_what_was_run(measured):
    said = {"network": "fcn16s", "trunk": "vgg_quarter", "pad": "same", "height": 48, "width": 64, "classes": 9}
    said |= {"cores": 1, "threads": 1, "bound": LINUX, "pictures": 5, "jaccard": 0.5, "data": "toytown test"}
    assert said.items() <= measured.items() and "allowed" not in measured
    assert json.loads(json.dumps(measured)) == measured


def test_percentiles_are_those_of_the_counted_pictures(measured):
    ms = measured["milliseconds"]
    assert len(ms) == 5 and min(ms) > 0
    assert measured["p50"] == pytest.approx(np.percentile(ms, 50))
    assert measured["p95"] == pytest.approx(np.percentile(ms, 95)) and measured["p50"] <= measured["p95"]
    assert 0 < measured["cpu_seconds"]
    assert 10_000_000 < measured["peak"] < 200_000_000


def test_each_picture_goes_the_way_of_predict(monkeypatch):
    seen = []
    monkeypatch.setattr(realtime, "predict", lambda model, x: seen.append(x))
    ticks = iter(range(10_000))
    monkeypatch.setattr(realtime.time, "perf_counter", lambda: next(ticks) ** 2 / 1000)  # each takes longer
    monkeypatch.setattr(realtime.time, "process_time", lambda: 7.0 * len(seen))
    r = realtime.run("fcn32s", "vgg_quarter", 48, 64, 4, 2)
    assert len(seen) == realtime.WARM + 4
    assert {(x.shape, str(x.dtype)) for x in seen} == {((1, 48, 64, 3), "float32")}
    assert r["milliseconds"] == pytest.approx([4 * i + 1 for i in range(realtime.WARM, realtime.WARM + 4)])
    assert r["cpu_seconds"] == 7.0  # the warm ones are not counted
    assert -2.2 < min(x.min() for x in seen) < -1 and 1 < max(x.max() for x in seen) < 2.7  # preprocessed


@pytest.mark.skipif(not LINUX, reason="only Linux binds processes to cores")
def test_cores_and_threads_reach_the_process(monkeypatch):
    asked = []

    def in_own_process(module, arguments, cores, threads):
        asked.append((module, arguments["pictures"], arguments["classes"], cores, threads))
        return {"allowed": len(cores) if len(asked) < 3 else 7}

    monkeypatch.setattr(realtime, "in_own_process", in_own_process)
    monkeypatch.setattr(realtime.os, "sched_getaffinity", lambda _: {5, 3, 8})
    records = [realtime.measure("fcn8s", trunk, 8, 8, n) for trunk, n in (("vgg16", 1), ("vgg_quarter", 2)) * 2]
    name = "experiments.table1.realtime"
    assert asked == [(name, 20, 21, [3], 1), (name, 30, 21, [3, 5], 2)] * 2
    assert [r["bound"] for r in records] == [True, True, False, False]
    assert records[1] == {"cores": 2, "bound": True, "jaccard": None, "data": None}
    for n in (0, 4):
        with pytest.raises(ValueError, match="expected 1 to 3"):
            realtime.measure("fcn8s", "vgg16", 8, 8, n)


def test_where_nothing_can_be_bound_the_record_says_so(monkeypatch):
    monkeypatch.delattr(realtime.os, "sched_setaffinity", raising=False)
    monkeypatch.setattr(realtime, "in_own_process", lambda module, arguments, cores, threads: {"allowed": cores})
    r = realtime.measure("fcn8s", "vgg16", 8, 8, 99)
    assert r["bound"] is False and r["cores"] == 99
    assert realtime.row(record() | r)[3] == "99, not bound"


def test_the_settings_are_all_combinations(monkeypatch):
    monkeypatch.setattr(realtime, "reachable_cores", lambda: 4)
    settings = realtime.settings([(180, 240), (360, 480)])
    assert len({tuple(s.values()) for s in settings}) == len(settings) == 3 * 2 * 2 * 2
    assert {s["cores"] for s in settings} == {1, 2}
    monkeypatch.setattr(realtime, "reachable_cores", lambda: 1)
    assert {s["cores"] for s in realtime.settings([(8, 8)])} == {1}


# --- judging made-up records ---


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
    found = realtime.verdicts(records)[0]
    assert (found.claim.name, found.verdict) == ("real time", verdict)


def test_enough_claim_wants_the_same_data_and_setting():
    ours, theirs = pair()
    assert realtime.verdicts([ours, theirs | {"data": "toytown test"}])[0].verdict == "undecided"
    for other in ({"height": 1}, {"width": 1}, {"trunk": "vgg16"}, {"classes": 9}):
        assert [v.verdict for v in realtime.verdicts([ours, theirs | other])] == ["undecided"] * 2


def test_enough_claim_says_what_it_found():
    assert realtime.verdicts(pair(p50=30.0, p95=33.0))[0].found == (
        "vgg_quarter at 360 x 480: 30 ms, 95th percentile 33 ms, 30 pictures/s too, Jaccard 50.0 % against 54.0 % of "
        "FCN-8s (camvid val)."
    )
    assert "30 pictures/s" not in realtime.verdicts(pair(p50=30.0, p95=34.0))[0].found
    assert realtime.verdicts([])[0].found == "no width and resolution with both networks trained."


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
    found = realtime.verdicts(records)[1]
    assert (found.claim.name, found.verdict) == ("fewer resources", verdict)


def test_fewer_claim_says_what_it_found():
    first, second = pair(share=0.7)
    said = "vgg_quarter at 360 x 480: 0.70 of the processor time, 0.50 of the median latency"
    assert realtime.verdicts([first, second | {"peak": 2 * 10**8}])[1].found == f"{said}, 0.50 of the peak memory."
    assert realtime.verdicts([first | {"peak": None}, second])[1].found == f"{said}."


# --- showing them ---


def test_table():
    table = realtime.table([record("fcn8s", 40.0, 51.26, 0.0432, 0.571), record(cores=2, bound=False, peak=None)])
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
    found = realtime.blocks(pair() + pair(trunk="vgg16"))
    assert [type(block) for block in found].count(Verdict) == 2
    assert len(next(block for block in found if isinstance(block, Table)).rows) == 4
    text = markdown(Report("", found))
    assert "(latency.png)" in text and "Supported." in text and "Weights are random" in text


def bar(png: bytes, network: str) -> int:
    """How many rows of pixels the network's bar reaches over, legend left out."""
    x = np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))
    colour = tuple(bytes.fromhex(plots_cost.COLOURS[network][1:]))
    return int(((x == colour).all(2).sum(1) > 70).sum())  # the legend's swatch is narrower than a bar here


def test_bars_are_logarithmic():
    def drawn(p50):  # the other two fix the axis
        records = [record("fcn8s", 10.0, 10.0), record("fcn16s", 1000.0, 1000.0), record("fcn32s", p50, p50)]
        return bar(plots_cost.latency_plot(records), "fcn32s")

    ten, hundred, thousand = drawn(10.0), drawn(100.0), drawn(1000.0)
    assert ten > 20 and thousand - hundred == pytest.approx(hundred - ten, abs=12) and hundred - ten > 100


def test_the_drawing_is_the_same_twice_and_shows_the_spread():
    def drawn(p95):
        return plots_cost.latency_plot([record(), record("fcn8s", 70.0, p95), record(trunk="vgg16")])

    assert drawn(80.0) == drawn(80.0) != drawn(90.0)
