"""A stand-in for CuPy: what minifcn's GPU code uses in place of the module `cupy` where there is no GPU.

    xp = standin.CuPy(order="forward", seed=0)
    c = xp.empty((3, 4), dtype=xp.float32)
    xp.matmul(a, b, out=c)
    xp.RawModule(code=source, options=("-DREAL=float",)).get_function("pool")((4,), (256,), (a, c, np.int64(12)))

Arrays lie in the emulator's device memory and NumPy does the arithmetic. The stand-in is a whitelist, meant to be
nowhere laxer than CuPy:
  - host and device arrays do not mix, and a device array becomes a host one only by get() and asnumpy();
  - a function exists if the real CuPy has it, with the arguments that the real CuPy takes (CuPy imports without a GPU);
  - memory from empty() is written before it is read;
  - reductions give arrays of no dimension, as on a device, and a division by zero gives no warning;
  - an operation runs on the current device and takes arrays of that device alone.
"""

import functools
import inspect
import math
import operator
import re
import threading
from pathlib import Path
from typing import ClassVar

import emulator
import numpy as np
from standin_array import DeviceArray
from standin_cuda import DEVICES, Cuda, Pool
from standin_names import check_call, real_cupy

KERNELS = Path(__file__).resolve().parents[2] / "kernels"
# These look at shapes and types alone: they read no element, and their result is no array.
METADATA = frozenset(
    "shape ndim size result_type can_cast may_share_memory shares_memory promote_types isscalar".split()
)
# These give views where they can, and read only where they must copy.
VIEWS = frozenset(
    "reshape ravel transpose swapaxes moveaxis squeeze expand_dims broadcast_to split array_split".split()
)
# These make arrays from no array. All other functions want one: NumPy would take a list too.
CREATION = frozenset("eye identity linspace logspace tri indices".split())
COMPILER_OPTIONS = re.compile(r"-{1,2}std=c\+\+(11|14|17|20)|-lineinfo|--?(ftz|fmad|prec-div|prec-sqrt)=(true|false)")
DEFINE = re.compile(r"-D([A-Za-z_]\w*)(?:=(.*))?")
SCALARS = (bool, int, float, complex, np.generic)


def _by_stride(array):
    """Axes from the one with the longest steps in memory to the one with the shortest."""
    return sorted(range(array.ndim), key=lambda axis: -abs(array.strides[axis]))


def _plain(value, arrays):
    """An argument as NumPy takes it; device arrays found in it, also in lists and tuples, are appended to arrays."""
    if type(value) is DeviceArray:
        arrays.append(value)
        return value._array
    if isinstance(value, np.ndarray):
        raise TypeError(f"Unsupported type {type(value)}")
    if isinstance(value, (list, tuple)):
        return type(value)(_plain(item, arrays) for item in value)
    return value


# ---------------------------------------------------------------- the module


