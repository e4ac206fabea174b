"""The README keeps to its length and order, and names commands that exist."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
ORDER = [
    "Two commands",
    "Before any training",
    "Your own pictures",
    "Weights",
    "How fast",
    "Read the code",
    "The lab report, answered",
    "On a GPU",
    "Limits",
]


def test_it_is_short_and_in_order():
    assert len(TEXT.splitlines()) <= 110
    assert re.findall("^## (.+)$", TEXT, re.MULTILINE) == ORDER


def test_its_commands_exist():
    commands = set(re.findall(r"-m minifcn\.(\w+)", TEXT))
    assert {"train", "predict", "check_data", "evaluate"} <= commands
    missing = [name for name in commands if not (ROOT / "minifcn" / f"{name}.py").exists()]
    targets = set(re.findall(r"(?:^    |`)make (\w+)", TEXT, re.MULTILINE))
    known = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert not missing and {"train", "test", "table1"} <= targets <= set(known)
