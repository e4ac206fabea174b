"""Fixtures for all tests."""

import os
import shutil

import headless
import pytest
from small_data import TINY

from minifcn import cpu, figures, gpu
from minifcn.gpu import signatures
from minifcn.models import TRUNKS


@pytest.fixture
def set_conv(monkeypatch):
    """set_conv("im2col" or "winograd"): sets MINIFCN_CONV for this test; a shape that one cannot do takes the other."""

    def choose(algorithm):
        monkeypatch.setenv("MINIFCN_CONV", algorithm)
        cpu.conv_choice.cache_clear()

    yield choose
    cpu.conv_choice.cache_clear()


@pytest.fixture(scope="session")
def standin():
    """The stand-in for CuPy, with all kernels built for the emulator: in parallel, and only where they have changed."""
    pytest.importorskip("cupy", reason="the stand-in for CuPy checks its names against the real one")
    if shutil.which("g++") is None:
        pytest.skip("the emulator needs g++")
    import emulator
    import standin

    files = signatures.folder().glob("*.cu")
    sources = [(file.read_text(encoding="utf-8"), file.name) for file in files]
    emulator.prebuild([(*source, {"REAL": real}) for source in sources for real in ("float", "double")])
    return standin


@pytest.fixture
def emulated_gpu(standin, monkeypatch):
    """gpu, as it is on a machine with a GPU, but for CuPy's stand-in, whose kernels run in the emulator."""
    monkeypatch.setattr(gpu.cuda, "xp", None)  # what is there now comes back after the test
    monkeypatch.setattr(gpu.cuda, "number", 0)
    gpu.cuda.use(standin.CuPy())
    return gpu


@pytest.fixture
def real_gpu(monkeypatch):
    """gpu on a real one, where there is one."""
    cupy = pytest.importorskip("cupy")
    if not cupy.cuda.is_available():
        pytest.skip("no GPU on this machine")
    monkeypatch.setattr(gpu.cuda, "xp", None)
    gpu.cuda.use(cupy)
    return gpu


@pytest.fixture(params=["cpu", "emulated_gpu", "real_gpu"])
def loops(request):
    """cpu, and gpu twice: whose functions compute. Arrays go there by loops.asarray and come back by device.asnumpy."""
    return cpu if request.param == "cpu" else request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """A headless Chromium, where there is one."""
    executable = headless.find()
    if executable is None or os.name != "posix":
        pytest.skip("no browser: MINIFCN_BROWSER is not set, and no Chromium is on the PATH (see .ci/browser)")
    running = headless.Browser(executable, tmp_path_factory.mktemp("browser"))
    yield running
    running.close()


@pytest.fixture(scope="module")
def tiny_trunk():
    """--trunk tiny, whose steps take milliseconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(TRUNKS, "tiny", TINY)
        yield


@pytest.fixture(scope="module")
def no_drawing():
    """Empty files for pictures: drawing takes longer than training here."""
    with pytest.MonkeyPatch.context() as patch:
        leave_undrawn(patch)
        yield


@pytest.fixture
def undrawn(monkeypatch):
    """The same for one test."""
    leave_undrawn(monkeypatch)


def leave_undrawn(patch):
    for name in ("curves", "samples"):
        patch.setattr(figures, name, lambda path, *_, **__: path.write_bytes(b""))
