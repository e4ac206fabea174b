"""--recipe: what the published recipes set, and that one of their updates is the arithmetic of the originals."""

from functools import partial

import numpy as np
import pytest
from small_data import VOID, make_set, planned

from minifcn import softmax_cross_entropy
from minifcn.errors import InputError
from minifcn.models import MODELS
from minifcn.training import segmentation
from minifcn.training.task import open_run

pytestmark = pytest.mark.usefixtures("tiny_trunk")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_set(tmp_path_factory.mktemp("sets") / "shapes", [("train", 24), ("val", 1)])


def plan(data, command):
    return planned(f"--data {data} --trunk tiny {command}".split())


def started(data, folder, command, monkeypatch):
    """A run in float64, so that an update of 1e-10 is not lost in rounding, every parameter random and not zero."""
    [settings] = plan(data, f"--model fcn16s {command}")
    folder.mkdir()
    in_float64 = {name: partial(m, dtype=np.float64) for name, m in MODELS.items()}
    monkeypatch.setattr(segmentation.models, "MODELS", in_float64)
    run = open_run(segmentation.Segmentation, folder, settings)
    rng = np.random.default_rng(0)
    for name, p in run.model.parameters().items():
        if not name.startswith("upscore"):
            p.data = rng.standard_normal(p.shape) * (0.3 if p.data.ndim == 4 else 0.05)
    return run


def batch(seed, pictures):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, (pictures, 9, 14)).astype(np.uint8)
    labels[:, :2] = VOID
    return rng.standard_normal((pictures, 9, 14, 3)), labels


def gradients(run, group):
    """The sum of the losses of all labelled pixels, differentiated, under the masks of the run's next step."""
    run.model.train().start_step(run.step)
    run.optimiser.zero_grad()
    for x, labels in group:
        softmax_cross_entropy(run.model(x), labels, reduction="sum").backward()
    return {name: p.grad.copy() for name, p in run.model.parameters().items() if p.grad is not None}


def values(run):
    return {name: p.data.copy() for name, p in run.model.parameters().items()}


def assert_moved(run, before, moves):
    """Parameters went by -moves; the moves themselves are compared, not the far larger values."""
    assert set(moves) == {name for name, p in run.model.parameters().items() if p.requires_grad}
    for name, p in run.model.parameters().items():
        if name in moves:
            assert np.abs(moves[name]).max() > 0, name
            rounding = 1e-9 * np.abs(moves[name]).max() + 4e-16 * np.abs(before[name]).max()
            np.testing.assert_allclose(before[name] - p.data, moves[name], rtol=1e-9, atol=rounding, err_msg=name)
        else:
            np.testing.assert_array_equal(before[name], p.data, err_msg=name)


def test_two_updates_of_the_reference(data, tmp_path, monkeypatch):
    """Caffe: V <- 0.99 V + rate (g + decay W), W <- W - V; blobs: weights rate x 1, decay x 1; biases x 2, x 0.

    16s at once: base_lr 1e-10. g is of the sum over the pixels of one picture. All upsampling is fixed.
    """
    run = started(data, tmp_path / "run", "--recipe reference", monkeypatch)
    V = {}
    for seed in (1, 2):
        group, before = [batch(seed, 1)], values(run)
        for name, g in gradients(run, group).items():
            rate, decay = (2e-10, 0.0) if name.endswith("bias") else (1e-10, 5e-4)
            V[name] = 0.99 * V.get(name, 0.0) + rate * (g + decay * before[name])
        run.train_step(group)
        assert_moved(run, before, V)
    assert not any(name.startswith("upscore") for name in V)


def test_two_updates_of_the_paper(data, tmp_path, monkeypatch):
    """20 pictures, one after the other; the mean over all their labelled pixels; momentum 0.9; upscore2 is learnt."""
    run = started(data, tmp_path / "run", "--recipe paper", monkeypatch)
    V = {}
    for seed in (1, 2):
        group, before = [batch(100 * seed + i, 1) for i in range(20)], values(run)
        assert run.settings.accumulate == len(group)
        for name, g in gradients(run, group).items():
            rate, decay = (2e-4, 0.0) if name.endswith("bias") else (1e-4, 5e-4)
            V[name] = 0.9 * V.get(name, 0.0) + rate * (g / (20 * 7 * 14) + decay * before[name])
        run.train_step(group)
        assert_moved(run, before, V)
    assert "upscore2.weight" in V and "upscore16.weight" not in V


def test_two_updates_of_the_default(data, tmp_path, monkeypatch):
    """Mean loss, its gradient's norm cut to 5, lr 0.01 that rises over 20 steps while it falls over all 50."""
    run = started(data, tmp_path / "run", "--steps 50", monkeypatch)
    v = {}
    for step, seed in enumerate((1, 2)):
        group, before = [batch(seed, 2)], values(run)
        grads = {name: g / (2 * 7 * 14) for name, g in gradients(run, group).items()}
        norm = sum((g**2).sum() for g in grads.values()) ** 0.5
        assert norm > 5  # else nothing is cut here
        lr = 0.01 * (step + 1) / 20 * (1 - step / 50) ** 0.9
        moves = {}
        for name, g in grads.items():
            rate, decay = (2 * lr, 0.0) if name.endswith("bias") else (lr, 5e-4)
            v[name] = 0.9 * v.get(name, 0.0) + g * 5 / norm + decay * before[name]
            moves[name] = rate * v[name]
        run.train_step(group)
        assert_moved(run, before, moves)


