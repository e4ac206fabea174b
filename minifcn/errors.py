"""Bad input, told to the user in one line: the file, the value, and the way out."""

import sys
from collections.abc import Callable

LESS_MEMORY = (
    "use smaller pictures (--side, --crop), a smaller --batch, --low-memory or --trunk vgg_quarter, where offered"
)


class InputError(Exception):
    """Something the user gave cannot be used. The message names the file and the value and says what to do."""


def command_line(main: Callable[[], int | None]) -> None:
    """Run a command's `main`; bad input ends it with exit status 2 and one line on stderr, without a traceback."""
    if hasattr(sys.stdout, "reconfigure"):  # names that the terminal has no letters for
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        status = main() or 0
    except (InputError, OSError, MemoryError) as error:
        print(f"error: {describe(error)}", file=sys.stderr)
        status = 2
    except RuntimeError as error:
        if not type(error).__module__.startswith("cupy"):  # cuBLAS and the driver have errors of their own
            raise
        print(f"error: the GPU: {describe(error)}. If its memory is full, {LESS_MEMORY}", file=sys.stderr)
        status = 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        status = 130
    sys.exit(status)


def describe(error: BaseException) -> str:
    """One line for an error, naming the file of an operating-system error and the way out."""
    if isinstance(error, MemoryError):
        return f"out of memory{f' ({error})' if str(error) else ''}: {LESS_MEMORY}"
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}; check this path, or choose another"
    return " ".join(str(error).split())
