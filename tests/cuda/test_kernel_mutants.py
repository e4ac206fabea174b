"""The test of the kernels' tests: each bug of kernel_mutants.py, planted in the real source, must be noticed by a case.

And noticed for what it is, a race as a race. All cases of the kernels in that file are tried until one fails.
"""

import contextlib
import re
import shutil
from pathlib import Path

import emulator
import numpy as np
import pytest
from emulator import KernelError
from kernel_cases import CASES
from kernel_mutants import MUTANTS
from kernel_run import REALS, run

from minifcn.gpu.signatures import folder, kernels

pytestmark = pytest.mark.skipif(shutil.which("g++") is None, reason="the emulator needs g++")

FLOAT = np.dtype(np.float32)
ORDERS = [("forward", 0), ("random", 1)]  # lanes that are not there give NaN in the first and infinity in the second
PLACE = re.compile(r"^\w+: block \(\d+,\d+,\d+\) thread \(\d+,\d+,\d+\): ")


def build(mutant):
    source = (folder() / mutant.file).read_text(encoding="utf-8")
    return mutant.plant(source), mutant.file, {"REAL": REALS[FLOAT]}


@pytest.fixture(scope="module", autouse=True)
def built():
    """All mutants, compiled side by side. One that can not be planted or compiled fails in its own test."""
    planted = []
    for mutant in MUTANTS:
        with contextlib.suppress(AssertionError):
            planted.append(build(mutant))
    with contextlib.suppress(KernelError):
        emulator.prebuild(planted)


def failure(compiled, file):
    """The message of the first case of a file's kernels that fails, without its place; None if all pass."""
    for case in (case for case in CASES if kernels()[case.kernel].file.name == file):
        for order in ORDERS:
            try:
                run(compiled, case, FLOAT, *order)
            except (KernelError, AssertionError) as error:
                return PLACE.sub("", str(error))
    return None


@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_bug_is_noticed(mutant):
    message = failure(emulator.Module(*build(mutant)), mutant.file)
    assert message is not None, f"{mutant}: every case passes"
    assert message.startswith(mutant.caught), f"{mutant}: expected {mutant.caught!r}, noticed as {message!r}"


@pytest.mark.parametrize("file", sorted({kernel.file for kernel in kernels().values()}), ids=lambda file: file.name)
def test_passes_without_a_bug(file):
    assert (
        failure(emulator.Module(file.read_text(encoding="utf-8"), file.name, {"REAL": REALS[FLOAT]}), file.name) is None
    )


def test_there_are_enough():
    names = {str(mutant) for mutant in MUTANTS}
    assert len(names) == len(MUTANTS) >= 100
    assert {mutant.file for mutant in MUTANTS} == {kernel.file.name for kernel in kernels().values()}
    sources = {build(mutant)[0] for mutant in MUTANTS}
    assert len(sources) == len(MUTANTS), "two of them are the same"


@pytest.mark.parametrize("page", ["README.md", "docs/gpu.md"])
def test_pages_tell_their_number(page):
    root = Path(__file__).resolve().parents[2]
    told = re.search(r"(\d+) (?:planted )?bugs", " ".join((root / page).read_text(encoding="utf-8").split()))
    assert told is None or int(told[1]) == len(MUTANTS), page
    assert told, f"{page} does not tell how many"
