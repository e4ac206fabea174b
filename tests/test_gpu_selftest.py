"""The GPU path's self-test: it passes in the emulator, fails where a kernel or a step is wrong, is 3 without a GPU."""

import sys

import numpy as np
import pytest
from small_data import exit_status, fails

from minifcn import check_gradients, gpu, gpu_selftest
from minifcn.gpu import comparisons
from minifcn.gpu.signatures import kernels


@pytest.fixture
def short(monkeypatch):
    """A few gradient checks and two steps, so that a test takes seconds."""
    monkeypatch.setattr(
        check_gradients, "layer_cases", lambda seed: check_gradients.elementwise_cases(np.random.default_rng(seed))
    )
    monkeypatch.setattr(check_gradients, "network_cases", lambda *_, **__: [])
    monkeypatch.setattr(gpu_selftest, "STEPS", 2)


def test_no_gpu_is_exit_status_3(monkeypatch, capsys):
    monkeypatch.setattr(gpu.cuda, "xp", None)
    monkeypatch.setitem(sys.modules, "cupy", None)
    assert exit_status(gpu_selftest.main) == 3
    assert "no GPU to test: --device gpu: no CuPy" in capsys.readouterr().out


def test_a_device_that_is_not_there_is_exit_status_2(emulated_gpu, capsys):
    assert "this machine has 2 GPU(s)" in fails(capsys, gpu_selftest.main, "--device", "gpu:5")
    assert "expected cpu, gpu or gpu:N" in fails(capsys, gpu_selftest.main, "--device", "cuda")


def test_emulated(emulated_gpu, short, capsys):
    assert exit_status(gpu_selftest.main, "--emulate") == 0
    out = capsys.readouterr().out
    assert "ALL CHECKS PASSED" in out and "FAILED" not in out
    assert "convolution 7x7      float64" in out and "relu " in out and "relative error" in out
    assert "bandwidth" not in out


def test_every_kernel_takes_part(emulated_gpu):
    for dtype in (np.float32, np.float64):
        for _, function in comparisons.cases(dtype):
            function(gpu)
    assert {name for name, *_ in gpu.cuda.xp.launches} == set(kernels())


WRONG = {
    "relu_forward": lambda y: y + 1e-3,
    "conv_input_grad": lambda dx: dx * 1.001,
    "upsample_backward": lambda dx: dx[:, ::-1].copy(),
    "argmax": lambda classes: classes * 0,
    "bias_grad": lambda db: db * np.nan,  # the last of several results
    "pool_backward": lambda dx: dx * np.nan,
    "relu_backward": lambda dx: dx.astype(np.float64) if dx.dtype == np.float32 else dx.astype(np.float32),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_function_is_reported(name, emulated_gpu, capsys, monkeypatch):
    original = getattr(gpu, name)
    monkeypatch.setattr(gpu, name, lambda *args, **more: WRONG[name](original(*args, **more)))
    failures = gpu_selftest.check_kernels()
    assert failures == capsys.readouterr().out.count("FAILED") > 0


def test_a_later_strip_that_is_wrong_is_reported(emulated_gpu, monkeypatch):
    original = gpu.conv.im2col

    def wrong(x, strip, *more):
        cols = original(x, strip, *more)
        return cols * 0 if strip.start > 0 else cols

    monkeypatch.setattr(gpu.conv, "im2col", wrong)
    assert gpu_selftest.check_kernels() > 0


def leave_alone(name):
    """A planted bug: one layer's weight is never updated."""

    def plant(monkeypatch):
        step = gpu_selftest.SGD._update

        def update(self, parameter, part, grad):
            if not (parameter == name and gpu.owns(grad)):
                step(self, parameter, part, grad)

        monkeypatch.setattr(gpu_selftest.SGD, "_update", update)

    return plant


def nan_losses(monkeypatch):
    original = gpu.cross_entropy
    monkeypatch.setattr(gpu, "cross_entropy", lambda *args: (original(*args)[0] * np.nan, *original(*args)[1:]))


def large_steps(monkeypatch):
    original = gpu.sgd_update
    monkeypatch.setattr(gpu, "sgd_update", lambda w, dw, v, lr, *more: original(w, dw, v, 1.05 * lr, *more))


BUGS = {
    "upscore2": leave_alone("upscore2.weight"),
    "fc6": leave_alone("fc6.weight"),
    "NaN": nan_losses,
    "lr": large_steps,
}


@pytest.mark.parametrize("bug", [None, *BUGS])
def test_wrong_training_is_reported(bug, emulated_gpu, short, capsys, monkeypatch):
    if bug:
        BUGS[bug](monkeypatch)
    failures = gpu_selftest.check_training("gpu")
    assert failures == capsys.readouterr().out.count("FAILED")
    assert (failures > 0) == (bug is not None)


def test_what_goes_wrong_with_timings_is_told_and_left(emulated_gpu, capsys, monkeypatch):
    def out_of_memory():
        yield "a line"
        raise MemoryError("no room")

    monkeypatch.setattr(gpu_selftest.timings, "report", out_of_memory)
    monkeypatch.setattr(gpu_selftest, "time_training", lambda where: iter(["0.1 s"]))
    gpu_selftest.report_timings("gpu")
    out = capsys.readouterr().out
    assert "a line" in out and "not timed: MemoryError: no room" in out and "0.1 s" in out


def test_emulate_needs_a_source_checkout(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(gpu_selftest, "SOURCE", tmp_path)
    assert "--emulate: no emulator at" in fails(capsys, gpu_selftest.main, "--emulate")


@pytest.mark.parametrize("name", ["find_spec", "which"])
def test_emulate_needs_cupy_and_a_compiler(name, monkeypatch, capsys):
    monkeypatch.setattr(gpu_selftest, name, lambda _: None)
    assert "--emulate: needs g++, and CuPy" in fails(capsys, gpu_selftest.main, "--emulate")


def test_the_steps_that_are_timed(emulated_gpu):
    """Both run, here on tiny pictures and a narrow network."""
    job = {
        "network": "fcn32s",
        "trunk": "vgg_quarter",
        "pad": "same",
        "classes": 3,
        "dropout": 0.0,
        "N": 1,
        "H": 33,
        "W": 40,
    }
    rng = np.random.default_rng(0)
    x, labels = rng.standard_normal((1, 33, 40, 3), dtype=np.float32), rng.integers(0, 3, (1, 33, 40))
    step = gpu_selftest.minifcn_step(job, x, labels, "gpu")
    assert step() == pytest.approx(np.log(3), rel=1e-6)  # score layers start at zero
    pytest.importorskip("torch")
    assert np.isfinite(gpu_selftest.torch_step(job, "cpu")())
