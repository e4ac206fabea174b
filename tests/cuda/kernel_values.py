"""The arguments of a kernel from a command line: P=100 scores=P,L labels=0..20:P w=random:1000 x=given.npy."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import emulator
import numpy as np

from minifcn.errors import InputError, printable
from minifcn.gpu.signatures import KERNEL

LARGEST = 1 << 28  # numbers of an array
EXAMPLES = "an array: 100,21 or random:100,21 or zeros:100,21 or 0..20:100 or FILE.npy"


@dataclass(frozen=True)
class Parameter:
    """One parameter of the kernel: its name, C type, and the dtype of the number or of the array's numbers."""

    name: str
    type: str
    dtype: np.dtype

    @property
    def array(self) -> bool:
        return self.type.endswith("*")

    @property
    def const(self) -> bool:
        return self.type.startswith("const ")


class Blank(np.ndarray):
    """Shape and dtype of an array that the kernel only writes."""


def is_blank(value) -> bool:
    return isinstance(value, Blank)


def declared(source: str, kernel: str) -> list[str]:
    """The kernel's parameters as they stand in the source."""
    code = re.sub(r"//[^\n]*|/\*.*?\*/", " ", source, flags=re.DOTALL)
    code = re.sub(r"__launch_bounds__\s*\((?:[^()]|\([^()]*\))*\)", " ", code)
    texts = next(given for name, given in KERNEL.findall(code) if name == kernel).split(",")
    return [" ".join(text.split()) for text in texts if text.strip()]


def parameters_of(source: str, kernel: str, types: Sequence[str]) -> list[Parameter]:
    """Names as in the source, types as the compiler sees them."""
    names = [re.search(r"(\w*)\s*(?:\[\s*\])?$", text)[1] for text in declared(source, kernel)]
    dtypes = [emulator.DTYPES[t.removeprefix("const ").rstrip("*")] for t in types]
    return [Parameter(*one) for one in zip(names, types, dtypes, strict=True)]


def type_message(text: str, source: str) -> str | None:
    """What g++ says of a parameter's type that cuda_shim.h does not know, in the user's words."""
    kernel = re.search(r"Caller<(\w+), void \(\*\)\((.*)\)>::types", text)
    unknown = re.search(r"error: incomplete type 'emu::TypeName<(.*)>'", text)
    if not kernel or not unknown:
        return None
    types, texts = kernel[2].split(", "), declared(source, kernel[1])
    parameter = texts[types.index(unknown[1])] if len(types) == len(texts) else f"of type {unknown[1]}"
    allowed = ", ".join(emulator.DTYPES)
    return f"{kernel[1]}: the parameter {parameter} is none of {allowed}, nor a pointer to one, const or not"


def parse_assignments(texts: Sequence[str]) -> dict[str, str]:
    """name -> value, as text."""
    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.isidentifier():
            raise InputError(f"{printable(text)}: expected NAME=VALUE, such as P=100 or scores=100,21")
        if name in found:
            raise InputError(f"{name}: given twice, {printable(found[name])} and {printable(value)}")
        found[name] = value
    return found


def make(parameters: Sequence[Parameter], assignments: dict[str, str], seed: int) -> dict[str, np.ndarray | np.generic]:
    """A value for each parameter; the shapes of arrays may name the numbers."""
    rng = np.random.default_rng(seed if seed >= 0 else [-seed, 1])
    signature = ", ".join(f"{p.type} {p.name}" for p in parameters)
    names = [p.name for p in parameters]
    for name in assignments:
        if name not in names:
            raise InputError(f"{name}={printable(assignments[name])}: the kernel has no {name}, but {signature}")
    missing = [name for name in names if name not in assignments]
    if missing:
        raise InputError(f"no value for {', '.join(missing)}; the kernel takes {signature}")
    numbers = {p.name: number(p, assignments[p.name]) for p in parameters if not p.array}
    arrays = {p.name: array(p, assignments[p.name], numbers, rng) for p in parameters if p.array}
    return {name: numbers.get(name, arrays.get(name)) for name in names}


def number(p: Parameter, text: str) -> np.generic:
    whole = p.dtype.kind in "iu"
    try:
        value = int(text) if whole else float(text)
        if whole and not np.iinfo(p.dtype).min <= value <= np.iinfo(p.dtype).max:
            raise ValueError
        with np.errstate(over="ignore"):
            value = p.dtype.type(value)
        if np.isinf(value) and "inf" not in text.lower():
            raise ValueError
    except ValueError:
        kind = f"a {'whole ' if whole else ''}number that fits {p.type}"
        raise InputError(f"{p.name}: expected {kind}, received {printable(text)}") from None
    return value


def array(p: Parameter, text: str, numbers: dict[str, np.generic], rng: np.random.Generator) -> np.ndarray:
    if text.endswith(".npy"):
        return from_file(p, text)
    kind, colon, dimensions = text.rpartition(":")
    shape = shape_of(p, dimensions, numbers)
    if kind == "" and not colon:
        kind = "random" if p.const else "blank"
    between = re.fullmatch(r"(-?\d{1,19})\.\.(-?\d{1,19})", kind)
    if between:
        low, high = (number(Parameter(p.name, "long long", np.dtype(np.int64)), t) for t in between.groups())
        if low <= high:
            return rng.integers(low, high, shape, endpoint=True).astype(p.dtype)
    if kind == "random" and p.dtype.kind == "f":
        return rng.standard_normal(shape).astype(p.dtype)
    if kind == "random":
        return rng.integers(0, 9, shape, endpoint=True).astype(p.dtype)
    if kind in ("zeros", "blank"):
        values = np.zeros(shape, p.dtype)
        return values if kind == "zeros" else values.view(Blank)
    raise InputError(f"{p.name}: expected {EXAMPLES}, received {printable(text)}")


def shape_of(p: Parameter, text: str, numbers: dict[str, np.generic]) -> tuple[int, ...]:
    """100,21 or P,L: each a number, or the name of one of the kernel's."""
    shape = []
    for part in text.split(","):
        size = numbers.get(part, part if part.isascii() and re.fullmatch(r"-?\d{1,19}", part) else None)
        if size is None or np.dtype(type(size)).kind == "f":
            known = ", ".join(numbers) or "none here"
            told = f"expected {EXAMPLES}; {printable(part)} is no size, and none of the kernel's numbers ({known})"
            raise InputError(f"{p.name}={printable(text)}: {told}")
        if int(size) < 0:
            told = f"{part} is {size}, which is negative" if part in numbers else f"{part} is negative"
            raise InputError(f"{p.name}={text}: expected sizes of 0 or more; {told}")
        shape.append(int(size))
    if np.prod(shape, dtype=object) > LARGEST:
        raise InputError(f"{p.name}={text}: at most {LARGEST:,} numbers; smaller arrays show the same faults")
    return tuple(shape)


def from_file(p: Parameter, file: str) -> np.ndarray:
    try:
        a = np.load(file, allow_pickle=False)
    except ValueError as error:
        raise InputError(f"{file}: is no array: {error}") from None
    if not isinstance(a, np.ndarray) or a.dtype != p.dtype:
        received = getattr(a, "dtype", "an archive")
        raise InputError(f"{file}: expected {p.dtype} for {p.type} {p.name}, received {received}")
    return np.ascontiguousarray(a)
