"""Bad input, told to the user in one line: the file, the value, and the way out."""

LESS_MEMORY = "use smaller pictures (--side, --crop), a smaller --batch, --low-memory, or --trunk vgg_quarter"


class InputError(Exception):
    """Something the user gave cannot be used. The message names the file and the value and says what to do."""


def printable(text) -> str:
    """Return a path, a name, or a line with some, without what moves a cursor, breaks a line or cannot be encoded.

    Such a character is shown as Python would write it, \\n or \\x1b; letters of all scripts stay.
    """
    text = str(text)
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def say(*lines, file=None) -> None:
    """Print lines, on stdout or `file`, as printable() has them: commands print in no other way."""
    print(*map(printable, lines), sep="\n", file=file, flush=True)
