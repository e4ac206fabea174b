"""What the command lines share: one line and exit status 2 for bad input, a help that fits a screen, --device."""

import argparse
import io
import sys
import traceback
import warnings
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path

from . import ranks
from .cpu import keep_freed_memory, limit_blas
from .errors import LESS_MEMORY, InputError, printable
from .files import MARK
from .weights.shipped import shipped_files

SOURCE = Path(__file__).resolve().parent.parent  # of a checkout


class Parser(argparse.ArgumentParser):
    """One whose errors are of one line: a shell's pattern may have put any name among the arguments."""

    def error(self, message: str):
        super().error(printable(message))


def command_parser(name: str, usage: str, description: str) -> argparse.ArgumentParser:
    """Return a parser whose help fits a screen."""
    program, look = f"python -m minifcn.{name}", partial(argparse.HelpFormatter, max_help_position=28, width=100)
    return Parser(program, f"{program} {usage}", description, formatter_class=look)


def add_device_option(parser: argparse.ArgumentParser) -> None:
    """Give a command line --device."""
    parser.add_argument("--device", default="cpu", help="cpu, gpu or gpu:1 (default: cpu)")


def add_overwrite_option(parser: argparse.ArgumentParser) -> None:
    """Give a command line --overwrite."""
    parser.add_argument("--overwrite", action="store_true", help=f"also replace files that were not {MARK}")


def add_network_options(parser: argparse.ArgumentParser) -> None:
    """Give a command line what says which network is used, how and where: --model, --side, --device."""
    models, add = ", ".join(shipped_files("models")), parser.add_argument
    add("--model", metavar="NAME", help=f"instead of a checkpoint: a shipped network ({models})")
    add("--side", type=int, help="longer side of the pictures that the network sees, 0: theirs (default: checkpoint's)")
    add_device_option(parser)


def from_checkout(folder: str, module: str):
    """Return a module of a source checkout's folder. Raises InputError where the package is installed without one."""
    path = SOURCE / folder
    if not path.is_dir():
        raise InputError(f"{path} is not there: it is part of a source checkout, not of the package; run it in one")
    sys.path.insert(0, str(path))
    return import_module(module)


def command_line(main: Callable[[], int | None]) -> None:
    """Run a command's `main`; bad input ends it with exit status 2 and one line on stderr, without a traceback."""
    keep_freed_memory()
    limit_blas()
    outlive_readers()
    warnings.filterwarnings("ignore", module="PIL")  # whatever matters of a picture is in an error of ours
    if hasattr(sys.stdout, "reconfigure"):  # names that the terminal has no letters for
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        status = main() or 0
    except KeyboardInterrupt:
        status = ranks.tell("interrupted", 130)
    except Exception as error:
        told = describe(error)
        if told is None and ranks.size() == 1:
            raise
        status = ranks.tell(f"error: {told}", 2) if told else ranks.tell(traceback.format_exc(), 1)
    sys.exit(status)


class Outlet(io.FileIO):
    """The bytes of a stream, which go nowhere once its reader has left: the work goes on after `| head -1`."""

    def write(self, data) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            return len(data)


def outlive_readers() -> None:
    """Give a process's own stdout and stderr, where they lead to no terminal, outlets that need no reader."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None and stream is getattr(sys, f"__{name}__") and not stream.isatty():
            stream.flush()
            bytes_out = io.BufferedWriter(Outlet(stream.fileno(), "wb", closefd=False))
            setattr(sys, name, io.TextIOWrapper(bytes_out, stream.encoding, stream.errors, line_buffering=True))


def describe(error: Exception) -> str | None:
    """An error that a user can cause in one line, with the file of an operating-system error and the way out."""
    text = " ".join(str(error).split())
    if isinstance(error, MemoryError):
        return f"out of memory{f' ({text})' if text else ''}: {LESS_MEMORY}"
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}; check this path, or choose another"
    if type(error).__module__.startswith("cupy"):  # cuBLAS and the driver have errors of their own
        return f"the GPU: {text}. If its memory is full, {LESS_MEMORY}"
    return text if isinstance(error, InputError | OSError) else None
