"""Argument checks that the layers share: every error says what was expected and what came."""

from numbers import Integral


def is_int(value) -> bool:
    """Whether the value is an int of Python or NumPy; True and False are none."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def whole(what: str, value, least: int) -> int:
    """Return an int, at least `least`, as Python's; raise ValueError for anything else."""
    if not is_int(value) or value < least:
        raise ValueError(f"{what}: expected an int, at least {least}, received {value!r}")
    return int(value)


def pair(op: str, what: str, value, least: int) -> tuple[int, int]:
    """Return an int or a pair of ints as a pair (vertical, horizontal), each at least `least`."""
    both = (value, value) if is_int(value) else value
    if not isinstance(both, tuple | list) or len(both) != 2 or not all(map(is_int, both)):
        raise TypeError(f"{op}: {what}: expected an int or a pair of ints, received {value!r}")
    if min(both) < least:
        raise ValueError(f"{op}: {what}: expected at least {least}, received {value!r}")
    return int(both[0]), int(both[1])


def axes(op: str, what: str, array, names: str) -> None:
    """Raise ValueError unless the array has a dimension for each name in `names` ("N H W C"), and none empty."""
    if array.ndim != len(names.split()) or 0 in array.shape:
        expected = f"({', '.join(names.split())}), nothing empty"
        raise ValueError(f"{op}: {what}: expected shape {expected}, received {array.shape}")


def equal(op: str, what: str, expected, received) -> None:
    """Raise ValueError unless both are equal."""
    if expected != received:
        raise ValueError(f"{op}: {what}: expected {expected}, received {received}")
