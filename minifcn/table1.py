"""The lab report's table: python -m minifcn.table1, from a source checkout, is python -m experiments.table1."""

import sys
from importlib.util import find_spec
from runpy import run_module

from .command import SOURCE, command_line
from .errors import InputError


def main() -> None:
    if not (SOURCE / "experiments" / "table1").is_dir() or find_spec("jinja2") is None:
        raise InputError("experiments/table1 is part of a source checkout; there: pip install -e '.[experiments]'")
    sys.path.insert(0, str(SOURCE))
    run_module("experiments.table1", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    command_line(main)
