"""Training from pretrained weights: frozen blocks, the rate of what was taken over, another width of fc6 and fc7."""

import signal

import numpy as np
import pytest
from helpers import randomise
from small_data import NoStop, assert_same_run, fails, make_set, planned, train_run

from minifcn import export, load, predict, train
from minifcn.autograd import Tensor
from minifcn.datasets.transforms import Preprocessing
from minifcn.models import AT_ONCE, MODELS
from minifcn.optim import SGD
from minifcn.training.segmentation import Segmentation
from minifcn.training.settings import SegmentationSettings
from minifcn.training.task import open_run
from minifcn.weights import checkpoint, open_weights

pytestmark = pytest.mark.usefixtures("tiny_trunk", "no_drawing")
FROZEN = ("conv1_1", "conv1_2", "conv2_1", "conv2_2")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_set(tmp_path_factory.mktemp("sets") / "shapes", [("train", 8), ("val", 2)])


@pytest.fixture(scope="module")
def trunk(tmp_path_factory):
    """A file of random convolutions, as a pretrained trunk is one: without fc6 and fc7."""
    parameters = randomise(MODELS["fcn32s"](3, "tiny", "same"), 7)
    path = tmp_path_factory.mktemp("trunk") / "trunk.safetensors"
    tensors = {f"model/{name}": p.data for name, p in parameters.items() if name.startswith("conv")}
    checkpoint.save(path, tensors, {"preprocessing": Preprocessing().to_dict()})
    return str(path)


def moved(run, start):
    """The parameters that are not what they were, by bits."""
    return {name for name, p in run.model.parameters().items() if p.data.tobytes() != start[name].tobytes()}


def weights(run):
    return {name: p.data.copy() for name, p in run.model.parameters().items()}


# --- frozen blocks ---


@pytest.mark.parametrize("low_memory", [False, True])
def test_frozen_blocks_keep_every_bit_and_all_else_learns(low_memory, data, trunk, tmp_path):
    settings = {"freeze": 2, "init": trunk, "low_memory": low_memory, "weight_decay": 0.1}
    start = weights(open_run(Segmentation, tmp_path, SegmentationSettings(model="fcn8s", data=data, steps=1,
        trunk="tiny", seed=3, init=trunk)))  # fmt: skip
    run = train_run(tmp_path / "run", data, model="fcn8s", steps=6, **settings)
    frozen = {name for name in start if name.startswith(FROZEN)}
    assert len(frozen) == 8 and moved(run, start) == start.keys() - frozen - {"upscore8.weight"}
    assert run.optimiser.momentum_buffers.keys() == start.keys() - frozen - {"upscore8.weight"}
    tensors = checkpoint.load(run.folder / "last.safetensors")[0] if run.last.exists() else {}
    assert not any(name.startswith(tuple(f"momentum/{layer}" for layer in FROZEN)) for name in tensors)


def test_low_memory_makes_the_same_steps_with_frozen_blocks(data, trunk, tmp_path):
    one, other = (
        train_run(tmp_path / str(low), data, freeze=2, init=trunk, low_memory=low, pretrained_lr=0.3)
        for low in (False, True)
    )
    for name, x in weights(one).items():
        np.testing.assert_array_equal(weights(other)[name], x, err_msg=name)


@pytest.mark.parametrize("freeze", range(6))
def test_nothing_of_frozen_blocks_is_recorded(freeze, data, tmp_path, monkeypatch):
    """Backward ends at the first block that learns: no function of a frozen one is in the graph."""
    s = SegmentationSettings(model="fcn32s", data=data, steps=1, trunk="tiny", freeze=freeze)
    model, layers = Segmentation(s).model.train(), []
    real = type(model).conv

    def conv(self, name, x, *more, **named):
        y = real(self, name, x, *more, **named)
        layers.append((name, y.creator is not None))
        return y

    monkeypatch.setattr(type(model), "conv", conv)
    model(Tensor(np.ones((1, 32, 32, 3), np.float32)))
    assert dict(layers) == {name: not name.startswith("conv") or int(name[4]) > freeze for name, _ in layers}


def test_blocks_that_there_are_not(data, capsys):
    line = fails(capsys, train.main, "--data", data, "--freeze", "6")
    assert line == "error: --freeze: expected 0 to 5, received 6"


# --- the rate of what came from --init ---


