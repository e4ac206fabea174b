"""The benchmark's contenders compute the same: what is compared before anything is timed, on small pictures."""

import sys
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="PyTorch is not installed")
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "experiments" / "speed"))

import bench
import driver
from bench import HALF, MINIFCN, NCNN, PLAIN, TUNED

SMALL = {"trunk": "vgg_quarter", "classes": 5, "N": 2, "H": 40, "W": 56, "dropout": 0.0}


@pytest.fixture(scope="module")
def contenders():
    with MINIFCN as ours, TUNED as tuned, PLAIN as plain:
        yield [ours, tuned, plain]


@pytest.mark.parametrize("pad", [100, "same"])
@pytest.mark.parametrize("network", ["fcn32s", "fcn16s", "fcn8s"])
def test_networks_agree(contenders, network, pad, monkeypatch):
    monkeypatch.setattr(driver, "TURN", 0)
    job = SMALL | {"network": network, "pad": pad}
    assert set(driver.measure(contenders, job | {"kind": "inference"}, 1, 1e-4)) == {c.name for c in contenders}
    driver.measure(contenders, job | {"kind": "train", "warm": 3}, 1, 1e-4)


def test_both_freeze_the_same_and_still_agree(contenders, monkeypatch):
    import with_minifcn
    import with_torch

    monkeypatch.setattr(driver, "TURN", 0)
    job = SMALL | {"network": "fcn8s", "pad": "same", "fc": 24, "freeze": 2, "kind": "train", "warm": 3}
    ours = with_minifcn.network(job).parameters()
    theirs = with_torch.Network(job | {"style": "tuned"}).w
    assert ours["fc7.weight"].shape[-1] == len(theirs["fc7.weight"]) == 24
    for learns in ({n for n, p in ours.items() if p.requires_grad}, {n for n, w in theirs.items() if w.requires_grad}):
        assert {name for name in learns if name[:5] in ("conv1", "conv2")} == set() and "conv3_1.weight" in learns
    driver.measure(contenders[:2], job, 1, 1e-4)


@pytest.mark.parametrize("function", ["forward", "input gradient", "weight gradient"])
def test_layers_agree_and_a_difference_is_told(contenders, function, monkeypatch):
    monkeypatch.setattr(driver, "TURN", 0)
    sides = [contenders[0], contenders[2]]
    job = {"kind": "layer", "function": function, "H": 18, "W": 20, "C": 16, "K": 24}
    driver.measure(sides, job, 1, 1e-4)
    with pytest.raises(RuntimeError, match=r"minifcn on .* relative error"):
        driver.measure(sides, job, 1, 1e-9)


@pytest.mark.parametrize("half", HALF, ids=lambda contender: contender.name)
def test_bfloat16_learns_the_same_but_for_rounding(half, contenders, monkeypatch):
    monkeypatch.setattr(driver, "TURN", 0)
    job = SMALL | {"network": "fcn32s", "pad": "same", "kind": "train", "warm": 3}
    with half:
        driver.measure([contenders[0], half], job, 1, 0.05)
        with pytest.raises(RuntimeError, match=r"relative error"):  # else it would have computed in float32
            driver.measure([contenders[0], half], job, 1, 1e-5)


@pytest.mark.parametrize("pad", [100, "same"])
def test_ncnn_agrees(contenders, pad, monkeypatch):
    pytest.importorskip("ncnn", reason="ncnn is not installed")
    monkeypatch.setattr(driver, "TURN", 0)
    job = SMALL | {"network": "fcn32s", "pad": pad, "N": 1, "kind": "inference"}
    with NCNN:
        driver.measure([NCNN, contenders[0]], job, 1, 1e-4)


def test_without_ncnn_the_row_says_so(monkeypatch):
    monkeypatch.setattr(bench, "find_spec", lambda name: None)
    monkeypatch.setattr(bench, "fresh", lambda sides, *_: {side.name: 1.0 for side in sides})
    lines = bench.fastest(1)
    assert sum("| ncnn is not installed |" in line for line in lines) == 1
    assert sum("| train |" in line for line in lines) == 2
