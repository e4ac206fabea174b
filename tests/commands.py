"""The commands' modules, for tests that call their main. mf.predict and mf.evaluate stay the functions of those names,
which importing minifcn.predict would hide: no file of the package imports a command."""

from importlib import import_module

import minifcn

_functions = {name: getattr(minifcn, name) for name in ("predict", "evaluate")}
predict, evaluate = (import_module(f"minifcn.{name}") for name in _functions)
vars(minifcn).update(_functions)
