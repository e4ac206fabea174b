"""The lab report's table: python -m minifcn.table1, from a source checkout, is python -m experiments.table1."""

import sys
from importlib.util import find_spec
from pathlib import Path
from runpy import run_module

from .command import command_line
from .errors import InputError

CHECKOUT = Path(__file__).resolve().parent.parent


def main() -> None:
    if not (CHECKOUT / "experiments" / "table1").is_dir() or find_spec("jinja2") is None:
        raise InputError("experiments/table1 is part of a source checkout; there: pip install -e '.[experiments]'")
    sys.path.insert(0, str(CHECKOUT))
    run_module("experiments.table1", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    command_line(main)
