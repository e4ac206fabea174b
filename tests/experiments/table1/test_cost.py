"""What training and segmenting cost: real steps and pictures in processes of their own, and what of them counts."""

import json
import os
import tracemalloc
from functools import partial
from statistics import median
from types import SimpleNamespace

import numpy as np
import pytest

from experiments.table1 import cost
from minifcn.cpu import threads
from minifcn.models import MODELS, Widths
from minifcn.ops import softmax_cross_entropy
from minifcn.training import machine

LINUX = hasattr(os, "sched_setaffinity")
PARTS = ["weights", "momentum", "gradients", "activations", "workspace"]
KIND = {"network": "fcn16s", "trunk": "vgg_quarter", "pad": "same", "height": 64, "width": 96}
TINY = KIND | {"batch": 1, "classes": 21}
PICTURE = KIND | {"cores": 1, "classes": 9, "pictures": 5}


@pytest.fixture(scope="module")
def measured():
    """Records taken by a process that is itself a large one: FCN-16s trained, {low_memory: record}, and segmenting."""
    ballast = np.ones(40_000_000)  # 320 MB: its own peak must not become the child's
    records = {low: cost.measure(cost.train, TINY | {"low_memory": low, "steps": 3 + low}) for low in (False, True)}
    records["segment"] = cost.measure(cost.segment, PICTURE)
    return records if ballast.all() else {}


@pytest.fixture
def trained(measured):
    return {low: measured[low] for low in (False, True)}


# --- training ---


def test_a_record_is_plain(measured):
    for r in measured.values():
        assert json.loads(json.dumps(r)) == r and r["threads"] >= 1


def test_measured_parts_are_those_of_the_network(trained):
    parameters = MODELS["fcn16s"](21, "vgg_quarter", "same").parameters().values()
    learnt = sum(p.data.nbytes for p in parameters if p.requires_grad)
    for low, r in trained.items():
        parts = r["measured"]
        assert list(parts) == list(r["predicted"]) == PARTS
        assert parts["weights"] == sum(p.data.nbytes for p in parameters)
        assert parts["momentum"] == learnt
        assert parts["gradients"] == (0 if low else learnt)
        assert parts["activations"] == pytest.approx(r["predicted"]["activations"], rel=0.02)


def test_low_memory_saves_the_first_maps_of_three_blocks(trained):
    maps = 4 * (64 * 96 * 16 + 32 * 48 * 32 + 16 * 24 * 64)
    for what in ("predicted", "measured"):
        assert trained[False][what]["activations"] - trained[True][what]["activations"] == maps


def test_the_parts_and_the_base_make_the_peak(trained):
    for r in trained.values():
        assert r["base"] + sum(r["measured"].values()) == r["peak"]
        assert 10_000_000 < r["base"] < r["peak"] < 200_000_000
        assert r["measured"]["workspace"] > 0
    assert trained[True]["peak"] < trained[False]["peak"]


def test_predicted_is_what_a_run_prints(trained):
    model = MODELS["fcn16s"](21, "vgg_quarter", "same")
    for low, r in trained.items():
        assert sum(r["predicted"].values()) == machine.estimate(model, 1, 64, 96, low)


def test_the_first_step_is_not_timed(trained):
    for low, r in trained.items():
        assert len(r["seconds"]) == 2 + low and min(r["seconds"]) > 0
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
    kept = cost.kept(step(model, 32, 32), model)
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
    assert cost.kept(loss, model) == pytest.approx(held, abs=100)


def test_views_and_lists_of_arrays_count_once():
    whole = np.zeros(100)
    model = MODELS["fcn32s"](2, Widths((2, 3, 4, 5, 6), 7), "same")
    loss = step(model, 32, 32)
    before = cost.kept(loss, model)
    loss.creator.extra = [1, None, "x", whole[:10], (whole.reshape(10, 10), model.parameters()["fc6.weight"].data)]
    assert cost.kept(loss, model) - before == whole.nbytes


def test_the_settings_are_the_references():
    assert len({tuple(s.items()) for s in cost.FOOTPRINTS}) == len(cost.FOOTPRINTS) == 3 * 2
    for s in cost.FOOTPRINTS:
        assert (s["trunk"], s["pad"], s["height"], s["width"]) == ("vgg16", 100, 375, 500)
        assert (s["batch"], s["classes"], s["steps"]) == (1, 21, 6)


# --- segmenting ---


