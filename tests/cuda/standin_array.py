"""xp.ndarray of the stand-in for CuPy."""

from typing import NamedTuple

import emulator
import numpy as np
from standin_cuda import Device
from standin_names import check_call, real_cupy

COMPARISONS = {np.less, np.less_equal, np.greater, np.greater_equal, np.equal, np.not_equal}


class Pointer(NamedTuple):
    ptr: int
    device_id: int


class Flags(NamedTuple):
    c_contiguous: bool
    f_contiguous: bool
    owndata: bool


def _binary(ufunc, name):
    """The three methods of an operator: a + b, 2 + b, a += b."""

    def forward(self, other):
        return self._xp._ufunc(ufunc, (self, other))

    def reflected(self, other):
        return self._xp._ufunc(ufunc, (other, self))

    def in_place(self, other):
        return self._xp._ufunc(ufunc, (self, other), out=self)

    return {f"__{name}__": forward, f"__r{name}__": reflected, f"__i{name}__": in_place}


def _operators():
    arithmetic = {"add": np.add, "sub": np.subtract, "mul": np.multiply, "truediv": np.true_divide, "pow": np.power}
    arithmetic |= {"floordiv": np.floor_divide, "mod": np.remainder}
    logic = {"and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor}
    methods = {}
    for name, ufunc in (arithmetic | logic).items():
        methods |= _binary(ufunc, name)
    compare = {"lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal}
    for name, ufunc in (compare | {"eq": np.equal, "ne": np.not_equal}).items():
        methods[f"__{name}__"] = _binary(ufunc, name)[f"__{name}__"]
    for name, ufunc in {"neg": np.negative, "abs": np.absolute, "invert": np.invert}.items():
        methods[f"__{name}__"] = lambda self, ufunc=ufunc: self._xp._ufunc(ufunc, (self,))
    return methods


class DeviceArray:
    """What xp.ndarray is: an array in device memory. Only what stands here works."""

    __slots__ = ("_array", "_memory", "_xp", "base")
    __hash__ = None
    vars().update(_operators())

    def __init__(self, xp, array, memory, base=None):
        self._xp = xp
        self._array = array  # an np.ndarray over the emulator's memory
        self._memory = memory  # counts in the device's pool for as long as an array or a view is alive
        self.base = base

    # --- description ---

    shape = property(lambda self: self._array.shape)
    dtype = property(lambda self: self._array.dtype)
    ndim = property(lambda self: self._array.ndim)
    size = property(lambda self: self._array.size)
    nbytes = property(lambda self: self._array.nbytes)
    itemsize = property(lambda self: self._array.itemsize)
    strides = property(lambda self: self._array.strides)
    T = property(lambda self: self._view(self._array.T))
    data = property(lambda self: Pointer(self._array.__array_interface__["data"][0], self._memory.device_id))
    device = property(lambda self: Device(self._xp.cuda, self._memory.device_id))

    @property
    def flags(self):
        flags = self._array.flags
        return Flags(flags.c_contiguous, flags.f_contiguous, self.base is None)

    @property
    def __cuda_array_interface__(self):
        host = self._array.__array_interface__
        strides = None if self.flags.c_contiguous else self.strides
        return (
            {"stream": 1}
            | {k: host[k] for k in ("shape", "typestr", "descr", "version", "data")}
            | {"strides": strides}
        )

    def __len__(self):
        return len(self._array)

    def __repr__(self):
        return f"<device array {self.shape} {self.dtype} on device {self._memory.device_id}>"

    # --- every read and write of the host passes here ---

    def _check_device(self):
        here, current = self._memory.device_id, self._xp.cuda._current
        if here != current:
            raise ValueError(
                f"The device where the array resides ({here}) is different from the current device ({current})."
            )

    def _read(self):
        """The array, to be read by an operation on the current device."""
        self._check_device()
        return self._initialised()

    def _initialised(self):
        if not emulator.initialised(self._array):
            raise RuntimeError(f"uninitialised device memory read ({self!r})")
        return self._array

    def _write(self):
        """The array, to be written by an operation on the current device; emulator.mark_initialised comes after."""
        self._check_device()
        return self._array

    def _view(self, array):
        return DeviceArray(self._xp, array, self._memory, self if self.base is None else self.base)

    def _result(self, array):
        """What a function that gives a view where it can gave for this array: a copy means that it read."""
        if emulator.is_device(array):
            return self._view(array)
        self._read()
        return self._xp._from_host(array)

    # --- indexing ---

    def _index(self, key):
        """Key for NumPy, and whether it selects by value (masks, lists of indices) and not by position."""
        plain, by_value = [], False
        for item in key if type(key) is tuple else (key,):
            if isinstance(item, np.ndarray):
                raise TypeError(f"Unsupported type {type(item)}: a host array as an index into a device array")
            by_value |= isinstance(item, (DeviceArray, list, bool, np.bool_))
            plain.append(item._read() if type(item) is DeviceArray else item)
        if not by_value and Ellipsis not in plain:
            plain.append(Ellipsis)  # a[1, 2] is a view too, and no NumPy scalar
        return tuple(plain), by_value

    def __getitem__(self, key):
        key, by_value = self._index(key)
        if by_value:
            return self._xp._from_host(self._read()[key])
        return self._view(self._array[key])

    def __setitem__(self, key, value):
        value = self._xp._operand(value)
        key, by_value = self._index(key)
        target = self._write()
        if not by_value:
            target = target[key]
            target[...] = value
            emulator.mark_initialised(target)
            return
        target[key] = value
        if not emulator.initialised(target):
            selected = np.zeros(target.shape, bool)
            selected[key] = True
            for position in zip(*np.nonzero(selected), strict=True):
                emulator.mark_initialised(target[(*position, Ellipsis)])

    # --- views and copies ---

    def reshape(self, *shape, order="C"):
        return self._result(self._array.reshape(*shape, order=order))

    def ravel(self, order="C"):
        return self._result(self._array.ravel(order))

    def transpose(self, *axes):
        return self._view(self._array.transpose(*axes))

    def swapaxes(self, axis1, axis2):
        return self._view(self._array.swapaxes(axis1, axis2))

    def squeeze(self, axis=None):
        return self._view(self._array.squeeze(axis))

    def astype(self, dtype, order="K", copy=True):
        if not copy and self.dtype == dtype and self._memory.device_id == self._xp.cuda._current:
            return self
        with np.errstate(all="ignore"):
            return self._xp._from_host(self._initialised().astype(dtype, order))

    def copy(self, order="C"):
        return self._xp._from_host(self._initialised().copy(order))

    def fill(self, value):
        self[...] = value

    def get(self):
        return self._initialised().copy()

    def set(self, host):
        if not isinstance(host, np.ndarray):
            raise TypeError("Only numpy.ndarray can be set to cupy.ndarray")
        if (host.dtype, host.shape) != (self.dtype, self.shape):
            raise ValueError(f"{host.shape} {host.dtype} cannot be set to {self.shape} {self.dtype}")
        if not (self.flags.c_contiguous or self.flags.f_contiguous):
            raise RuntimeError("Cannot set to non-contiguous array")
        self._array[...] = host
        emulator.mark_initialised(self._array)

    # --- one element on the host ---

    def item(self):
        return self.get().item()

    def __float__(self):
        return float(self.get())

    def __int__(self):
        return int(self.get())

    def __bool__(self):
        return bool(self.get())

    # --- reductions and the product ---

    def sum(self, axis=None, dtype=None, out=None, keepdims=False):
        return self._xp._call("sum", self, axis=axis, dtype=dtype, out=out, keepdims=keepdims)

    def mean(self, axis=None, dtype=None, out=None, keepdims=False):
        return self._xp._call("mean", self, axis=axis, dtype=dtype, out=out, keepdims=keepdims)

    def max(self, axis=None, out=None, keepdims=False):
        return self._xp._call("max", self, axis=axis, out=out, keepdims=keepdims)

    def min(self, axis=None, out=None, keepdims=False):
        return self._xp._call("min", self, axis=axis, out=out, keepdims=keepdims)

    def argmax(self, axis=None, out=None, keepdims=False):
        return self._xp._call("argmax", self, axis=axis, out=out, keepdims=keepdims)

    def all(self, axis=None, out=None, keepdims=False):
        return self._xp._call("all", self, axis=axis, out=out, keepdims=keepdims)

    def any(self, axis=None, out=None, keepdims=False):
        return self._xp._call("any", self, axis=axis, out=out, keepdims=keepdims)

    def __matmul__(self, other):
        return self._xp._ufunc(np.matmul, (self, other))

    def __rmatmul__(self, other):
        return self._xp._ufunc(np.matmul, (other, self))

    # --- NumPy asks ---

    def __array_ufunc__(self, ufunc, method, *inputs, out=(None,), **kwargs):
        """np.float32(2) * a, np.exp(a): CuPy answers with its own function of that name."""
        if method != "__call__" or not hasattr(real_cupy(), ufunc.__name__):
            return NotImplemented
        if ufunc in COMPARISONS:  # NumPy makes an array of its scalar before it asks (numpy/numpy#12142)
            inputs = [x.item() if type(x) is np.ndarray and x.ndim == 0 else x for x in inputs]
        check_call(ufunc.__name__, len(inputs), tuple(kwargs))
        return self._xp._ufunc(ufunc, inputs, *out, **kwargs)

    def __array_function__(self, function, types, args, kwargs):
        if function.__module__ != "numpy" or not hasattr(real_cupy(), function.__name__):
            return NotImplemented
        return getattr(self._xp, function.__name__)(*args, **kwargs)

    def __array__(self, dtype=None, copy=None):
        raise TypeError(
            "Implicit conversion to a NumPy array is not allowed. "
            "Please use `.get()` to construct a NumPy array explicitly."
        )

    def __reduce_ex__(self, protocol):
        raise TypeError("the stand-in neither pickles nor deep-copies device arrays")
