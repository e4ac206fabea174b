"""The numbers of a step of training; every expected one is worked out here."""

import numpy as np
import pytest
from helpers import relative_error
from PIL import Image
from small_data import (
    NoStop,
    assert_same_tensors,
    losses,
    make_set,
    planned,
    train_run,
)

from minifcn.autograd import Tensor
from minifcn.models import MODELS
from minifcn.optim import SGD, clip_gradients, learning_rate
from minifcn.training.loop import Run
from minifcn.training.segmentation import Segmentation
from minifcn.training.task import open_run

pytestmark = pytest.mark.usefixtures("tiny_trunk")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_set(tmp_path_factory.mktemp("sets") / "shapes")


@pytest.mark.parametrize("balance", [False, True])
def test_accumulating_two_batches_of_two_equals_one_of_four(balance, data, tmp_path):
    """The loss is divided by the labelled weight of the whole group, though the pictures' void shares differ."""
    common = {"steps": 7, "balance": balance, "flip": True, "warmup": 2, "clip": 5.0}
    four = train_run(tmp_path / "four", data, batch=4, **common)
    two = train_run(tmp_path / "two", data, batch=2, accumulate=2, **common)
    labelled = [(four.task.train_set[i][1] != 255).mean() for i in range(12)]
    assert min(labelled) < 0.6 and max(labelled) > 0.9
    np.testing.assert_allclose(losses(two), losses(four), rtol=1e-4)
    start = MODELS["fcn32s"](3, "tiny", "same", seed=3).parameters()
    for name, p in four.model.parameters().items():
        if p.requires_grad:
            moved, expected = two.model.parameters()[name].data - start[name].data, p.data - start[name].data
            assert relative_error(moved, expected) < 1e-3, name


def test_the_first_loss_is_the_logarithm_of_the_classes(data, tmp_path):
    """Score layers start at zero, so all classes are equally likely, whatever the pictures, weights and void."""
    for name, settings in (("plain", {}), ("balanced", {"balance": True}), ("grouped", {"batch": 2, "accumulate": 2})):
        run = train_run(tmp_path / name, data, steps=1, **settings)
        assert losses(run)[0] == pytest.approx(np.log(3), rel=1e-5)


def test_every_epoch_shows_each_picture_once_in_an_order_of_its_own(data, tmp_path, monkeypatch):
    seen, real = [], Run.train_step

    def spy(run, group):
        seen.append([x.tobytes() for batch, _ in group for x in batch])
        return real(run, group)

    monkeypatch.setattr(Run, "train_step", spy)
    train_run(tmp_path / "run", data, steps=9, batch=2, accumulate=2, flip=False, lr=0.0)
    epochs = [[x for group in seen[k : k + 3] for x in group] for k in (0, 3, 6)]
    assert all(len(set(epoch)) == 12 for epoch in epochs) and len({frozenset(epoch) for epoch in epochs}) == 1
    assert len({tuple(epoch) for epoch in epochs}) == 3
    seen.clear()
    train_run(tmp_path / "flipped", data, steps=9, batch=2, accumulate=2, flip=True, lr=0.0)
    flipped = [{x for group in seen[k : k + 3] for x in group} & set(epochs[0]) for k in (0, 3, 6)]
    assert all(0 < len(kept) < 12 for kept in flipped) and len({frozenset(kept) for kept in flipped}) == 3


@pytest.fixture(scope="module")
def full_data(tmp_path_factory):
    """A set without void."""
    root = tmp_path_factory.mktemp("full")
    data = make_set(root / "shapes", [("train", 8)])
    for path in (root / "shapes" / "labels").iterdir():
        with Image.open(path) as image:
            labels = np.array(image)
        labels[labels == 255] = 0
        Image.fromarray(labels).save(path)
    return data


def test_a_sum_with_its_default_lr_trains_as_a_mean_with_its_own(full_data, tmp_path):
    """The defaults are bound to the reduction: lr to lr / pixels. Weight decay has no such factor, so it is off."""
    runs = {}
    for reduction in ("mean", "sum"):
        arguments = f"--data {full_data} --model fcn32s --trunk tiny --batch 4 --steps 8 --warmup 0 --val-every 0"
        arguments += f" --reduction {reduction} --weight-decay 0"
        [settings] = planned(arguments.split())
        folder = tmp_path / reduction
        folder.mkdir()
        runs[reduction] = open_run(Segmentation, folder, settings)
        runs[reduction].train(NoStop)
    assert runs["mean"].settings.lr == 0.01
    assert runs["sum"].settings.lr == pytest.approx(0.01 / (4 * 32 * 40))
    np.testing.assert_allclose(losses(runs["sum"]), losses(runs["mean"]) * 4 * 32 * 40, rtol=1e-4)
    assert losses(runs["mean"])[-1] < losses(runs["mean"])[0]


