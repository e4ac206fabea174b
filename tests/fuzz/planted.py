"""Readers with faults, so that the campaign is seen to find each: a table of kinds like that in kinds.py."""

import os
import signal
import sys
import warnings
from pathlib import Path

import numpy as np

from minifcn.errors import InputError

from .kinds import Kind


def refuse(argv: list[str]) -> None:
    raise InputError(f"{argv[0]}: expected something else; get the file again")


def refuse_without_a_name(_) -> None:
    raise InputError("expected something else")


def two_lines(argv: list[str]) -> None:
    print("error: the first", file=sys.stderr)
    refuse(argv)


def escape(argv: list[str]) -> None:
    print(f"error: {argv[0]}: \x1b[31m", file=sys.stderr)
    raise SystemExit(2)


def warn(_) -> None:
    warnings.warn("overflow", RuntimeWarning, stacklevel=1)


def silent(_) -> int:
    return 1


def break_down(_) -> None:
    raise KeyError("classes")


def loop(_) -> None:
    while True:
        pass


def take_memory(_) -> int:
    return int(np.ones(1 << 28, np.float64)[0] > 1)  # 2 GiB


def out_of_memory(_) -> None:
    np.ones(1 << 33)


def run_a_program(_) -> None:
    os.system("touch canary")


def leave_a_canary(_) -> None:
    Path("canary").write_text("")


def write_elsewhere(_) -> None:
    Path("../../elsewhere").write_text("")


def abort(_) -> None:
    os.abort()


def die(_) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def leave(_) -> None:
    os._exit(0)


def fine(_) -> None:
    pass


EXPECTED = {
    fine: "fine", refuse: "refused", refuse_without_a_name: "unclear", two_lines: "unclear", escape: "unclear",
    warn: "unclear", silent: "unclear", break_down: "traceback", loop: "slow", take_memory: "big", out_of_memory: "big",
    run_a_program: "execution", leave_a_canary: "execution", write_elsewhere: "execution", abort: "death", die: "death",
    leave: "death",
}  # fmt: skip


def reader(function):
    return lambda case, file: (function, [str(file)])


def kind(function, refuse: bool = False) -> Kind:
    return Kind("", "weights", ("x.bin",), (lambda *_: b"damaged",), (reader(function),), refuse)


KINDS = {function.__name__: kind(function) for function in EXPECTED} | {"accepted": kind(fine, refuse=True)}
