"""What each kernel takes, read from the kernels themselves: CuPy checks neither number nor type of arguments.

Kernels are `extern "C" __global__ void name(parameters)` in kernels/*.cu, with pointers and numbers of fixed size.
`real` is float or double: each file is compiled once for either. An array for `real*` decides which.
"""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

DTYPES = {
    "int": np.dtype(np.int32),
    "long long": np.dtype(np.int64),
    "unsigned long long": np.dtype(np.uint64),
    "unsigned char": np.dtype(np.uint8),
    "double": np.dtype(np.float64),
}
REALS = {np.dtype(np.float32): "float", np.dtype(np.float64): "double"}
LIMITS = {dtype: (int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)) for dtype in DTYPES.values() if dtype.kind != "f"}
KERNEL = re.compile(r'extern\s+"C"\s+__global__\s+void\s+(?:__launch_bounds__\([^)]*\)\s+)?(\w+)\s*\(([^)]*)\)')
PARAMETER = re.compile(r"(const\s+)?([\w ]+?)\s*(\*?)\s*(?:__restrict__\s+)?(\w+)")


@dataclass(frozen=True)
class Parameter:
    """One parameter of a kernel: name, C type without const and *, whether it is an array, and only read."""

    name: str
    type: str
    array: bool
    const: bool

    def dtype(self, real: np.dtype) -> np.dtype:
        return real if self.type == "real" else DTYPES[self.type]

    def check(self, arg, real: np.dtype, ndarray: type):
        """Return the argument as CuPy must get it; raise TypeError / ValueError with what was expected and received."""
        expected = self.dtype(real)
        if self.array:
            if not isinstance(arg, ndarray):
                raise TypeError(f"expected an array on the device, received {type(arg).__name__}")
            if arg.dtype != expected:
                raise TypeError(f"expected {expected}, received {arg.dtype}")
            if not arg.flags.c_contiguous:
                raise ValueError("expected a C-contiguous array, received strides")
            return arg
        if type(arg) is not int and (expected in LIMITS or type(arg) is not float):
            raise TypeError(f"expected {'int' if expected in LIMITS else 'float'}, received {arg!r}")
        if expected in LIMITS and not LIMITS[expected][0] <= arg <= LIMITS[expected][1]:
            raise ValueError(f"expected a number that fits {expected}, received {arg}")
        return expected.type(arg)


@dataclass(frozen=True)
class Kernel:
    """A kernel's name, the file it stands in and its parameters in order."""

    name: str
    file: Path
    parameters: tuple[Parameter, ...]

    def real(self, args) -> np.dtype:
        """float32 or float64: the dtype of the first array that is given for a `real*`."""
        for arg, parameter in zip(args, self.parameters, strict=False):
            if parameter.array and parameter.type == "real" and getattr(arg, "dtype", None) in REALS:
                return arg.dtype
        return np.dtype(np.float32)

    def check(self, args, ndarray: type) -> list:
        """Return the arguments as CuPy must get them: arrays as they are, numbers in the parameter's exact type.

        args: for an array parameter an `ndarray` of exactly that dtype, C-contiguous, sharing no memory with another
        argument unless both are only read; for an integer an int that fits, for a real a float or an int.
        Raises TypeError / ValueError that name kernel, parameter, what was expected and what was received.
        """
        if len(args) != len(self.parameters):
            raise TypeError(f"{self.name}: expected {len(self.parameters)} arguments, received {len(args)}")
        real, checked = self.real(args), []
        for arg, parameter in zip(args, self.parameters, strict=True):
            try:
                checked.append(parameter.check(arg, real, ndarray))
            except (TypeError, ValueError) as error:
                raise type(error)(f"{self.name}: {parameter.name}: {error}") from None
        arrays = [(p, a.data.ptr, a.data.ptr + a.nbytes) for p, a in zip(self.parameters, args, strict=True) if p.array]
        for i, (a, start, stop) in enumerate(arrays):
            for b, other_start, other_stop in arrays[:i]:
                if start < other_stop and other_start < stop and not (a.const and b.const):
                    raise ValueError(f"{self.name}: {b.name} and {a.name} share memory, and not both are only read")
        return checked


def folder() -> Path:
    """Where the .cu files are: inside an installed package, or beside the package in a source checkout."""
    installed = Path(__file__).resolve().parent.parent / "kernels"
    return installed if installed.is_dir() else installed.parent.parent / "kernels"


def parse(source: str, file: Path) -> list[Kernel]:
    """Return the kernels of a .cu source. Raises ValueError for a parameter type that is not of the above."""
    found = KERNEL.findall(re.sub(r"//[^\n]*", "", source))
    return [Kernel(name, file, tuple(_parameter(name, text) for text in given.split(","))) for name, given in found]


def _parameter(kernel: str, text: str) -> Parameter:
    match = PARAMETER.fullmatch(" ".join(text.split()))
    if not match or match[2] not in (*DTYPES, "real"):
        raise ValueError(f"{kernel}: {text.strip()!r}: expected a number or array of real, {', '.join(DTYPES)}")
    return Parameter(match[4], match[2], bool(match[3]), bool(match[1]))


@cache
def kernels() -> dict[str, Kernel]:
    """All kernels of kernels/*.cu by name."""
    files = sorted(folder().glob("*.cu"))
    return {kernel.name: kernel for file in files for kernel in parse(file.read_text(encoding="utf-8"), file)}
