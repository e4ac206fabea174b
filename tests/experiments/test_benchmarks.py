"""The benchmark's contenders compute the same: what is compared before anything is timed, on small pictures."""

import sys
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="PyTorch is not installed")
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "experiments" / "speed"))

import driver
from bench import MINIFCN, PLAIN, TUNED

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


@pytest.mark.parametrize("function", ["forward", "input gradient", "weight gradient"])
def test_layers_agree_and_a_difference_is_told(contenders, function, monkeypatch):
    monkeypatch.setattr(driver, "TURN", 0)
    sides = [contenders[0], contenders[2]]
    job = {"kind": "layer", "function": function, "H": 18, "W": 20, "C": 16, "K": 24}
    driver.measure(sides, job, 1, 1e-4)
    with pytest.raises(RuntimeError, match=r"minifcn on .* relative error"):
        driver.measure(sides, job, 1, 1e-9)