@pytest.mark.parametrize(
    "command, expected",
    [
        (
            "--recipe reference --model fcn32s fcn16s fcn8s",
            [(1e-10, 100_000, 1), (1e-12, 100_000, 1), (1e-14, 100_000, 1)],
        ),
        ("--recipe reference --model fcn8s", [(1e-10, 300_000, (0.01, 0.0001))]),
        ("--recipe paper --model fcn32s fcn16s --steps 7", [(1e-4, 7, 1), (1e-6, 7, 1)]),
        ("--recipe reference --model fcn16s --lr 3e-9 --steps 5 --skip-scale 0.5 0.25", [(3e-9, 5, (0.5, 0.25))]),
        ("--model fcn8s --steps 3", [(0.01, 3, 1)]),
    ],
)
def test_rates_steps_and_scales_of_a_chain(command, expected, data):
    found = [(s.lr, s.steps, s.skip_scale) for s in plan(data, command)]
    for (lr, steps, scale), (true_lr, true_steps, true_scale) in zip(found, expected, strict=True):
        assert lr == pytest.approx(true_lr, rel=1e-12) and steps == true_steps
        assert tuple(scale) == (true_scale if isinstance(true_scale, tuple) else (1.0, 1.0))


def test_networks_and_pictures_of_the_published_recipes(data):
    for recipe, upsampling in (("reference", "fixed"), ("paper", "learnt")):
        [s] = plan(data, f"--recipe {recipe} --model fcn32s")
        assert (s.pad, s.upsampling, s.dropout, s.schedule) == (100, upsampling, 0.5, "constant")
        assert (s.flip, s.scale_jitter, s.crop, s.balance, s.clip, s.warmup) == (False, 0.0, None, False, 0.0, 0)
    [s] = plan(data, "--recipe reference --model fcn32s")
    assert (s.batch, s.accumulate, s.reduction, s.momentum) == (1, 1, "sum", 0.99)


def test_what_is_given_counts_more_than_the_recipe(data):
    [s] = plan(data, "--momentum 0.5 --recipe reference --model fcn32s --pad same")
    assert (s.momentum, s.pad, s.reduction) == (0.5, "same", "sum")


@pytest.fixture
def saved(data, tmp_path):
    """Train nothing, save a network: saved("fcn32s ...") -> its checkpoint, of three classes."""

    def save(command):
        [settings] = plan(data, f"--steps 1 --model {command}")
        (tmp_path / "run").mkdir()
        open_run(segmentation.Segmentation, tmp_path / "run", settings).save(tmp_path / "first.safetensors")
        return tmp_path / "first.safetensors"

    return save


def test_from_an_fcn_it_is_not_at_once(data, saved):
    """16s from 32s weights, in a run of its own: the second rate of the chain, no scaling."""
    [s] = plan(data, f"--recipe reference --model fcn16s --init {saved('fcn32s')}")
    assert (s.lr, s.skip_scale) == (pytest.approx(1e-12), (1.0, 1.0))


def test_from_an_fcn_of_other_classes_it_is_at_once(tmp_path, saved):
    """Its score layers start anew, as from VGG."""
    other = make_set(tmp_path / "other", [("train", 20)], classes=("lawn", "brick"))
    [s] = plan(other, f"--recipe reference --model fcn16s --init {saved('fcn32s')}")
    assert (s.lr, s.skip_scale, s.steps) == (pytest.approx(1e-10), (0.01, 0.0001), 300_000)


def test_skip_scales_stay_with_the_score_layers_they_were_trained_with(data, saved):
    """Along a chain that begins at once, and from a file; one that is given counts more."""
    first, second = plan(data, "--recipe reference --model fcn16s fcn8s")
    assert first.skip_scale == second.skip_scale == (0.01, 0.0001)
    assert (first.lr, second.lr) == (pytest.approx(1e-10), pytest.approx(1e-14))
    path = saved("fcn16s --skip-scale 0.5 0.25")
    assert tuple(plan(data, f"--model fcn8s --init {path}")[0].skip_scale) == (0.5, 0.25)
    assert tuple(plan(data, f"--model fcn8s --init {path} --skip-scale 1 2")[0].skip_scale) == (1, 2)


def test_caffe_takes_the_mean_over_pictures_and_the_sum_over_pixels(data):
    [s] = plan(data, "--recipe reference --model fcn32s --batch 2 --accumulate 5")
    assert (s.lr, s.weight_decay) == (pytest.approx(1e-11), pytest.approx(5e-3))
    [s] = plan(data, "--recipe reference --model fcn32s --batch 2 --weight-decay 0.25")
    assert s.weight_decay == 0.25
    [s] = plan(data, "--recipe reference --model fcn32s")
    assert s.weight_decay == 5e-4


def test_the_paper_s_update_is_of_20_pictures_whatever_the_batch(data):
    found = [plan(data, f"--recipe paper --model fcn32s {batch}")[0] for batch in ("", "--batch 4", "--accumulate 2")]
    assert [(s.batch, s.accumulate) for s in found] == [(1, 20), (4, 5), (1, 2)]


def test_another_reduction_needs_a_rate_of_its_own(data):
    for command in ("--recipe reference --reduction mean", "--recipe paper --reduction sum"):
        with pytest.raises(InputError, match=r"is for a (sum|mean); give --lr too"):
            plan(data, f"{command} --model fcn32s")
        assert plan(data, f"{command} --model fcn32s --lr 0.5")[0].lr == 0.5


def test_flip_can_be_switched_on_again(data):
    assert plan(data, "--recipe paper --model fcn32s --flip")[0].flip is True
    assert plan(data, "--model fcn32s --no-flip")[0].flip is False