def test_what_came_from_init_learns_at_its_own_rate(data, trunk, tmp_path):
    """After one step without clipping each taken over moved F times as far as without F; the others just as far."""
    settings = {"init": trunk, "steps": 1, "model": "fcn8s"}
    runs = [train_run(tmp_path / f"{f}", data, pretrained_lr=f, **settings) for f in (1.0, 0.25, 0.0)]
    start = weights(open_run(Segmentation, tmp_path, SegmentationSettings(data=data, trunk="tiny", seed=3, **settings)))
    full, quarter, still = ({name: x - start[name] for name, x in weights(run).items()} for run in runs)
    assert sum(name.startswith("conv") for name in start) == 26
    for name, step in full.items():
        factor = 0.25 if name.startswith("conv") else 1
        np.testing.assert_allclose(quarter[name], factor * step, rtol=1e-3, atol=1e-6 * abs(start[name]).max() + 1e-9)
        assert not name.startswith("conv") or not still[name].any()
    assert abs(full["conv5_3.bias"]).max() + abs(full["score_fr.weight"]).max() > 0


def test_factors_multiply_the_rates_of_weights_and_biases():
    parameters = {name: Tensor(np.ones(2), True) for name in ("a.weight", "a.bias", "b.weight", "b.bias")}
    optimiser = SGD(parameters, 0.5, 0.0, 0.0, bias_lr=2.0)
    optimiser.factors = {"a.weight": 0.1, "a.bias": 0.1}
    for parameter in parameters.values():
        parameter.grad = np.ones(2)
    optimiser.step()
    moved = {name: 1 - p.data[0] for name, p in parameters.items()}
    assert moved == pytest.approx({"a.weight": 0.05, "a.bias": 0.1, "b.weight": 0.5, "b.bias": 1.0})


@pytest.mark.parametrize("low_memory", [False, True])
def test_a_resumed_run_knows_what_was_pretrained_and_frozen(low_memory, data, trunk, tmp_path, monkeypatch):
    """Bit for bit as undisturbed, although the file of --init is not opened again."""
    options = f"--data {data} --trunk tiny --model fcn8s --init {trunk} --freeze 1 --pretrained-lr 0.2 --steps 8"
    options += " --batch 2 --colour-jitter 0.5 --fc 9 --warmup 2" + " --low-memory" * low_memory
    assert train.main([*options.split(), "--out", str(tmp_path), "--name", "whole"]) == 0
    real, calls = SGD.zero_grad, []

    def interrupted(optimiser):
        calls.append(1)
        if len(calls) == 3:
            signal.raise_signal(signal.SIGINT)
        real(optimiser)

    with monkeypatch.context() as patch:
        patch.setattr(SGD, "zero_grad", interrupted)
        assert train.main([*options.split(), "--out", str(tmp_path), "--name", "stopped"]) == 130
    meta = open_weights(tmp_path / "stopped" / "last.safetensors").meta
    assert meta["step"] == 3 and len(meta["pretrained"]) == 26
    assert train.main(["--resume", str(tmp_path / "stopped")]) == 0
    assert_same_run(tmp_path / "stopped", tmp_path / "whole")


def test_a_checkpoint_of_before_these_options_goes_on(data, tmp_path):
    run = train_run(tmp_path / "run", data, steps=4)
    run.step = 2
    run.log = run.log[:2]
    run.save(run.last)
    tensors, meta = checkpoint.load(run.last)
    for name in ("fc", "freeze", "pretrained_lr", "colour_jitter", "patience"):
        del meta["settings"][name]
    del meta["pretrained"], meta["model"]["fc"]
    meta["validations"] = [{"step": 2, "seconds": 1.0, "jaccard": 0.5, "pixel_accuracy": 0.5}]
    checkpoint.save(run.last, tensors, meta)
    assert load(run.last).widths.fc == 16
    again = open_run(Segmentation, run.folder, run.settings)
    again.train(NoStop)
    assert again.step == 4 and again.optimiser.factors == {}


# --- the width of fc6 and fc7 ---


def test_a_run_of_another_width_is_found_again_by_all(data, trunk, tmp_path, capsys):
    options = f"--data {data} --out {tmp_path} --trunk tiny --model fcn32s --init {trunk} --steps 1 --fc 5 --name run"
    assert train.main(options.split()) == 0
    assert "fcn32s (tiny, fc 5): " in capsys.readouterr().out
    model = load(tmp_path / "run" / "best.safetensors")
    shapes = {name: p.shape for name, p in model.parameters().items() if name.startswith(("fc", "score"))}
    assert model.widths.fc == model.meta["model"]["fc"] == 5
    assert shapes == {"fc6.weight": (7, 7, 8, 5), "fc6.bias": (5,), "fc7.weight": (1, 1, 5, 5), "fc7.bias": (5,),
        "score_fr.weight": (1, 1, 5, 3), "score_fr.bias": (3,)}  # fmt: skip
    assert predict(model, np.zeros((20, 30, 3), np.uint8)).shape == (20, 30)


