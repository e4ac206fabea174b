"""What `python -m minifcn.emulate` does: a kernel of a user's file, launched on arrays that the command line describes.

Whatever is wrong with the kernel is printed in one line, and the status is 1; with the command line: InputError.
"""

import inspect
import math
import re
import shutil
import signal
import threading
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import emulator
import numpy as np
from kernel_values import Parameter, is_blank, make, parameters_of, parse_assignments, type_message

from minifcn.errors import InputError, printable, say

ORDERS = ("forward", 0), ("reverse", 0), ("random", 1)
MOST_THREADS = 1 << 24  # of a launch: some seconds
TOLERANCE = {4: 1e-5, 8: 1e-12}  # by the bytes of a number; of the largest number that is expected


class WrongResultError(Exception):
    """The kernel left what it must not."""


@dataclass
class Trial:
    """A kernel and all that a launch of it needs. expect: parameter -> what must stand there afterwards."""

    module: emulator.Module
    kernel: str
    parameters: list[Parameter]
    grid: tuple[int, ...]
    block: tuple[int, ...]
    shared: int
    values: dict[str, np.ndarray | np.generic]
    expected: dict[str, np.ndarray]

    def launch(self, order: str, seed: int) -> tuple[dict[str, np.ndarray], emulator.Traffic]:
        """Launch once; return the arrays that the kernel may write, copied, and the traffic. Raises where it errs."""
        args = [on_device(self.values[p.name]) for p in self.parameters]
        last = (order, seed) == ORDERS[-1]  # only now sectors are counted: an endless loop would touch too many
        shape = self.grid, self.block
        traffic = self.module.launch(self.kernel, *shape, args, self.shared, order, seed, sectors=last)
        left = {p.name: a for p, a in zip(self.parameters, args, strict=True) if p.array and not p.const}
        for name, a in left.items():
            check_written(name, a)
            if name in self.expected:
                check_equal(name, a, self.expected[name])
        return {name: a.copy() for name, a in left.items()}, traffic

    def least(self) -> tuple[int, int]:
        """Bytes read and written, if every byte of the arrays were moved once."""
        arrays = [(p, self.values[p.name]) for p in self.parameters if p.array]
        read = sum(a.nbytes for p, a in arrays if not is_blank(a))
        return read, sum(a.nbytes for p, a in arrays if not p.const)


def run(args) -> int:
    """Run the parsed command line of minifcn/emulate.py; return the exit status."""
    if shutil.which("g++") is None:
        raise InputError(
            "emulate needs the compiler g++, which is not installed; on Debian and Ubuntu: apt install g++"
        )
    path = Path(args.file)
    source = path.read_text(encoding="utf-8-sig", errors="replace")
    grid, block = size("--grid", args.grid), size("--block", args.block)
    threads = math.prod(grid + block)
    if threads > MOST_THREADS:
        told = f"{threads:,} threads, at most {MOST_THREADS:,}; fewer, and smaller arrays, show the same faults"
        raise InputError(f"--grid {args.grid} --block {args.block}: {told}")
    assignments = parse_assignments(args.values)
    try:
        module = emulator.Module(source, re.sub(r"[^\w.-]", "_", path.name), {"REAL": args.real})
    except emulator.KernelError as error:
        return wrong(type_message(str(error), source) or compiler_message(str(error), path.name))
    kernel = choose(list(module.signatures), args.kernel, path)
    parameters = parameters_of(source, kernel, module.signatures[kernel])
    values = make(parameters, assignments, args.seed)
    expected = expectation(args.numpy, kernel, parameters, values) if args.numpy else {}
    trial = Trial(module, kernel, parameters, grid, block, args.shared, values, expected)
    try:
        with ended_by_ctrl_c():
            results = [trial.launch(*order) for order in ORDERS]
    except emulator.LaunchError as error:
        raise InputError(f"{error}; choose another --grid, --block or --shared") from None
    except (emulator.KernelError, WrongResultError) as error:
        return wrong(named(str(error), parameters))
    report(trial, results, args)
    return 0


@contextmanager
def ended_by_ctrl_c():
    """A launch keeps the interpreter's lock, so Python's own handler would wait for its end, which may never come."""
    main = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGINT, signal.SIG_DFL) if main else None
    try:
        yield
    finally:
        if main:
            signal.signal(signal.SIGINT, before)


def wrong(message: str) -> int:
    say(f"WRONG: {message}")
    return 1


def report(trial: Trial, results: list, args) -> None:
    """Say what was checked, and what was moved."""
    arrays, traffic = results[-1]
    same = all(other[name].tobytes() == a.tobytes() for other, _ in results for name, a in arrays.items())
    bits = "the same bits" if same else "bits that depend on the order"
    say(
        f"{trial.kernel}, grid {args.grid}, block {args.block}: every access checked, "
        f"{len(ORDERS)} orders of blocks and threads, {bits}"
    )
    for name, a in arrays.items():
        shape = ",".join(map(str, a.shape))
        if name not in trial.expected:
            say(f"{name} ({shape}): all written, not compared (--numpy says with what)")
        elif a.dtype.kind == "f":
            say(f"{name} ({shape}): as in NumPy, within {TOLERANCE[a.itemsize]:.0e} of the largest number")
        else:
            say(f"{name} ({shape}): as in NumPy")
    say(f"{'bytes':9}{'least':>12}{'by threads':>20}{'by warps':>20}")
    read, written = trial.least()
    for what, least, counts in (
        ("read", read, (traffic.read, traffic.sectors_read)),
        ("written", written, (traffic.written, traffic.sectors_written)),
    ):
        cells = (f"{count:,} {f'{count / least:6.2f} x' if least else '':>8}" for count in counts)
        say(f"{what:9}{least:12,}" + "".join(f"{cell:>20}" for cell in cells))
    if traffic.shared:
        say(f"{'shared memory':21}{traffic.shared:11,}")


