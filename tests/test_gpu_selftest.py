"""The GPU path's self-test: it passes in the emulator, fails where a kernel or a step is wrong, is 3 without a GPU."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest
from small_data import assert_one_error_line, exit_status, fails

from minifcn import cases, command, gpu, gpu_selftest, optim
from minifcn.gpu.signatures import kernels


@pytest.fixture
def short(monkeypatch):
    """A few layers and two steps, so that a test takes seconds."""
    for table, kept in {"CONVOLUTIONS": 2, "POOLS": 0, "UPSAMPLINGS": 0, "MAPS": 1}.items():
        monkeypatch.setattr(cases, table, getattr(cases, table)[:kept])
    monkeypatch.setattr(cases, "network_cases", lambda *_, **__: [])
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
    assert "conv2d 2x5x7x3 3x2x3x4 4, stride (1, 1), padding (0, 0), float64" in out
    checks = [line.split("  ")[0] for line in out.splitlines() if ", float" in line]
    assert len(set(checks)) == len(checks) > 50  # no two are called the same
    assert "experiments" not in out


def test_on_a_gpu_it_ends_with_where_the_timings_are(emulated_gpu, short, capsys):
    assert exit_status(gpu_selftest.main) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("how fast it is: python -m experiments.speed.gpu")


def test_every_kernel_takes_part(emulated_gpu):
    assert cases.run("", gpu_selftest.comparisons()) == 0
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
    failures = cases.run("", gpu_selftest.comparisons(["float32"]))
    assert failures == capsys.readouterr().out.count("FAILED") > 0


def test_a_later_strip_that_is_wrong_is_reported(emulated_gpu, monkeypatch):
    original = gpu.conv.im2col

    def wrong(x, strip, *more):
        cols = original(x, strip, *more)
        return cols * 0 if strip.start > 0 else cols

    monkeypatch.setattr(gpu.conv, "im2col", wrong)
    assert cases.run("", gpu_selftest.comparisons(["float32"])) > 0


def leave_alone(name):
    """A planted bug: one layer's weight is never updated."""

    def plant(monkeypatch):
        step = optim.SGD._update

        def update(self, parameter, part, grad):
            if not (parameter == name and gpu.owns(grad)):
                step(self, parameter, part, grad)

        monkeypatch.setattr(optim.SGD, "_update", update)

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
    failures = cases.run("", gpu_selftest.training("gpu"))
    assert failures == capsys.readouterr().out.count("FAILED")
    assert (failures > 0) == (bug is not None)


def test_emulate_needs_a_source_checkout(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(command, "SOURCE", tmp_path)
    assert "it is part of a source checkout" in fails(capsys, gpu_selftest.main, "--emulate")


def test_emulate_needs_cupy(standin, monkeypatch, capsys):
    monkeypatch.setattr(gpu.cuda, "xp", None)
    monkeypatch.setitem(sys.modules, "cupy", None)
    standin.real_cupy.cache_clear()
    assert "pip install cupy-cuda13x" in fails(capsys, gpu_selftest.main, "--emulate")


def test_emulate_needs_a_compiler(standin, tmp_path):
    """In a process of its own: this one has compiled the kernels."""
    line = [sys.executable, "-m", "minifcn.gpu_selftest", "--emulate"]
    bare = os.environ | {"PATH": "", "MINIFCN_EMULATOR_CACHE": str(tmp_path)}
    done = subprocess.run(line, env=bare, cwd=command.SOURCE, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "the emulator needs g++, which is not installed" in assert_one_error_line(done.stderr)


def one_pixel_too_many(per_pixel):
    """max_pool_forward is launched as if its y had one pixel more."""

    def launch(name, pixels, channels, args):
        more = name == "max_pool_forward"
        per_pixel(name, pixels, channels, (*args[:3], args[3] + more, *args[4:]))

    return launch


@pytest.fixture
def watched(emulated_gpu, monkeypatch):
    """Kernels are waited for, as the command does."""
    monkeypatch.setattr(gpu.cuda, "launch", gpu_selftest.launch_and_wait)


def test_a_fault_of_a_kernel_is_a_failed_check_and_the_rest_goes_on(watched, capsys, monkeypatch):
    """Two lines, no traceback: what failed and the kernel's message, then what was launched."""
    monkeypatch.setattr(gpu.cuda, "per_pixel", one_pixel_too_many(gpu.cuda.per_pixel))
    checks = gpu_selftest.comparisons(["float32"])
    checks = [check for check in checks if check[0].startswith(("max_pool2d", "bilinear", "relu"))]
    failures = cases.run("some", checks, gpu_selftest.launched)
    lines = capsys.readouterr().out.splitlines()[2:]
    assert failures == sum("FAILED" in line for line in lines) > 5 and len(lines) == len(checks) + failures
    at = next(i for i, line in enumerate(lines) if line.startswith("max_pool2d 2x5x7x3, kernel_size (2, 2)"))
    assert re.search(r"FAILED: KernelError: max_pool_forward: block .*out-of-bounds (read|write)", lines[at])
    assert lines[at + 1].startswith(
        "    last launch: max_pool_forward, grid (2,), block (32, 8): x (2, 5, 7, 3) float32, y"
    )
    assert lines[at + 1].endswith("pixels 13, H 5, W 7, C 3, OH 2, OW 3, KH 2, KW 2, sy 2, sx 2, py 0, px 0")
    assert lines[-1].startswith("relu 7, float32, in pieces") and "FAILED" not in lines[-1]


def test_a_device_that_is_lost_ends_the_checks(watched, capsys, monkeypatch):
    def gone(*_):
        raise gpu.cuda.xp.cuda.runtime.CUDARuntimeError("cudaErrorIllegalAddress")

    def lose():
        x = gpu.asarray(np.ones(4, np.float32))
        monkeypatch.setattr(type(gpu.cuda.xp.cuda.Device()), "synchronize", gone)
        gpu.relu_forward(x)

    checks = [("first", lambda: "1.0e-08"), ("second", lose), ("third", gone)]
    assert cases.run("some", checks, gpu_selftest.launched) == 1
    lines = capsys.readouterr().out.splitlines()[2:]
    assert len(lines) == 4 and "FAILED: CUDARuntimeError: cudaErrorIllegalAddress" in lines[1]
    assert lines[2].startswith("    last launch: relu_forward, grid (1,), block (256,): x (4,) float32, y")
    assert lines[3] == "    the device does not answer any more: the rest is left out"