def test_weights_of_another_width_are_begun_anew_aloud(data, tmp_path, capsys):
    wide = train_run(tmp_path / "wide", data)
    wide.save(wide.last)
    for p in wide.model.parameters().values():
        p.data[...] = 1
    wide.save(wide.last)
    capsys.readouterr()
    s = SegmentationSettings(data=data, model="fcn32s", steps=1, trunk="tiny", fc=5, init=str(wide.last))
    run = open_run(Segmentation, tmp_path, s)
    said, parameters = capsys.readouterr().out, run.model.parameters()
    assert "REINITIALISED (other shape in the file)  6 arrays: fc6, fc7, score_fr\n" in said
    assert not (parameters["fc6.weight"].data == 1).any() and not parameters["score_fr.bias"].data.any()
    assert (parameters["conv5_3.weight"].data == 1).all() and "fc6.weight" not in run.task.pretrained


def test_a_run_from_a_run_has_its_width_unless_another_is_given(data, trunk, tmp_path):
    options = f"--data {data} --out {tmp_path} --trunk tiny --model fcn8s --init {trunk} --steps 1 --fc 5 --name run"
    assert train.main([*options.split(), "--skip-scale", "0.5", "0.25"]) == 0
    last, torch = tmp_path / "run" / "last.safetensors", tmp_path / "run_torch.safetensors"
    export.main([str(last), "--to", "torch", "--out", str(torch)])
    for file in (last, torch):
        again = ["--data", data, "--trunk", "tiny", "--model", "fcn8s", "--init", str(file)]
        assert [(s.fc, s.skip_scale) for s in planned(again)] == [(5, (0.5, 0.25))]
        [wider] = planned([*again, "--fc", "6", "--recipe", "paper", "--batch", "2", "--accumulate", "1"])
        assert (wider.fc, wider.skip_scale, wider.lr) == (6, AT_ONCE, 1e-4)  # its score layers are new


@pytest.mark.parametrize("fc", ["0", "-3", "16385"])
def test_widths_that_there_are_not(fc, data, capsys):
    assert "--fc: " in fails(capsys, train.main, "--data", data, "--fc", fc)


def test_networks_of_another_width():
    model = MODELS["fcn8s"](2, "vgg_quarter", "same", fc=24)
    assert (model.widths.fc, model.trunk) == (24, "vgg_quarter")
    assert model.parameters()["fc7.weight"].shape == (1, 1, 24, 24)
    with pytest.raises(ValueError, match="fc: expected an int, at least 1, received 0"):
        MODELS["fcn8s"](2, "vgg_quarter", fc=0)


def test_a_chain_takes_over_the_width(data, trunk):
    stages = planned(["--data", data, "--trunk", "tiny", "--fc", "7", "--freeze", "2", "--init", trunk])
    assert [(s.model, s.fc, s.freeze) for s in stages] == [("fcn32s", 7, 2), ("fcn16s", 7, 2)]


@pytest.mark.parametrize("given, said", [("--freeze 2", "--freeze 2, --pretrained-lr 1"),
    ("--pretrained-lr 0.5", "--freeze 0, --pretrained-lr 0.5")])  # fmt: skip
def test_what_starts_at_random_is_neither_frozen_nor_slowed(given, said, data, capsys):
    line = fails(capsys, train.main, "--data", data, *given.split(), "--init", "scratch")
    assert line.startswith(f"error: {said}: need weights; give --init")


def test_a_run_says_what_it_does_otherwise(data, trunk, tmp_path, capsys):
    options = f"--data {data} --trunk tiny --model fcn32s --init {trunk} --steps 2 --out {tmp_path} --freeze 1"
    assert train.main([*options.split(), "--colour-jitter", "0.2", "--crop", "32", "24"]) == 0
    assert "\nnot the default: --crop (32, 24) --colour-jitter 0.2 --freeze 1\n" in capsys.readouterr().out
    assert train.main([*options.split()[:-2], "--name", "plain"]) == 0
    assert "not the default" not in capsys.readouterr().out
