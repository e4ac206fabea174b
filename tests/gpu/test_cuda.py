"""Choosing a device, launching on it, and what goes wrong: no CuPy, no GPU, no such number, no memory."""

import subprocess
import sys

import numpy as np
import pytest
from commands import evaluate, predict
from small_data import TINY, fails, make_set

import minifcn as mf
from minifcn import check_gradients, device, gpu, train
from minifcn.command import command_line
from minifcn.errors import InputError
from minifcn.models import TRUNKS

COMMANDS = {
    "train": (train.main, ["--steps", 1]),
    "evaluate": (evaluate.main, ["last.safetensors"]),
    "predict": (predict.main, ["last.safetensors", "picture.png"]),
    "check_gradients": (check_gradients.main, []),
}


@pytest.fixture
def checkpoint(tmp_path, monkeypatch):
    """A checkpoint and a picture, in the current folder."""
    monkeypatch.setitem(TRUNKS, "tiny", TINY)
    monkeypatch.chdir(tmp_path)
    data = make_set(tmp_path / "data")
    arguments = "--data", data, "--trunk", "tiny", "--model", "fcn32s", "--steps", 1, "--name", "run", "--val-every", 0
    train.main([str(a) for a in arguments])
    (tmp_path / "runs" / "run" / "last.safetensors").rename("last.safetensors")
    (tmp_path / "data" / "images" / "test00.png").rename("picture.png")


@pytest.mark.parametrize("name", ["cuda", "gpu:", "gpu:x", "gpu:-1", "cpu:0", ""])
def test_refuses_other_names(name):
    with pytest.raises(InputError, match=r"--device .*: expected cpu, gpu or gpu:N"):
        device.start(name)


@pytest.mark.parametrize("command", COMMANDS)
def test_without_cupy_every_command_says_how_to_get_it(command, checkpoint, monkeypatch, capsys):
    monkeypatch.setattr(gpu.cuda, "xp", None)
    monkeypatch.setitem(sys.modules, "cupy", None)  # as if it were not installed
    main, arguments = COMMANDS[command]
    line = fails(capsys, main, *arguments, "--device", "gpu")
    assert "--device gpu: no CuPy" in line and "pip install 'cupy-cuda13x[ctk]'" in line and "--device cpu" in line


@pytest.mark.parametrize("command", COMMANDS)
def test_without_a_gpu_every_command_says_so(command, checkpoint, monkeypatch, capsys):
    cupy = pytest.importorskip("cupy")
    if cupy.cuda.is_available():
        pytest.skip("this machine has a GPU")
    monkeypatch.setattr(gpu.cuda, "xp", None)
    main, arguments = COMMANDS[command]
    assert "CUDA finds no usable GPU" in fails(capsys, main, *arguments, "--device", "gpu")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_number_beyond_the_last_gpu(command, checkpoint, emulated_gpu, capsys):
    main, arguments = COMMANDS[command]
    assert "this machine has 2 GPU(s)" in fails(capsys, main, *arguments, "--device", "gpu:7")


def test_the_second_gpu(emulated_gpu):
    model = mf.models.fcn32s(3, trunk=TINY, pad="same").to("gpu:1")
    assert {p.data.device.id for p in model.parameters().values()} == {1}
    assert model(np.zeros((1, 33, 40, 3), np.float32)).data.device.id == 1


def test_an_array_that_somebody_brings_along_starts_its_device(emulated_gpu, monkeypatch):
    """A user's own CuPy array, without --device or start before."""
    xp = gpu.cuda.xp
    with xp.cuda.Device(1):
        x = xp.ones((2, 3), np.float32)
    monkeypatch.setattr(gpu.cuda, "xp", None)
    monkeypatch.setattr(type(x), "__module__", "cupy")
    monkeypatch.setitem(sys.modules, "cupy", xp)
    y = mf.relu(x)
    assert gpu.cuda.number == 1 and y.data.device.id == 1 and device.asnumpy(y.data).tolist() == [[1, 1, 1]] * 2


