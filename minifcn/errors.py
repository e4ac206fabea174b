"""Bad input, told to the user in one line: the file, the value, and the way out."""

import sys
from collections.abc import Callable

LESS_MEMORY = "use a smaller --batch, --crop, --low-memory, or trunk vgg_quarter"


class InputError(Exception):
    """Something the user gave cannot be used. The message names the file and the value and says what to do."""


def command_line(main: Callable[[], int | None]) -> None:
    """Run a command's `main`; bad input ends it with exit status 2 and one line on stderr, without a traceback."""
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
    """One line for an error, naming the file of an operating-system error."""
    if isinstance(error, MemoryError):
        return f"out of memory ({error}): {LESS_MEMORY}"
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split())
