"""Argument checks that the layers share: every error says what was expected and what was received."""

from numbers import Integral, Real

from ..autograd import Tensor, as_tensor

OPTIONAL = " or None"  # ends the letters of an argument that may be None


def tensors(op: str, **arguments) -> list[Tensor | None]:
    """Return Tensors of name=(argument, letters), whose shapes must fit the letters (see fit)."""
    made = {name: (None if x is None else as_tensor(x), letters) for name, (x, letters) in arguments.items()}
    fit(op, **made)
    return [x for x, _ in made.values()]


def fit(op: str, **arguments) -> None:
    """Raise ValueError unless each letter stands for one size, at least 1, in all of name=(array, letters).

    The letters are the glossary's, one for each axis: x=(x, "N H W C"), b=(b, "K or None").
    """
    sizes = {}  # letter -> its size, and the first argument that has it
    for name, (x, letters) in arguments.items():
        if x is None and letters.endswith(OPTIONAL):
            continue
        if x is None:
            raise TypeError(f"{op}: {name}: expected an array ({', '.join(letters.split())}), received None")
        axes = letters.removesuffix(OPTIONAL).split()
        if len(x.shape) != len(axes) or 0 in x.shape:
            raise ValueError(f"{op}: {name}: expected shape ({', '.join(axes)}), nothing empty, received {x.shape}")
        for letter, size in zip(axes, x.shape, strict=True):
            expected, first = sizes.setdefault(letter, (size, name))
            if size != expected:
                raise ValueError(
                    f"{op}: {name}: expected {letter} = {expected}, as in {first}, received {size} in shape {x.shape}"
                )


def is_int(value) -> bool:
    """Whether the value is an int of Python or NumPy; True and False are none."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def whole(what: str, value, least: int) -> int:
    """Return an int, at least `least`, as Python's; raise ValueError for anything else."""
    if not is_int(value) or value < least:
        raise ValueError(f"{what}: expected an int, at least {least}, received {value!r}")
    return int(value)


def number(op: str, value) -> float:
    """Return a real number as a float, or raise TypeError."""
    if not isinstance(value, Real):
        raise TypeError(f"{op}: expected a number, received {type(value).__name__}")
    return float(value)


def pair(op: str, what: str, value, least: int) -> tuple[int, int]:
    """Return an int or a pair of ints as a pair (vertical, horizontal), each at least `least`."""
    both = (value, value) if is_int(value) else value
    if not isinstance(both, tuple | list) or len(both) != 2 or not all(map(is_int, both)):
        raise TypeError(f"{op}: {what}: expected an int or a pair of ints, received {value!r}")
    if min(both) < least:
        raise ValueError(f"{op}: {what}: expected at least {least}, received {value!r}")
    return int(both[0]), int(both[1])


def nonempty(op: str, size: tuple[int, int]) -> tuple[int, int]:
    """Return the size of an output; raise ValueError where it has no pixel."""
    if min(size) < 1:
        raise ValueError(f"{op}: output size: expected at least 1 x 1, received {size[0]} x {size[1]}")
    return size
