"""Argument checks that the layers share: every error says what was expected and what came."""

from numbers import Integral


def pair(op: str, what: str, value, least: int) -> tuple[int, int]:
    """Return an int or a pair of ints as a pair (vertical, horizontal), each at least `least`."""
    both = (value, value) if isinstance(value, Integral) else value
    if not isinstance(both, tuple | list) or len(both) != 2 or not all(isinstance(v, Integral) for v in both):
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
