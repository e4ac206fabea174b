"""The device: CuPy, imported when it is first asked for, the compiled kernels, and the one way to launch them.

    start(0)                                         CuPy, and the device with that number
    launch("sgd_update", (blocks,), (256,), args)    checks the arguments, compiles at first use, launches

`xp` is the module cupy. On machines without a GPU the tests put a stand-in there, and all of gpu/ runs through it.
"""

import os
from functools import cache
from importlib import import_module
from types import ModuleType

from ..errors import InputError
from .signatures import REALS, Kernel, kernels

THREADS = 256  # a block
BLOCKS = 1024  # at most, where blocks stride over the work
INSTALL = "pip install 'cupy-cuda13x[ctk]', or the CuPy for your CUDA"
xp: ModuleType | None = None
number = 0  # of the device


class NoGPU(InputError):
    """There is no GPU to work on, or no CuPy to reach it by."""


def start(device: int = 0) -> None:
    """Choose the device, importing CuPy first. Raises InputError, with the way out, where that cannot be."""
    try:
        use(xp or import_module("cupy"), device)
    except ImportError as error:
        raise NoGPU(f"--device gpu: no CuPy ({error}); {INSTALL}, or use --device cpu") from error


def use(module: ModuleType, device: int = 0) -> None:
    """Let gpu/ work through `module`, which is cupy or behaves like it, on the device with that number.

    Raises InputError where there is no such device, or where it can neither multiply matrices nor compile kernels.
    """
    global xp, number
    if os.environ.get("CUPY_CUDA_PER_THREAD_DEFAULT_STREAM") == "1":
        raise InputError("CUPY_CUDA_PER_THREAD_DEFAULT_STREAM=1: kernels would not wait for their batches; unset it")
    try:
        count = module.cuda.runtime.getDeviceCount()
    except module.cuda.runtime.CUDARuntimeError as error:
        raise NoGPU(f"--device gpu: CUDA finds no usable GPU ({error}); use --device cpu") from error
    if not 0 <= device < count:
        raise InputError(f"--device gpu:{device}: this machine has {count} GPU(s), numbered from 0; choose one of them")
    module.cuda.Device(device).use()
    try:
        module.matmul(module.ones((1, 1)), module.ones((1, 1)))
        function(module, kernels()["relu_forward"], "float")
    except Exception as error:  # of many kinds: cuBLAS, NVRTC or CUDA's headers are missing, or the card is too old
        trouble = f"--device gpu:{device}: CuPy cannot multiply or compile there ({type(error).__name__}: {error})"
        raise InputError(f"{trouble}; {INSTALL}, or use --device cpu") from error
    xp, number = module, device


def owns(x) -> bool:
    """Whether x is an array on the device; the first such array that somebody brings along starts CuPy here too."""
    if xp is None and type(x).__module__.partition(".")[0] == "cupy":
        start(x.device.id)
    return xp is not None and isinstance(x, xp.ndarray)


def asarray(x, dtype=None):
    """Return x, from the host or the device, as an array on the device; from any thread."""
    with xp.cuda.Device(number):
        return xp.asarray(x, dtype)


def memory_held() -> int:
    """The bytes of device memory that CuPy's pool holds: it keeps what arrays have freed, until memory runs short."""
    return xp.get_default_memory_pool().total_bytes()


def describe() -> str:
    """The device, for the record beside measurements: name, architecture, memory, the versions of what drives it."""
    runtime = xp.cuda.runtime
    name = runtime.getDeviceProperties(number)["name"].decode()
    device = xp.cuda.Device(number)
    free, total = device.mem_info
    card = f"GPU {number} {name} (sm_{device.compute_capability}), {free / 1e9:.1f} of {total / 1e9:.1f} GB free"
    versions = (f"{v // 1000}.{v % 1000 // 10}" for v in (runtime.runtimeGetVersion(), runtime.driverGetVersion()))
    return f"{card}; CUDA {', driver for CUDA '.join(versions)}, CuPy {xp.__version__}"


def launch(name: str, grid: tuple[int, ...], block: tuple[int, ...], args: tuple) -> None:
    """Launch a kernel of kernels/*.cu.

    args: one for each parameter, as Kernel.check demands. A grid without blocks does nothing: there is nothing to do.
    """
    kernel = kernels()[name]
    checked = kernel.check(args, xp.ndarray)
    if 0 not in grid:
        function(xp, kernel, REALS[kernel.real(args)])(grid, block, tuple(checked))


@cache
def function(module: ModuleType, kernel: Kernel, real: str):
    """The compiled kernel for float or double."""
    return raw_module(module, kernel.file, real).get_function(kernel.name)


@cache
def raw_module(module: ModuleType, file, real: str):
    return module.RawModule(code=file.read_text(encoding="utf-8"), options=("-std=c++17", f"-DREAL={real}"))


def per_pixel(name: str, pixels: int, channels: int, args: tuple) -> None:
    """Launch a kernel whose rows of threads take a pixel each, with its channels along threadIdx.x."""
    across = min(THREADS, max(32, 1 << (channels - 1).bit_length()))
    launch(name, (-(-pixels // (THREADS // across)),), (across, THREADS // across), args)


def per_quad(name: str, n: int, args: tuple) -> None:
    """Launch a kernel whose threads take four neighbouring numbers each."""
    launch(name, (-(-n // (4 * THREADS)),), (THREADS,), args)