def size(option: str, text: str) -> tuple[int, ...]:
    """1 to 3 numbers, as in 32,8."""
    if not re.fullmatch(r"[0-9]{1,10}(,[0-9]{1,10}){0,2}", text):
        raise InputError(f"{option}: expected 1 to 3 whole numbers such as 32,8, received {printable(text)}")
    return tuple(map(int, text.split(",")))


def choose(kernels: list[str], name: str | None, path: Path) -> str:
    if name is None and len(kernels) > 1:
        raise InputError(f"{path}: has several kernels, choose one: --kernel {' or '.join(kernels)}")
    if name is not None and name not in kernels:
        raise InputError(f"{path}: has no kernel {printable(name)}, but {', '.join(kernels)} (--kernel)")
    return name or kernels[0]


# --- what the kernel left ---


def on_device(value):
    """An argument for a launch: an array in the emulator's memory, blank ones poisoned and uninitialised."""
    if not isinstance(value, np.ndarray):
        return value
    return emulator.empty(value.shape, value.dtype) if is_blank(value) else emulator.array(value)


def check_written(name: str, a: np.ndarray) -> None:
    written = emulator.written(a)
    if not written.all():
        missing = int((~written).sum())
        raise WrongResultError(f"{at(name, ~written)} was not written, and {missing} of {a.size} numbers were not")


def check_equal(name: str, a: np.ndarray, expected: np.ndarray) -> None:
    if a.dtype.kind == "f":
        largest = np.abs(expected[np.isfinite(expected)]).max(initial=0)
        good = np.isclose(a, expected, rtol=0, atol=TOLERANCE[a.itemsize] * largest, equal_nan=True)
    else:
        good = a == expected
    if not good.all():
        i, count = first(~good), f"{int((~good).sum())} of {a.size} differ"
        raise WrongResultError(f"{at(name, ~good)} is {a[i]:.7g}, NumPy has {expected[i]:.7g}; {count}")


def first(bad: np.ndarray) -> tuple[int, ...]:
    return tuple(map(int, np.argwhere(bad)[0]))


def at(name: str, bad: np.ndarray) -> str:
    """ "p[3, 0]": the first that is bad."""
    return f"{name}[{', '.join(map(str, first(bad)))}]"


def named(message: str, parameters: list[Parameter]) -> str:
    """The emulator's message with the parameters' names, and which number of an array a byte belongs to."""

    def words(found: re.Match) -> str:
        parameter = parameters[int(found[2])]
        if found[1] is None:
            return parameter.name
        index, rest = divmod(int(found[1]), parameter.dtype.itemsize)
        return f"{parameter.name}[{index}]" + (f" (and {rest} bytes)" if rest else "")

    return re.sub(r"(?:byte (-?\d+) of )?argument (\d+)", words, message)


def compiler_message(text: str, name: str) -> str:
    """The first error of g++'s in one line."""
    errors = re.findall(r"^(\S*?:\d+):\d+: (?:fatal )?error: (.*)$", text, re.MULTILINE)
    if not errors:
        return text if "\n" not in text else f"{name}: {text.splitlines()[-1]}"
    more = f" ({len(errors) - 1} more)" if len(errors) > 1 else ""
    return f"{errors[0][0]}: does not compile: {errors[0][1]}{more}"


# --- the NumPy function ---


def expectation(file: str, kernel: str, parameters: list[Parameter], values: dict) -> dict[str, np.ndarray]:
    """What the user's NumPy function says must stand in the arrays that the kernel writes, by name."""
    function = load(file, kernel)
    try:
        wanted = inspect.signature(function).parameters
    except ValueError:  # a function in C, such as max
        raise InputError(f"{file}: {kernel} does not tell its parameters; expected def {kernel}(...)") from None
    known = {name: value for name, value in values.items() if not is_blank(value)}
    for name, wish in wanted.items():
        optional = wish.default is not wish.empty or wish.kind in (wish.VAR_POSITIONAL, wish.VAR_KEYWORD)
        if name not in known and not optional:
            way_out = f" ({name}=random:... gives {name} values before the launch)" if name in values else ""
            raise InputError(f"{file}: {kernel}() asks for {name}; it may ask for {', '.join(known)}{way_out}")
    copies = {name: known[name].copy() for name in wanted if name in known}
    try:
        result = function(**copies)
    except (Exception, SystemExit) as error:
        raise InputError(f"{file}: {kernel}() raised {type(error).__name__}: {error}") from error
    outputs = [p.name for p in parameters if p.array and not p.const]
    results = result if isinstance(result, tuple | list) else (result,)
    if len(results) != len(outputs):
        raise InputError(f"{file}: {kernel}() returned {len(results)} arrays; the kernel writes {', '.join(outputs)}")
    expected = {name: np.asarray(a) for name, a in zip(outputs, results, strict=True)}
    for name, a in expected.items():
        if a.shape != values[name].shape or a.dtype.kind not in "fiub":
            told = f"expected numbers of shape {values[name].shape}, received {a.dtype} of shape {a.shape}"
            raise InputError(f"{file}: {kernel}() returned a wrong {name}: {told}")
    return expected


def load(file: str, kernel: str) -> Callable:
    """The function of the kernel's name in a Python file."""
    namespace: dict = {"__name__": Path(file).stem}
    source = Path(file).read_bytes()  # compile() knows encodings
    try:
        exec(compile(source, file, "exec"), namespace)
    except (Exception, SystemExit) as error:
        raise InputError(f"{file}: {type(error).__name__}: {error}") from error
    function = namespace.get(kernel)
    if not callable(function):
        raise InputError(f"{file}: has no function {kernel}(); it must be named like the kernel")
    return function
