"""Each slip that the exercises know has a wrong answer (exercise_slips.py), which gets the sentence that names it."""

import shutil
from importlib import import_module

import numpy as np
import pytest
from exercise_slips import WRONG

from exercises.__main__ import CHAPTERS, HERE, file_of, steps
from exercises.checking import Part, Wrong

CASES = [
    pytest.param(
        *(name, words, changes),
        marks=pytest.mark.skipif(name == "kernel" and shutil.which("g++") is None, reason="the emulator needs g++"),
        id=f"{name}: {words}",
    )
    for name, wrong in WRONG.items()
    for words, changes in wrong.items()
]


def sentences(name: str) -> list[str]:
    """All that the check of an exercise can say of a slip."""
    check = import_module(f"exercises.checks.{name}")
    if name == "kernel":
        return [*check.FAULTS.values(), *check.slips(np.ones((1, 2)), np.ones(2), 1.0)]
    return [sentence for part in vars(check).values() if isinstance(part, Part) for sentence in part.slips]


@pytest.mark.parametrize("name, words, changes", CASES)
def test_slip_gets_its_sentence(name, words, changes, tmp_path):
    text = file_of(name, HERE / "solutions").read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text, f"{old!r} is not in the solution"
        text = text.replace(old, new, 1)
    file_of(name, tmp_path).write_text(text, encoding="utf-8")
    with pytest.raises(Wrong) as caught:
        list(steps(name, tmp_path))
    assert words in str(caught.value)


@pytest.mark.parametrize("name", CHAPTERS)
def test_every_sentence_has_a_wrong_answer_that_gets_it(name):
    """One, told from all others by its words."""
    for words in WRONG[name]:
        assert sum(words in sentence for sentence in sentences(name)) == 1 or name == "kernel", words
    untold = [sentence for sentence in sentences(name) if not any(words in sentence for words in WRONG[name])]
    assert not untold