def test_a_cupy_that_can_neither_multiply_nor_compile(emulated_gpu, checkpoint, monkeypatch, capsys):
    """As without CUDA's libraries: importing works, computing does not."""

    def missing(*_, **__):
        raise ImportError("libcublas.so.13: cannot open shared object file")

    for name in ("matmul", "RawModule"):
        with monkeypatch.context() as patch:
            xp = type(gpu.cuda.xp)()
            patch.setattr(xp, name, missing, raising=False)
            patch.setattr(gpu.cuda, "xp", xp)
            line = fails(capsys, check_gradients.main, "--device", "gpu")
        assert "CuPy cannot multiply or compile there (ImportError: libcublas" in line and "cupy-cuda13x[ctk]" in line


def test_a_stream_for_each_thread_is_refused(emulated_gpu, monkeypatch):
    monkeypatch.setenv("CUPY_CUDA_PER_THREAD_DEFAULT_STREAM", "1")
    with pytest.raises(InputError, match="kernels would not wait for their batches; unset it"):
        device.start("gpu")


def test_errors_of_cublas_and_the_driver_are_one_line(capsys):
    class CUBLASError(RuntimeError):
        __module__ = "cupy_backends.cuda.libs.cublas"

    def main(_):
        raise CUBLASError("CUBLAS_STATUS_ALLOC_FAILED")

    assert "the GPU: CUBLAS_STATUS_ALLOC_FAILED. If its memory is full, use smaller pictures" in fails(capsys, main)
    with pytest.raises(RuntimeError, match="a bug of ours"):  # which deserves its traceback
        command_line(lambda: (_ for _ in ()).throw(RuntimeError("a bug of ours")))


def test_nothing_is_written_where_there_is_no_device(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(gpu.cuda, "xp", None)
    monkeypatch.setitem(sys.modules, "cupy", None)
    fails(capsys, train.main, "--out", tmp_path / "runs", "--device", "gpu")
    assert not (tmp_path / "runs").exists()


def test_out_of_memory_says_what_to_change(tmp_path, emulated_gpu, monkeypatch, capsys):
    monkeypatch.setitem(TRUNKS, "tiny", TINY)
    gpu.cuda.xp.get_default_memory_pool().set_limit(size=100_000)
    data = make_set(tmp_path / "data")
    arguments = "--data", data, "--trunk", "tiny", "--steps", 1, "--out", tmp_path / "runs", "--device", "gpu"
    line = fails(capsys, train.main, *arguments)
    assert "out of memory" in line.lower()
    assert all(way in line for way in ("--batch", "--crop", "--low-memory", "vgg_quarter"))


def test_a_launch_without_blocks_does_nothing(emulated_gpu):
    x = gpu.asarray(np.zeros((0,), np.float32))
    gpu.cuda.per_quad("relu_forward", 0, (x, gpu.cuda.xp.empty((0,), np.float32), 0))
    assert gpu.cuda.xp.launches == []


def test_every_launch_is_checked(emulated_gpu):
    x, y = gpu.asarray(np.zeros(4, np.float32)), gpu.asarray(np.zeros(4))
    with pytest.raises(TypeError, match="relu_forward: y: expected float32, received float64"):
        gpu.cuda.per_quad("relu_forward", 4, (x, y, 4))
    with pytest.raises(ValueError, match="relu_forward: x and y share memory"):
        gpu.cuda.per_quad("relu_forward", 4, (x, x, 4))
    assert gpu.cuda.xp.launches == []


def test_moving_a_network_there_and_back(emulated_gpu):
    model = mf.models.fcn16s(3, trunk=TINY, pad="same")
    before = {name: p.data for name, p in model.parameters().items()}
    model.to("gpu")
    assert all(gpu.owns(p.data) for p in model.parameters().values())
    model.to("cpu")
    for name, p in model.parameters().items():
        assert isinstance(p.data, np.ndarray) and np.array_equal(p.data, before[name]), name


def test_gpu_is_imported_without_cupy():
    code = "import sys, minifcn.gpu, minifcn.train; sys.exit('cupy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
