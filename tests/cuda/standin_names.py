"""What the real CuPy, which imports without a GPU, has to say about names and arguments."""

import functools
import importlib
import inspect


@functools.cache
def real_cupy():
    try:
        return importlib.import_module("cupy")
    except ImportError as error:
        raise ImportError("the stand-in checks names against the real CuPy: pip install cupy-cuda13x") from error


@functools.cache
def check_call(name: str, positional: int, keywords: tuple) -> None:
    """Raise unless the real CuPy's function can be called with so many positional and these keyword arguments."""
    real = getattr(real_cupy(), name)
    if isinstance(real, real_cupy().ufunc):  # add, exp, maximum ...: not Python functions, hence without a signature
        unknown = set(keywords) - {"out", "dtype", "casting"}
        if unknown or positional != real.nin:
            raise TypeError(
                f"cupy.{name} takes {real.nin} arrays and out, dtype, casting: got {positional}, {keywords}"
            )
        return
    try:
        signature = inspect.signature(real)
    except ValueError:  # written in Cython
        if keywords:
            raise TypeError(f"cupy.{name}: no signature to check the keywords {keywords} against") from None
        return
    try:
        signature.bind(*[None] * positional, **dict.fromkeys(keywords))
    except TypeError as error:
        raise TypeError(f"cupy.{name}: {error}") from None
    if "out" in list(signature.parameters)[:positional]:
        raise TypeError(f"cupy.{name}: the stand-in takes out as a keyword only")
