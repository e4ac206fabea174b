"""Exercises that check themselves: python -m exercises lists them, python -m exercises NAME checks one.

An answer is written into exercises/NAME.py, where a stub waits. The exit status is 1 while it is not right.
"""

import argparse
import sys
import traceback
from importlib import import_module
from pathlib import Path
from textwrap import fill, indent

from exercises.checking import NotBegun, Wrong
from minifcn.command import outlive_readers

WIDTH = 96
HERE = Path(__file__).resolve().parent
CHAPTERS = {  # exercise -> its chapter in docs/walkthrough, in the order in which to do them
    "conv_forward": "convolution",
    "conv_dx": "convolution",
    "pool_backward": "checking_gradients",
    "softmax_cross_entropy": "one_picture_back",
    "bilinear_upsampling": "transposed_convolution",
    "crop_offset": "classifier_to_fcn",
    "sgd_momentum": "training",
    "kernel": "cuda_kernel",
}


def main(argv=None) -> int:
    parser = argparse.ArgumentParser(prog="python -m exercises", description="Check what you have written.")
    parser.add_argument("name", nargs="?", choices=CHAPTERS, metavar="NAME", help="; ".join(CHAPTERS))
    parser.add_argument("--solutions", action="store_true", help="check the worked solutions instead of your files")
    args = parser.parse_args(argv)
    folder = HERE / "solutions" if args.solutions else HERE
    try:
        return check(args.name, folder) if args.name else show_all(folder)
    except KeyboardInterrupt as stop:
        print(f"\nstopped{place(stop, folder)}")
        return 130  # what shells give for Ctrl-C


def place(stop: KeyboardInterrupt, folder: Path) -> str:
    """Where in an answer Ctrl-C came, if it came in one."""
    files = {str(file_of(name, folder)): name for name in CHAPTERS}
    lines = [frame for frame in traceback.extract_tb(stop.__traceback__) if frame.filename in files]
    return f" in {files[lines[-1].filename]}.py, line {lines[-1].lineno}: an endless loop?" if lines else ""


def file_of(name: str, folder: Path) -> Path:
    return folder / f"{name}{'.cu' if name == 'kernel' else '.py'}"


def steps(name: str, folder: Path):
    """Yield a line for each step of an exercise that is right; Wrong at the first that is not."""
    if not file_of(name, folder).exists():
        raise Wrong(f"{file_of(name, folder)} is not there. git checkout brings the stub back.")
    yield from import_module(f"exercises.checks.{name}").steps(folder)


def state(name: str, folder: Path) -> str:
    """done, begun or open."""
    right = 0
    try:
        for _ in steps(name, folder):
            right += 1
    except Wrong as wrong:
        return "open" if isinstance(wrong, NotBegun) and not right else "begun"
    return "done"


def check(name: str, folder: Path) -> int:
    """Print what is right, and what is wrong first."""
    print(f"{name}    chapter: docs/walkthrough/{CHAPTERS[name]}.md\n")
    try:
        for step in steps(name, folder):
            print(f"  right   {step}")
    except NotBegun as wrong:
        print(f"  open    {wrong}")
        return 1
    except Wrong as wrong:
        print(f"  wrong   {wrong.step}".rstrip(), end="\n\n")
        print(indent("\n".join(fill(line, WIDTH) for line in str(wrong).splitlines()), " " * 4))
        return 1
    print("\nAll is right. A worked solution to compare with: " + shown(file_of(name, HERE / "solutions")))
    return 0


def show_all(folder: Path) -> int:
    """Print the state of each exercise, and how many are done."""
    states = {name: state(name, folder) for name in CHAPTERS}
    for number, (name, found) in enumerate(states.items(), 1):
        print(f"{number}  {name:22}{found:7}docs/walkthrough/{CHAPTERS[name]}.md")
    left = [name for name, found in states.items() if found != "done"]
    print(f"\n{len(states) - len(left)} of {len(states)} done.", end=" ")
    print(f"Next: {shown(file_of(left[0], folder))}, then python -m exercises {left[0]}" if left else "That is all.")
    return 0


def shown(path: Path) -> str:
    return path.relative_to(HERE.parent).as_posix() if path.is_relative_to(HERE.parent) else str(path)


if __name__ == "__main__":
    outlive_readers()
    sys.exit(main())
