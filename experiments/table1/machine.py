"""What a record says of the machine and of the code it came from."""

import subprocess
from pathlib import Path

from minifcn import __version__

from .blocks import prose

ROOT = Path(__file__).resolve().parents[2]


def commit() -> str:
    """The present commit of a source checkout, and whether the package differs from it; elsewhere the version."""
    if not (ROOT / ".git").exists():
        return f"version {__version__}"
    try:
        return git("rev-parse", "--short", "HEAD") + ("+changes" if git("status", "--porcelain", "minifcn") else "")
    except (OSError, subprocess.CalledProcessError):
        return f"version {__version__}"


def git(*args: str) -> str:
    return subprocess.run(["git", *args], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def line(machine: dict, commits: list[str]) -> str:
    """A sentence on the machine that a record names, and the commits."""
    return prose("machine", **machine, commits=", ".join(commits)).text
