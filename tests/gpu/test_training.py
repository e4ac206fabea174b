"""Whole runs on the emulated GPU: step by step as on the CPU, with less memory, across devices, by commands."""

import json
import threading
from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
from commands import evaluate, predict
from helpers import TOLERANCE, assert_close
from small_data import TINY, exit_status, make_set

import minifcn as mf
from minifcn import device, gpu, train
from minifcn.datasets.loader import Loader
from minifcn.datasets.transforms import Preprocessing
from minifcn.models import TRUNKS
from minifcn.training import loop, task
from minifcn.weights import checkpoint

# On the CPU im2col, so that both add up products of the same matrices and float32 parts them by its last bits only.
pytestmark = pytest.mark.usefixtures("emulated_gpu")


@pytest.fixture
def data(tmp_path, monkeypatch, set_conv):
    monkeypatch.setitem(TRUNKS, "tiny", TINY)
    set_conv("im2col")
    return make_set(tmp_path / "data")


def examples(step):
    """Two tiny pictures whose colour tells the class, some pixels void."""
    rng = np.random.default_rng(step)
    labels = np.kron(rng.integers(0, 4, (2, 2, 3)), np.ones((16, 12), int))  # (2, 32, 36)
    x = np.eye(4, dtype=np.float32)[labels][..., :3] + rng.standard_normal((*labels.shape, 3), dtype=np.float32) / 3
    labels[:, :3] = 255
    return x, labels


def trained(where, steps, low_memory=False):
    """Train FCN-16s vgg_quarter with dropout; return the losses and the weights."""
    model = mf.models.fcn16s(4, trunk="vgg_quarter", pad="same", dropout=0.5).to(where).train()
    optimiser = mf.optim.SGD(model.parameters(), 0.05, bias_lr=2, bias_decay=False)
    if low_memory:
        optimiser.step_during_backward()
        model.recomputed = 3
    losses = []
    for step in range(steps):
        x, labels = examples(step)
        model.start_step(step)
        optimiser.zero_grad()
        loss = mf.softmax_cross_entropy(model(x), labels)
        loss.backward()
        if not low_memory:
            mf.optim.clip_gradients(model.parameters(), 5.0 if steps > 3 else np.inf)
        optimiser.step()
        losses.append(float(loss.data))
    return losses, {name: device.asnumpy(p.data) for name, p in model.parameters().items()}


def test_vgg_quarter_fcn16s_step_by_step_as_on_the_cpu(set_conv):
    set_conv("im2col")
    (ours, weights), (theirs, expected) = trained("gpu", 8), trained("cpu", 8)
    for step, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        assert a == pytest.approx(b, rel=TOLERANCE["float32"]["training"]), f"step {step}"
    assert len(set(np.round(theirs, 6))) == 8, theirs  # it moves
    before = mf.models.fcn16s(4, trunk="vgg_quarter", pad="same").parameters()
    for name, w in weights.items():
        assert_close(w, expected[name].astype(float), "training", name)
        assert np.array_equal(w, before[name].data) != before[name].requires_grad, f"{name} was not trained"


def test_low_memory_gives_the_same_weights_to_the_last_bit():
    (_, one), (_, two) = trained("gpu", 2), trained("gpu", 2, low_memory=True)
    for name, w in one.items():
        assert np.array_equal(w, two[name]), name


def run(data, folder, steps, *more, resume=False):
    arguments = [
        *("--data", data, "--trunk", "tiny", "--model", "fcn16s", "--steps", steps, "--out", folder, "--name", "run"),
        *("--lr", 0.05, "--dropout", 0.5, "--batch", 3),
    ]
    train.main([str(a) for a in (["--resume", folder / "run"] if resume else arguments) + list(more)])
    return folder / "run"


