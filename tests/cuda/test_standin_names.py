"""Whatever the stand-in for CuPy has the real CuPy has too, with the same arguments."""

import inspect
import operator
import re

import pytest
import standin
import standin_array
import standin_cuda

cupy = pytest.importorskip("cupy", reason="cupy is not installed: the stand-in checks its names against it")

NAMES = """RawModule RawModule.get_function get_default_memory_pool cuda.is_available cuda.get_elapsed_time
    cuda.Event.record cuda.Event.synchronize cuda.Device.use cuda.Device.synchronize cuda.Device.__enter__
    cuda.Device.compute_capability cuda.Device.attributes cuda.Device.mem_info cuda.get_current_stream
    cuda.Stream.null.synchronize cuda.runtime.getDeviceCount cuda.runtime.getDeviceProperties
    cuda.runtime.runtimeGetVersion cuda.runtime.driverGetVersion cuda.runtime.CUDARuntimeError
    cuda.memory.OutOfMemoryError __version__ ndarray"""
CLASSES = {
    cupy.ndarray: standin_array.DeviceArray,
    cupy.cuda.MemoryPool: standin_cuda.Pool,
    cupy.cuda.Device: standin_cuda.Device,
    cupy.cuda.Event: standin_cuda.Event,
    cupy.cuda.Stream: standin_cuda.Stream,
    cupy.RawModule: standin.RawModule,
    cupy.cuda: standin_cuda.Cuda,
    cupy: standin.CuPy,
}


@pytest.mark.parametrize("path", NAMES.split())
def test_both_have_the_name(path, xp):
    operator.attrgetter(path)(cupy)
    ours = operator.attrgetter(path.replace("cuda.Device.", "cuda.Device.func.").replace("Module.", "Module.func."))
    ours(xp)


@pytest.mark.parametrize("real", CLASSES, ids=lambda real: real.__name__)
def test_whatever_the_stand_in_offers_the_real_one_has(real):
    public = {name for name in vars(CLASSES[real]) if not name.startswith("_")}
    special = {name for name in vars(CLASSES[real]) if re.fullmatch(r"__(?!r?div__)\w+__", name)} & set(dir(operator))
    assert not {name for name in public | special if not hasattr(real, name)}


def test_a_pointer_and_flags_are_as_cupy_names_them():
    assert set(standin_array.Pointer._fields) <= set(dir(cupy.cuda.MemoryPointer))
    assert set(standin_array.Flags._fields) <= set(dir(cupy._core.flags.Flags))


@pytest.mark.parametrize(
    "name", [name for name in vars(standin.CuPy) if not name.startswith("_") and name != "ndarray"]
)
def test_arguments_of_functions_with_code_of_their_own(name):
    real = inspect.signature(getattr(cupy, name)).parameters
    ours = list(inspect.signature(getattr(standin.CuPy, name)).parameters)[1:]
    positional = [p for p in real if real[p].kind is not inspect.Parameter.KEYWORD_ONLY]
    assert ours == positional[: len(ours)]


METHODS = "sum mean max min argmax all any astype copy fill get reshape ravel transpose swapaxes squeeze item"


@pytest.mark.parametrize("name", METHODS.split())
def test_arguments_of_methods(name):
    """CuPy's are written in Cython: their signature is the first line of the documentation."""
    documented = getattr(cupy.ndarray, name).__doc__.splitlines()[0]
    ours = inspect.signature(getattr(standin_array.DeviceArray, name)).parameters
    assert set(ours) <= set(re.findall(r"\w+", documented)), documented