def test_a_record_of_segmenting(measured):
    r = measured["segment"]
    assert (r["threads"], r["bound"]) == (1, LINUX)
    assert len(r["milliseconds"]) == 5 and min(r["milliseconds"]) > 0 and r["cpu_seconds"] > 0
    assert r["p50"] == pytest.approx(np.percentile(r["milliseconds"], 50))
    assert r["p95"] == pytest.approx(np.percentile(r["milliseconds"], 95)) and r["p50"] <= r["p95"]
    assert 10_000_000 < r["peak"] < 200_000_000


def test_each_picture_goes_the_way_of_predict(monkeypatch):
    seen = []
    monkeypatch.setattr(cost.evaluation, "predict", lambda model, picture: seen.append(picture))
    ticks = iter(range(10_000))
    monkeypatch.setattr(cost.time, "perf_counter", lambda: next(ticks) ** 2 / 1000)  # each takes longer
    monkeypatch.setattr(cost.time, "process_time", lambda: 7.0 * len(seen))
    r = cost.segment(**PICTURE | {"height": 48, "width": 64, "pictures": 4})
    assert len(seen) == cost.WARM + 4
    assert {(x.shape, str(x.dtype)) for x in seen} == {((48, 64, 3), "uint8")}
    assert r["milliseconds"] == pytest.approx([4 * i + 1 for i in range(cost.WARM, cost.WARM + 4)])
    assert r["cpu_seconds"] == 7.0  # the warm ones are not counted


@pytest.mark.skipif(not LINUX, reason="only Linux binds processes to cores")
def test_a_process_with_other_cores_than_it_should_have_says_so(monkeypatch):
    monkeypatch.setattr(cost, "look", lambda *_: ([1.0], 1.0))
    for there, bound in (({5}, False), ({5, 8}, True), ({3, 5, 8}, False)):
        monkeypatch.setattr(cost.os, "sched_getaffinity", lambda _, there=there: there)
        assert cost.segment(**PICTURE | {"cores": 2})["bound"] is bound
    monkeypatch.delattr(cost.os, "sched_setaffinity")
    assert cost.segment(**PICTURE | {"cores": 2})["bound"] is False


def test_the_settings_are_all_combinations(monkeypatch):
    for there, cores in (([4, 5, 6], {1, 2}), ([5], {1}), ([], {1, 2})):  # the last where nothing is known of cores
        monkeypatch.setattr(cost, "my_cores", lambda there=there: there)
        settings = cost.latencies([(180, 240), (360, 480)], 9)
        assert len({tuple(s.values()) for s in settings}) == len(settings) == 3 * 2 * 2 * len(cores)
        assert {s["cores"] for s in settings} == cores
        assert {(s["trunk"], s["pictures"]) for s in settings} == {("vgg_quarter", 30), ("vgg16", 20)}
        assert {(s["height"], s["width"]) for s in settings} == {(180, 240), (360, 480)}
        assert {(s["pad"], s["classes"]) for s in settings} == {("same", 9)}


# --- the speeds of the table ---


def test_medians_of_a_picture_without_the_first_ones(monkeypatch):
    clock, done = SimpleNamespace(now=0.0), {"steps": 0, "pictures": 0}

    def work(kind: str, seconds: list[float], *_) -> None:
        clock.now += seconds[done[kind]]
        done[kind] += 1

    monkeypatch.setattr(cost.time, "perf_counter", lambda: clock.now)
    monkeypatch.setattr(cost.optim, "clip_gradients", partial(work, "steps", [90.0] * 3 + [8.0] * 11 + [50.0] * 9))
    monkeypatch.setattr(cost.evaluation, "predict", partial(work, "pictures", [70.0] * 3 + [3.0] * 11 + [60.0] * 9))
    r = cost.speed("fcn16s", "vgg_quarter", "same", 32, 32, batch=4, classes=2)
    assert done == {"steps": 23, "pictures": 23}
    assert (r["training_ms"], r["inference_ms"]) == (2000.0, 3000.0)


def test_each_process_has_its_threads_and_cores(monkeypatch):
    monkeypatch.setattr(cost, "in_own_process", lambda _, setting, cores=None, threads=None: {"here": (cores, threads)})
    monkeypatch.setattr(cost, "my_cores", lambda: [3, 5, 8])
    assert cost.measure(cost.speed, {"batch": 2}, threads=1) == {"batch": 2, "here": (None, 1)}
    assert cost.measure(cost.segment, {"cores": 2}) == {"cores": 2, "here": ([3, 5], 2)}
    assert cost.measure(cost.train, {"batch": 1}) == {"batch": 1, "here": (None, None)}
