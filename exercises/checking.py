"""How an answer is checked, and how it is said what is wrong with it.

A Part is a function that the student writes. It is called with the arguments of each Case, and what it returns is
compared with the truth. Where they differ, the slips of the part are asked: functions that are wrong in one known way.
If one of them returns what the student's function returned, its sentence says what went wrong.
"""

import importlib.util
import inspect
import re
import traceback
import warnings
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np

import minifcn as mf
from minifcn.gradients import GradientError

SMALL = 40  # numbers of an array that is shown whole
NO_SLIP = (
    "None of the usual slips gives this. Take paper, work out one number of it, and print what your code has for it."
)
HINTS = {  # how an exception begins -> what most often lies behind it
    "(Type|Index)Error: .*integer": "Sizes and indices are whole numbers: // divides them, / makes a fraction of them.",
    "IndexError: index 255 ": "255 is the label of void pixels, and no index. Leave them out, or replace it, first.",
    "IndexError": "That is outside the array. Think of the first and of the last window, or pixel.",
    "ValueError": "Two shapes do not fit. Print the .shape of both sides just before this line.",
    "UnboundLocalError": "Not every way through the function gives this name a value.",
    "NameError": "This name has no value here. A letter from the glossary that you have not unpacked from a .shape?",
    "SystemExit": "That ends the check as well, with nothing checked. Take it out.",
}


class Wrong(Exception):
    """An answer that is not right: the message says why, as a teacher would. step: what was tried."""

    def __init__(self, message: str, step: str = ""):
        super().__init__(message)
        self.step = step


class NotBegun(Wrong):
    """A stub that nobody has touched."""


@dataclass(frozen=True)
class Case:
    """The arguments of one call. expected: the results, where they were worked out by hand."""

    title: str
    args: dict
    expected: tuple | None = None


@dataclass(frozen=True)
class Part:
    """A function to write. results: the names of what it returns. truth(**args) -> tuple of them.

    slips: sentence -> function(**args) that is wrong in this way.
    """

    function: str
    results: tuple[str, ...]
    truth: Callable
    cases: tuple[Case, ...]
    slips: dict[str, Callable]

    def expected(self, case: Case) -> tuple:
        return case.expected or results_of(self.truth(**case.args))


def results_of(returned, count: int = 1) -> tuple:
    """What a function has returned as a tuple; a list of several things counts as one."""
    return tuple(returned) if isinstance(returned, tuple if count == 1 else (tuple, list)) else (returned,)


def changed(truth: Callable, **changes: Callable) -> Callable:
    """A slip: the truth of other arguments. changes: what is made of the argument of that name."""
    return lambda **args: truth(**args | {name: change(args[name]) for name, change in changes.items()})


# --- the student's file ---