def test_default_lr_of_a_sum_counts_crop_and_group(data):
    arguments = f"--data {data} --model fcn32s --reduction sum --batch 2 --accumulate 3 --crop 16 24".split()
    [settings] = planned(arguments)
    assert settings.lr == pytest.approx(0.01 / (2 * 3 * 16 * 24))


def test_low_memory_ends_with_the_same_weights(data, tmp_path):
    plain = train_run(tmp_path / "plain", data, clip=0.0)
    low = train_run(tmp_path / "low", data, clip=0.0, low_memory=True)
    for name, p in plain.model.parameters().items():
        assert np.array_equal(p.data, low.model.parameters()[name].data), name
    assert list(losses(plain)) == list(losses(low))
    arguments = f"--data {data} --model fcn32s --low-memory".split()
    [settings] = planned(arguments)
    assert settings.low_memory and settings.clip == 0


def test_learning_rates_by_hand(data, tmp_path):
    # 0.1 (1 - k/6)^0.9, during two steps of warm-up times 1/2 and 1
    expected = [0.05, 0.0848661, 0.0694251, 0.0535887, 0.0372041, 0.0199372]
    run = train_run(tmp_path / "poly", data, lr=0.1, schedule="poly", warmup=2)
    np.testing.assert_allclose([row["lr"] for row in run.log], expected, rtol=1e-5)
    run = train_run(tmp_path / "constant", data, lr=0.1, schedule="constant", warmup=4)
    np.testing.assert_allclose([row["lr"] for row in run.log], [0.025, 0.05, 0.075, 0.1, 0.1, 0.1])
    assert learning_rate(0, 0.1, "poly", 10) == 0.1 and learning_rate(5, 0.1, "constant", 10) == 0.1
    with pytest.raises(ValueError, match="schedule: expected 'constant' or 'poly', received 'cosine'"):
        learning_rate(0, 0.1, "cosine", 10)


def test_clipping_by_hand():
    def with_gradients():
        parameters = {"a": Tensor(np.zeros(1)), "b": Tensor(np.zeros((1, 2))), "c": Tensor(np.zeros(2))}
        parameters["a"].grad, parameters["b"].grad = np.array([3.0]), np.array([[0.0, -4.0]])  # c has none
        return parameters

    parameters = with_gradients()
    assert clip_gradients(parameters, 1.0) == 5.0
    np.testing.assert_allclose(parameters["a"].grad, [0.6])
    np.testing.assert_allclose(parameters["b"].grad, [[0.0, -0.8]])
    parameters = with_gradients()
    assert clip_gradients(parameters, 5.1) == 5.0
    np.testing.assert_array_equal(parameters["b"].grad, [[0.0, -4.0]])


def test_a_step_of_training_is_clipped(data, tmp_path):
    """Without momentum and decay a step is -lr times the gradient (twice that for biases), whose norm is the limit."""
    start = MODELS["fcn32s"](3, "tiny", "same", seed=3).parameters()
    run = train_run(tmp_path / "run", data, steps=1, clip=0.01, momentum=0.0, weight_decay=0.0, lr=0.5)
    total = 0.0
    for name, p in run.model.parameters().items():
        gradient = (start[name].data - p.data).astype(np.float64) / (1.0 if name.endswith(".bias") else 0.5)
        total += (gradient**2).sum()
    assert total**0.5 == pytest.approx(0.01, rel=1e-3)


def test_weight_and_bias_rates_are_the_references():
    """Biases learn twice as fast and do not decay: g = 1, lambda = 0.1, lr = 0.5: a weight 2 loses 0.6, a bias 1."""
    parameters = {"a.weight": Tensor(np.full(1, 2.0), True), "a.bias": Tensor(np.full(1, 2.0), True)}
    for p in parameters.values():
        p.grad = np.ones(1)
    SGD(parameters, 0.5, 0.9, 0.1, bias_lr=2.0, bias_decay=False).step()
    np.testing.assert_allclose([p.data[0] for p in parameters.values()], [1.4, 1.0])


def test_same_seed_same_start_other_seed_another(data, tmp_path):
    a = train_run(tmp_path / "a", data, steps=2)
    b = train_run(tmp_path / "b", data, steps=2)
    c = train_run(tmp_path / "c", data, steps=2, seed=4)
    assert_same_tensors(a.last, b.last)
    assert losses(a).tolist() == losses(b).tolist() and losses(a)[1] != losses(c)[1]
