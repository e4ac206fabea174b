"""What a case of a kernel is, and how it runs in the emulator: with poisoned outputs, everything checked afterwards.

A Case is one launch. Its work, made for float32 or float64, has a value for each parameter by name, and what the kernel
must leave. An array of more than 2^31 elements is given by the parts that the chosen blocks need.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import NamedTuple

import emulator
import numpy as np

from minifcn.gpu.signatures import Kernel, kernels

REALS = {np.dtype(np.float32): "float", np.dtype(np.float64): "double"}
ROUNDING = 32  # rounding errors of the largest number, where the reference sums in another order


class Blank(NamedTuple):
    """An array that the kernel only writes: poisoned and uninitialised before."""

    shape: tuple[int, ...]


class Parts(NamedTuple):
    """An array too large to fill: only these parts, by index, have values."""

    shape: tuple[int, ...]
    values: tuple[tuple[tuple | slice, np.ndarray], ...]


@dataclass(frozen=True)
class Work:
    """Arguments by parameter, and the values afterwards of the arrays that change; the others must stay as they are."""

    args: dict[str, object]
    expected: dict[str, np.ndarray | Parts]
    rounded: tuple[str, ...] = ()  # results with rounding errors; the others are exact
    shifted: dict[str, int] = field(default_factory=dict)  # arrays that begin so many elements into their memory


@dataclass(frozen=True, eq=False)
class Case:
    """One launch of a kernel. make: dtype of `real` -> Work. blocks: the ones to run, None for all."""

    kernel: str
    label: str
    grid: tuple[int, ...]
    block: tuple[int, ...]
    make: Callable[[np.dtype], Work]
    blocks: range | None = None

    def __str__(self):
        return f"{self.kernel}-{self.label}-{'x'.join(map(str, self.block))}"


@cache
def work_of(case: Case, real: np.dtype) -> Work:
    return case.make(real)


def module(kernel: Kernel, real: np.dtype) -> emulator.Module:
    return emulator.Module(*build(kernel, real))


def build(kernel: Kernel, real: np.dtype) -> tuple[str, str, dict[str, str]]:
    """What emulator.prebuild and Module take."""
    return kernel.file.read_text(encoding="utf-8"), kernel.file.name, {"REAL": REALS[real]}


def run(compiled: emulator.Module, case: Case, real: np.dtype, order: str = "forward", seed: int = 0):
    """Launch a case; return (bytes of what it changed by name, Traffic).

    AssertionError, its message beginning with "not written", "wrong result" or "altered", where what the kernel left is
    wrong; KernelError where the emulator saw it do wrong.
    """
    work, parameters = work_of(case, real), kernels()[case.kernel].parameters
    assert [p.name for p in parameters] == list(work.args), f"{case}: arguments differ from the kernel's"
    args = [_place(work, p, p.dtype(real)) for p in parameters]
    arrays = {p.name: a for p, a in zip(parameters, args, strict=True) if p.array}
    before = {name: _seen(work.args[name], a) for name, a in arrays.items() if name not in work.expected}
    traffic = compiled.launch(case.kernel, case.grid, case.block, args, order=order, seed=seed, blocks=case.blocks)
    for name, old in before.items():
        assert _seen(work.args[name], arrays[name]) == old, f"altered: {name}"
    for name, expected in work.expected.items():
        limit = ROUNDING * np.finfo(real).eps if name in work.rounded else 0
        for index, values in expected.values if isinstance(expected, Parts) else ((..., expected),):
            _compare(name, arrays[name][index], values, limit)
    return {name: _seen(work.expected[name], arrays[name]) for name in work.expected}, traffic


def _place(work: Work, parameter, dtype: np.dtype):
    """An argument in device memory, of the parameter's dtype."""
    value = work.args[parameter.name]
    if not parameter.array:
        return dtype.type(value)
    if isinstance(value, Parts):
        a = emulator.empty(value.shape, dtype)
        for index, part in value.values:
            a[index] = part
            emulator.mark_initialised(a[index])
        return a
    shift = work.shifted.get(parameter.name, 0)
    size = int(np.prod(value.shape))
    a = emulator.empty(size + shift, dtype)[shift:].reshape(value.shape)
    if not isinstance(value, Blank):
        a[...] = value
        emulator.mark_initialised(a)
    return a


def _seen(spec, a: np.ndarray) -> bytes:
    """An array's bytes, of one given by parts those of the parts."""
    if isinstance(spec, Parts):
        return b"".join(a[index].tobytes() for index, _ in spec.values)
    return a.tobytes()


def _compare(name: str, got: np.ndarray, expected: np.ndarray, limit: float) -> None:
    assert got.shape == expected.shape, f"{name}: shape {got.shape}, expected {expected.shape}"
    assert emulator.initialised(got), f"not written: {name}"
    if got.dtype.kind == "f":
        finite = np.abs(expected[np.isfinite(expected)])
        good = np.isclose(got, expected, rtol=0, atol=limit * finite.max(initial=0), equal_nan=True)
    else:
        good = got == expected
    if not good.all():
        at = tuple(map(int, np.argwhere(~good)[0]))
        raise AssertionError(f"wrong result: {name}{at} is {got[at]}, expected {expected[at]}, {np.sum(~good)} differ")
