"""Bad input, told to the user in one line: the file, the value, and the way out."""

LESS_MEMORY = "use smaller pictures (--side, --crop), a smaller --batch, --low-memory, or --trunk vgg_quarter"


class InputError(Exception):
    """Something the user gave cannot be used. The message names the file and the value and says what to do."""
