"""What is made of the declarations in settings.py: a command line, and the checks of what a user gives.

declarations --add_options--> argparse --read--> what is given, no defaults in it --> settings --> config.json
                                                                                        '--revived <--'
"""

import argparse
from dataclasses import MISSING, Field, fields
from types import UnionType
from typing import get_args, get_origin

from ..errors import InputError
from .settings import Options, Settings


def add_options(p: argparse.ArgumentParser, *kinds: type, everything: bool = False) -> argparse.ArgumentParser:
    """Give a parser the options that these dataclasses declare. Its result lacks those that are not given.

    everything: its help shows all of them, and not only those that are used often.
    """
    p.argument_default = argparse.SUPPRESS
    declared = [f for kind in kinds for f in fields(kind) if f.metadata.get("help")]
    for f in sorted(declared, key=lambda f: not f.metadata["often"]):
        text, default = f.metadata["help"], f.default
        if "(default" not in text and not isinstance(default, bool) and default not in (None, MISSING):
            values = default if isinstance(default, tuple) else (default,)
            text += f" (default: {' '.join(f'{x:g}' if isinstance(x, float) else str(x) for x in values)})"
        shown = text if everything or f.metadata["often"] else argparse.SUPPRESS
        p.add_argument(flag(f.name), help=shown, **_argument(f))
    p.add_argument("--help-all", action="store_true", help="show all options")
    return p


def _argument(f: Field) -> dict:
    """Keywords of add_argument: what the field's type says, and what it adds."""
    kind = get_args(f.type)[0] if get_origin(f.type) is UnionType else f.type
    if kind is bool:
        return {"action": argparse.BooleanOptionalAction if f.default else "store_true"}
    parts = get_args(kind)
    found = {"type": parts[0], "nargs": len(parts)} if parts else {"type": kind}
    return found | {"choices": f.metadata["choices"]} | f.metadata["argument"]


def read(make, argv: list[str] | None, options: type[Options], settings: type[Settings]) -> tuple[Options, dict]:
    """Parse a command line; return its options, and the settings that it gives. make(everything): the parser."""
    given = vars(make(False).parse_args(argv))
    if given.pop("help_all", False):
        make(True).print_help()
        raise SystemExit(0)
    names = {f.name for f in fields(options)}
    extra = [flag(name) for name in given if name not in ("resume", "data", "device")]
    if "resume" in given and extra:
        raise InputError(
            f"--resume: a run keeps its settings; leave out {', '.join(extra)}, or start a new run without --resume"
        )
    check_ranges(given, options, settings)
    return options(**{name: given.pop(name) for name in names & given.keys()}), given


def steps_for(opts: Options, given: dict, s: Settings, pictures: int, epochs: float, preset: int | None = None) -> int:
    """The updates that --steps or --epochs ask for; where neither is given `preset`, or else `epochs`."""
    if "steps" in given and opts.epochs is not None:
        raise InputError(f"--steps {given['steps']} and --epochs {opts.epochs:g}: leave one of them out")
    if "steps" in given or (opts.epochs is None and preset is not None):
        return given.get("steps", preset)
    return max(1, round((opts.epochs or epochs) * (pictures // s.batch // s.accumulate)))


def check_ranges(values: dict, *kinds: type) -> None:
    """Raise InputError for a value that its declaration does not allow."""
    for f in (f for kind in kinds for f in fields(kind) if f.metadata and f.name in values):
        value, within, choices = values[f.name], f.metadata["within"], f.metadata["choices"]
        several = value if isinstance(value, list | tuple) else [value]
        received = " ".join(map(str, several))
        if within and not all(x is None or within.low <= x < within.high for x in several):
            raise InputError(f"{flag(f.name)}: expected {within.text}, received {received}")
        if choices and not all(x in choices for x in several):
            raise InputError(f"{flag(f.name)}: expected {' or '.join(map(str, choices))}, received {received}")


def revived(kind: type[Settings], values: dict) -> Settings:
    """Return the settings that a config.json holds. Raises InputError for what they cannot be."""
    known = {f.name: f for f in fields(kind)}
    for name, value in values.items():
        if name not in known:
            raise InputError(f"{name}: no such setting")
        if not _fits(value, known[name].type):
            raise InputError(f"{name}: expected {known[name].type}, received {value!r}")
    for name, f in known.items():
        if f.default is MISSING and name not in values:
            raise InputError(f"{name}: missing")
    check_ranges(values, kind)
    return kind(**values)


def _fits(value, kind) -> bool:
    """Whether a value, as JSON has it, is of a field's type."""
    parts = get_args(kind)
    if get_origin(kind) is UnionType:
        return any(_fits(value, part) for part in parts)
    if get_origin(kind) is tuple:
        return isinstance(value, list) and len(value) == len(parts) and all(map(_fits, value, parts))
    return isinstance(value, int | float if kind is float else kind) and (kind is bool) == isinstance(value, bool)


def flag(name: str) -> str:
    """val_every -> --val-every"""
    return f"--{name.replace('_', '-')}"