def interrupt(monkeypatch, after):
    """Let the next run stop as by Ctrl-C after some steps."""
    original = loop.Run.train_step

    def step(self, group):
        row = original(self, group)
        if self.step == after:
            stop.requested = True
        return row

    stop = SimpleNamespace(requested=False)
    monkeypatch.setattr(loop.Run, "train_step", step)
    monkeypatch.setattr(task, "stopping", lambda: nullcontext(stop))


def test_train_command_and_a_checkpoint_that_moves_between_devices(data, tmp_path, monkeypatch, capsys):
    """cpu throughout, gpu throughout, half and half in either order: one result, but for rounding."""
    runs = [run(data, tmp_path / "cpu", 6), run(data, tmp_path / "gpu", 6, "--device", "gpu")]
    held = gpu.memory_held()
    for first, second in (("cpu", "gpu"), ("gpu", "cpu")):
        with monkeypatch.context() as patch:
            interrupt(patch, 3)
            folder = tmp_path / f"{first}-{second}"
            run(data, folder, 6, "--device", first)
            assert "go on with: python -m minifcn.train --resume" in capsys.readouterr().out
        assert checkpoint.load(folder / "run" / "last.safetensors")[1]["step"] == 3
        runs.append(run(data, folder, 6, "--device", second, resume=True))
    expected, meta = checkpoint.load(runs[0] / "last.safetensors")
    assert meta["step"] == 6
    for folder in runs[1:]:
        found, _ = checkpoint.load(folder / "last.safetensors")
        assert found.keys() == expected.keys()
        for name, x in found.items():
            assert_close(x, expected[name].astype(float), "training", f"{folder}: {name}")
    machine = json.loads((runs[1] / "config.json").read_text())["machine"]
    assert machine["device"].startswith("GPU 0 ")
    metrics = json.loads((runs[1] / "metrics.json").read_text())
    assert metrics["peak_memory_bytes"] == held > 0


def test_a_resume_on_the_gpu_is_exact(data, tmp_path, monkeypatch):
    whole = run(data, tmp_path / "whole", 6, "--device", "gpu")
    with monkeypatch.context() as patch:
        interrupt(patch, 2)
        run(data, tmp_path / "halves", 6, "--device", "gpu")
    halves = run(data, tmp_path / "halves", 6, "--device", "gpu", resume=True)
    for a, b in zip(*(checkpoint.load(f / "last.safetensors")[0].items() for f in (whole, halves)), strict=True):
        assert a[0] == b[0] and np.array_equal(a[1], b[1]), a[0]
    assert (whole / "log.csv").read_bytes() == (halves / "log.csv").read_bytes()


def test_evaluate_and_predict_as_on_the_cpu(data, tmp_path, capsys):
    path = run(data, tmp_path / "runs", 6) / "last.safetensors"
    picture = tmp_path / "data" / "images" / "test00.png"
    results = []
    for where in ("cpu", "gpu"):
        capsys.readouterr()
        evaluate.main([str(path), "--data", data, "--device", where])
        table = capsys.readouterr().out
        assert exit_status(predict.main, path, picture, "--out", tmp_path / where, "--device", where) == 0
        results.append((table, (tmp_path / where / "test00.png").read_bytes()))
    assert results[0] == results[1]


def test_pictures_go_up_in_the_background(data):
    """The loader's thread brings them to the device: the main thread gets arrays that are there already."""
    dataset, threads = mf.datasets.open_dataset(data, "train"), set()

    def place(x):
        threads.add(threading.current_thread().name)
        return gpu.asarray(x)

    batches = list(Loader(dataset, 2, Preprocessing(), place=place).epoch(0))
    assert threads == {"minifcn-loader_0"}
    host = list(Loader(dataset, 2, Preprocessing()).epoch(0))
    assert all(gpu.owns(x) and isinstance(labels, np.ndarray) for x, labels in batches)
    for (x, labels), (expected, same) in zip(batches, host, strict=True):
        assert np.array_equal(device.asnumpy(x), expected) and np.array_equal(labels, same)