def load(path: Path) -> ModuleType:
    """Run a student's file, under a name of its own. Wrong says on which line it fails."""
    spec = importlib.util.spec_from_file_location(f"answer_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    try:
        code = compile(path.read_bytes(), str(path), "exec")
    except (SyntaxError, ValueError) as error:  # ValueError: a zero byte, in older Pythons
        line = getattr(error, "lineno", None)
        place = f"{path.name}, line {line}" if line else path.name
        raise Wrong(f"Python cannot read {place}: {getattr(error, 'msg', error)}.") from None
    try:
        exec(code, vars(module))
    except (Exception, SystemExit) as error:
        raise Wrong(failure(error, path)) from error
    return module


def failure(error: BaseException, path: Path) -> str:
    """What an exception of the student's code says, with its line, and what most often lies behind it."""
    lines = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    place = f"{path.name}, line {lines[-1].lineno}" if lines else path.name
    said = f"{type(error).__name__}: {error}"
    hint = next((f"\n{text}" for pattern, text in HINTS.items() if re.match(pattern, said)), "")
    return f"Your code stops in {place}: {lines[-1].line if lines else ''}\n{said}{hint}"


def call(student: ModuleType, function: str, args: dict):
    """Call the student's function with copies of the arguments, and see that it leaves them as they are."""
    if not callable(getattr(student, function, None)):
        raise Wrong(f"{Path(student.__file__).name} has no function {function}.")
    try:
        inspect.signature(getattr(student, function)).bind(**args)
    except TypeError as error:
        names = ", ".join(f"{name}=..." for name in args)
        raise Wrong(f"Keep the parameters' names. The check calls {function}({names}); yours: {error}.") from None
    given = deepcopy(args)
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            returned = getattr(student, function)(**given)
    except NotImplementedError:
        raise NotBegun(f"{function} is yours to write, in {student.__file__}") from None
    except (Exception, SystemExit) as error:
        raise Wrong(f"{described(args)}\n\n{failure(error, Path(student.__file__))}") from error
    for name, value in args.items():
        if not np.array_equal(given[name], value, equal_nan=isinstance(value, np.ndarray) and value.dtype.kind == "f"):
            raise Wrong(f"{function} has changed its argument {name}. Work on a copy ({name}.copy()): it is not yours.")
    return returned


# --- its results ---


def values(student: ModuleType, part: Part) -> Iterator[str]:
    """Call the student's function for all cases of a part; yield the title of each that is right."""
    for case in part.cases:
        try:
            returned, expected = call(student, part.function, case.args), part.expected(case)
        except Wrong as error:
            error.step = case.title
            raise
        wrong = fault(part, returned, expected)
        if not wrong and (wrong := difference(part, returned, expected)):
            wrong += f"\n\n{slip(student, part, case) or NO_SLIP}"
        if wrong:
            raise Wrong(f"{described(case.args)}\n\n{wrong}", case.title)
        yield case.title


def fault(part: Part, returned, expected: tuple) -> str:
    """What is wrong with the type of what was returned, or nothing. No slip of the formulas explains it."""
    if returned is None:
        return f"{part.function} returns None. Is there no `return` at its end?"
    found = results_of(returned, len(part.results))
    if len(found) != len(expected):
        return f"{part.function} returns {len(found)} things, expected {len(expected)}: {', '.join(part.results)}."
    for name, a, b in zip(part.results, found, expected, strict=True):
        b = np.asarray(b)
        if not isinstance(a, (np.ndarray, np.generic, int, float)):
            what = f"an array of shape {b.shape}" if b.shape else "a number"
            return f"{name} is of type {type(a).__name__}, expected {what}."
        a = np.asarray(a)
        if a.shape == b.shape and (a.dtype.kind not in "fiu" or (b.shape and a.dtype != b.dtype)):
            return f"{name} is an array of {a.dtype}, expected {b.dtype}, as the input is."
    return ""


def misshapen(part: Part, returned, expected: tuple) -> str:
    """Which shape is wrong in what was returned, or nothing."""
    for name, a, b in zip(part.results, results_of(returned, len(expected)), expected, strict=True):
        if np.shape(a) != np.shape(b):
            return f"{name} has shape {np.shape(a)}, expected {np.shape(b)}."
    return ""


def difference(part: Part, returned, expected: tuple) -> str:
    """Which shape or number is wrong in what was returned, or nothing."""
    if wrong := misshapen(part, returned, expected):
        return wrong
    for name, a, b in zip(part.results, results_of(returned, len(expected)), expected, strict=True):
        if not close(a, b):
            return shown(name, np.asarray(a), np.asarray(b))
    return ""


def close(a, b) -> bool:
    """Whether two results are equal but for rounding."""
    a, b = np.asarray(a), np.asarray(b)
    return a.shape == b.shape and np.allclose(a, b, rtol=1e-9, atol=1e-9 * np.abs(b).max(initial=1e-3))


def shown(name: str, a: np.ndarray, b: np.ndarray, rtol=1e-9) -> str:
    """Two arrays that differ: whole if they are small and it can be seen, else where they first do."""
    if 1 < b.size <= SMALL and whole(a) != whole(b):
        return f"{name} expected\n{whole(b)}\nbut yours is\n{whole(a)}"
    wrong = ~np.isclose(a, b, rtol=rtol, atol=rtol * np.abs(b).max())
    at = tuple(map(int, np.argwhere(wrong)[0]))
    place = f"{name}[{', '.join(map(str, at))}]" if at else name
    digits = next(n for n in (6, 9, 12, 17) if n == 17 or f"{a[at]:.{n}g}" != f"{b[at]:.{n}g}")
    text = f"{place} expected {b[at]:.{digits}g}, but yours is {a[at]:.{digits}g}"
    return text + (f"; {int(wrong.sum())} of {b.size} numbers differ" if at else "")


def whole(a: np.ndarray) -> str:
    """An array without its sides of 1, indented."""
    text = np.array2string(np.squeeze(a), precision=4, suppress_small=True, max_line_width=90)
    return "\n".join("    " + line for line in text.splitlines())


def described(args: dict) -> str:
    """The arguments of a call: small arrays whole, of large ones the shapes."""
    numbers = [f"{name} {value}" for name, value in args.items() if not isinstance(value, np.ndarray)]
    arrays = {name: value for name, value in args.items() if isinstance(value, np.ndarray)}
    if sum(a.size for a in arrays.values()) <= SMALL and all(np.squeeze(a).ndim < 3 for a in arrays.values()):
        lines = [
            f"{name} {a.shape}\n{whole(a)}" if a.size > 1 else f"{name} {a.item():g}" for name, a in arrays.items()
        ]
        return "\n".join(["Given", *lines, *([", ".join(numbers)] if numbers else [])])
    return f"Given {', '.join([*(f'{name} {a.shape}' for name, a in arrays.items()), *numbers])}"


def slip(student: ModuleType, part: Part, case: Case) -> str:
    """The sentence of a slip that returns what the student's function returns: of several, the one that does so for the
    most cases, those that are right among them."""
    agree = {sentence: same(student, part, case, wrong) for sentence, wrong in part.slips.items()}
    found = [sentence for sentence, agreed in agree.items() if agreed]
    return max(
        found, key=lambda sentence: sum(same(student, part, c, part.slips[sentence]) for c in part.cases), default=""
    )


def same(student: ModuleType, part: Part, case: Case, wrong: Callable) -> bool:
    """Whether the student's function and one with a known slip return the same."""
    try:
        with np.errstate(all="ignore"):
            theirs = results_of(call(student, part.function, case.args), len(part.results))
            slipped = results_of(wrong(**deepcopy(case.args)))
        return all(alike(a, b) for a, b in zip(theirs, slipped, strict=True))
    except Exception:  # a slip is not defined for every case
        return False


def alike(a, b) -> bool:
    """Close, or infinite or not a number in the same places."""
    finite, other = (np.isfinite(x) for x in (a, b))
    rest = (np.where(finite, 0, x) for x in (a, b))
    return np.array_equal(*rest, equal_nan=True) and close(np.where(finite, a, 0), np.where(other, b, 0))


# --- its gradients ---


def answer(student: ModuleType, part: Part, **args) -> tuple:
    """What the student's function returns; Wrong where that is not of the right type and shape."""
    returned, expected = call(student, part.function, args), results_of(part.truth(**args))
    wrong = fault(part, returned, expected) or misshapen(part, returned, expected)
    if wrong:
        raise Wrong(f"{described(args)}\n\n{wrong}")
    return results_of(returned, len(expected))


def gradients(forward: Callable, backward: Callable, inputs: list, linear=False) -> str:
    """Compare the student's backward(x, dy) with finite differences of forward(x), by minifcn's gradient check."""

    class Answer(mf.autograd.Function):
        def forward(self, x):
            self.x = x
            return np.asarray(forward(x))

        def backward(self, dy):
            return (backward(self.x, dy),)

    try:
        worst = mf.gradcheck(lambda x: Answer()(x), inputs, linear=linear, name="your gradient")
    except Wrong as wrong:
        wrong.step = "gradient check"
        raise
    except GradientError as error:
        text = f"{error}\n\n`numeric` is what happens to the output when that input is moved a little, `analytic` what "
        raise Wrong(text + "your gradient says will happen.") from None
    return f"gradient check: the worst error is {worst:.0e} of the largest gradient"