class CuPy:
    """The module. Order and seed say in which order the emulator runs a kernel's blocks and threads.

    launches, which CuPy lacks, lists (kernel, grid, block, traffic) of every launch so far.
    """

    ndarray = DeviceArray
    __version__ = "of the stand-in"

    def __init__(self, order="forward", seed=0):
        self.order, self.seed = order, seed
        self.launches = []
        self.cuda = Cuda([Pool(device_id) for device_id in range(DEVICES)])
        self.RawModule = functools.partial(RawModule, self)

    def __getattr__(self, name):
        """Any other name: NumPy's, if the real CuPy has it."""
        real, ours = getattr(real_cupy(), name), getattr(np, name, None)
        if ours is real or isinstance(real, float):  # types and constants: CuPy takes them from NumPy
            value = ours
        elif isinstance(ours, np.ufunc) or inspect.isroutine(ours):
            value = functools.partial(self._call, name)
        else:
            raise AttributeError(f"the stand-in for CuPy does not cover cupy.{name}")
        self.__dict__[name] = value  # found without this method from now on
        return value

    def get_default_memory_pool(self):
        return self.cuda._pools[self.cuda._current]

    # --- creation ---

    def empty(self, shape, dtype=float, order="C"):
        if order == "F":
            return self.empty(np.empty(shape, dtype).T.shape, dtype).T
        shape, dtype = (shape,) if isinstance(shape, (int, np.integer)) else tuple(shape), np.dtype(dtype)
        memory = self._allocate(dtype.itemsize * math.prod(shape))
        return DeviceArray(self, emulator.empty(shape, dtype), memory)

    def full(self, shape, fill_value, dtype=None, order="C"):
        result = self.empty(shape, np.asarray(fill_value).dtype if dtype is None else dtype, order)
        result.fill(fill_value)
        return result

    def zeros(self, shape, dtype=float, order="C"):
        return self.full(shape, 0, dtype, order)

    def ones(self, shape, dtype=float, order="C"):
        return self.full(shape, 1, dtype, order)

    def empty_like(self, prototype, dtype=None):
        if type(prototype) is not DeviceArray:
            raise TypeError(f"Unsupported type {type(prototype)}")
        axes = _by_stride(prototype._array)
        shape = tuple(prototype.shape[axis] for axis in axes)
        return self.empty(shape, dtype or prototype.dtype).transpose(np.argsort(axes))

    def full_like(self, a, fill_value, dtype=None):
        result = self.empty_like(a, dtype)
        result.fill(fill_value)
        return result

    def zeros_like(self, a, dtype=None):
        return self.full_like(a, 0, dtype)

    def ones_like(self, a, dtype=None):
        return self.full_like(a, 1, dtype)

    def arange(self, start, stop=None, step=1, dtype=None):
        return self._from_host(np.arange(start, stop, step, dtype))

    def array(self, obj, dtype=None, copy=True, order="K"):
        if type(obj) is DeviceArray:
            return obj.astype(obj.dtype if dtype is None else dtype, order, copy)
        return self._from_host(np.array(obj, dtype, order=order))

    def asarray(self, a, dtype=None, order=None):
        return self.array(a, dtype, False, order or "K")

    def ascontiguousarray(self, a, dtype=None):
        result = self.array(a, dtype, False)
        return result if result.flags.c_contiguous else result.copy()

    def asnumpy(self, a):
        return a.get() if type(a) is DeviceArray else np.asarray(a)

    # --- evaluation ---

    def _allocate(self, nbytes):
        return self.cuda._pools[self.cuda._current]._allocate(nbytes)

    def _from_host(self, host):
        """Copy to the current device, with the same order of axes in memory."""
        host = np.asarray(host)
        if host.dtype.kind not in "?biufc":
            raise ValueError(f"Unsupported dtype {host.dtype}")
        memory = self._allocate(host.nbytes)
        if host.flags.c_contiguous:
            return DeviceArray(self, emulator.array(host), memory)
        axes = _by_stride(host)
        return DeviceArray(self, emulator.array(host.transpose(axes)).transpose(np.argsort(axes)), memory)

    def _operand(self, value):
        """An operand of arithmetic as NumPy takes it: a device array, which it reads, or a scalar."""
        if type(value) is DeviceArray:
            return value._read()
        if isinstance(value, SCALARS):
            return value
        raise TypeError(f"Unsupported type {type(value)}")

    def _target(self, out):
        if type(out) is not DeviceArray:
            raise TypeError(f"out must be a device array, not {type(out)}")
        return out._write()

    def _ufunc(self, ufunc, inputs, out=None, **kwargs):
        operands = [self._operand(value) for value in inputs]
        with np.errstate(all="ignore"):
            if out is None:
                return self._from_host(ufunc(*operands, **kwargs))
            ufunc(*operands, out=self._target(out), **kwargs)
        emulator.mark_initialised(out._array)
        return out

    def _call(self, name, *args, **kwargs):
        """cupy.name(*args, **kwargs), evaluated by the function of that name in NumPy."""
        check_call(name, len(args), tuple(kwargs))
        function = getattr(np, name)
        if isinstance(function, np.ufunc):
            return self._ufunc(function, args, **kwargs)
        out = kwargs.pop("out", None)
        arrays = []
        args = [_plain(value, arrays) for value in args]
        kwargs = {key: _plain(value, arrays) for key, value in kwargs.items()}
        if name in METADATA:
            return function(*args, **kwargs)
        if not arrays and name not in CREATION:
            raise TypeError(f"cupy.{name}: no device array among the arguments")
        if name not in VIEWS:
            for array in arrays:
                array._read()
        if out is not None:
            kwargs["out"] = self._target(out)
        with np.errstate(all="ignore"):
            result = function(*args, **kwargs)
        if out is None:
            return self._wrap(result, arrays)
        emulator.mark_initialised(out._array)
        return out

    def _wrap(self, result, operands):
        """A function's result as CuPy gives it: views stay views, everything else is a new array."""
        if isinstance(result, (tuple, list)):
            return type(result)(self._wrap(item, operands) for item in result)
        if isinstance(result, np.ndarray) and emulator.is_device(result):
            owner = next(array for array in operands if np.may_share_memory(array._array, result))
            return owner._view(result)
        for array in operands:
            array._read()  # for VIEWS, which had to copy
        return self._from_host(result)


# ---------------------------------------------------------------- kernels


@functools.cache
def _file_name(code):
    """What the source is called in messages and in the emulator's cache: CuPy is not told."""
    files = (file for file in KERNELS.glob("*.cu") if file.read_text(encoding="utf-8") == code)
    return next((file.name for file in files), "kernel.cu")


class RawModule:
    """Kernels from source. The options are those of NVRTC; of them the -D matter here."""

    _built: ClassVar[dict] = {}  # one build for a source and its definitions, whichever CuPy asks
    _building = threading.Lock()

    def __init__(self, xp, code, *, options=()):
        if type(code) is not str or type(options) is not tuple:
            raise TypeError(f"code must be a str and options a tuple, not {type(code)} and {type(options)}")
        self._xp, self._code, self._defines = xp, code, {}
        for option in options:
            if define := DEFINE.fullmatch(option):
                self._defines[define[1]] = define[2] or "1"
            elif not COMPILER_OPTIONS.fullmatch(option):
                raise ValueError(f"nvrtc: error: unrecognized option {option} found")

    def get_function(self, name):
        key = self._code, tuple(sorted(self._defines.items()))
        with self._building:
            if key not in self._built:
                self._built[key] = emulator.Module(self._code, _file_name(self._code), self._defines)
        if name not in self._built[key].signatures:
            raise RuntimeError(f"CUDA_ERROR_NOT_FOUND: named symbol not found: {name}")
        return functools.partial(self._launch, self._built[key], name)

    def _launch(self, module, name, grid, block, args, *, shared_mem=0):
        xp = self._xp
        # CuPy launches one block where the grid says none
        grid, block = (tuple(max(1, operator.index(n)) for n in dims) for dims in (grid, block))
        values = []
        for value in args:
            if type(value) is DeviceArray:
                value = value._write()
            elif not isinstance(value, np.generic):  # CuPy guesses a size for Python's numbers
                raise TypeError(f"{name}: Unsupported type {type(value)}: device arrays and NumPy scalars only")
            values.append(value)
        traffic = module.launch(name, grid, block, tuple(values), shared=shared_mem, order=xp.order, seed=xp.seed)
        xp.launches.append((name, grid, block, traffic))
