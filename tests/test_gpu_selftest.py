"""The GPU path's self-test: it passes in the emulator, fails where a kernel or a step is wrong, is 3 without a GPU."""

import sys
from functools import partial

import numpy as np
import pytest
from small_data import exit_status, fails

from minifcn import check_gradients, gpu, gpu_selftest
from minifcn.gpu.signatures import kernels


@pytest.fixture
def short(monkeypatch):
    """A few gradient checks and two steps, so that a test takes seconds."""
    monkeypatch.setattr(
        check_gradients, "layer_cases", lambda seed: check_gradients.elementwise_cases(np.random.default_rng(seed))
    )
    monkeypatch.setattr(check_gradients, "network_cases", lambda *_, **__: [])
    monkeypatch.setattr(gpu_selftest, "training_steps", partial(gpu_selftest.training_steps, steps=2))


def test_no_gpu_is_exit_status_3(monkeypatch, capsys):
    monkeypatch.setattr(gpu.cuda, "xp", None)
    monkeypatch.setitem(sys.modules, "cupy", None)
    assert exit_status(gpu_selftest.main) == 3
    assert "no GPU to test: --device gpu: no CuPy" in capsys.readouterr().out


def test_emulated(emulated_gpu, short, capsys):
    assert exit_status(gpu_selftest.main, "--emulate") == 0
    out = capsys.readouterr().out
    assert "ALL CHECKS PASSED" in out and "FAILED" not in out
    assert "conv_weight_grad     float64" in out and "relu " in out and "relative error" in out
    assert "bandwidth" not in out


def test_every_kernel_takes_part(emulated_gpu):
    for dtype in (np.float32, np.float64):
        for _, function in gpu_selftest.kernel_cases(dtype):
            function(gpu)
    assert {name for name, *_ in gpu.cuda.xp.launches} == set(kernels())


@pytest.mark.parametrize(
    "name, spoil",
    [
        ("relu_forward", lambda y: y + 1e-3),
        ("conv_input_grad", lambda dx: dx * 1.001),
        ("upsample_backward", lambda dx: dx[:, ::-1].copy()),
        ("argmax", lambda classes: classes * 0),
        ("bias_grad", lambda db: db * np.nan),
    ],
)
def test_a_wrong_function_is_reported(name, spoil, emulated_gpu, short, capsys, monkeypatch):
    original = getattr(gpu, name)
    monkeypatch.setattr(gpu, name, lambda *args, **more: spoil(original(*args, **more)))
    assert gpu_selftest.check_kernels() > 0
    assert any(name.split("_")[0] in line for line in capsys.readouterr().out.splitlines() if "FAILED" in line)


def test_wrong_training_is_reported(emulated_gpu, short, monkeypatch):
    assert gpu_selftest.check_training("gpu") == 0
    original = gpu.sgd_update
    monkeypatch.setattr(gpu, "sgd_update", lambda w, dw, v, lr, *more: original(w, dw, v, 1.5 * lr, *more))
    assert gpu_selftest.check_training("gpu") == 1


def test_emulate_needs_a_source_checkout(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(gpu_selftest, "SOURCE", tmp_path)
    assert "--emulate: no emulator at" in fails(capsys, gpu_selftest.main, "--emulate")


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
