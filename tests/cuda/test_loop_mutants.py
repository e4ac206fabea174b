"""The test of the self-test's shapes: wherever a loop of a kernel takes a wrong step, gpu_selftest must notice.

Each `for` of each kernels/*.cu is found in the source, so that a new loop is planted too: a stride one too long, every
second turn of a count left out, every second halving. A loop whose cases end within one turn would hide that.
"""

import re

import emulator
import pytest
from small_data import exit_status

from minifcn import cases, gpu, gpu_selftest
from minifcn.gpu import signatures
from minifcn.gpu.signatures import kernels

LOOP = re.compile(r"(?P<head>for \([^;\n]*; [^;\n]*; )(?P<step>[^;\n]*?)\)(?=\s)")
WRONG = {"++": " += 2", "+=": " + 1", "/=": " * 2"}  # step /= 2 becomes step /= 2 * 2


def mutants() -> dict[str, tuple[str, str]]:
    """Each loop with a wrong step: what it says -> the file's name and its planted source."""
    planted = {}
    for file in sorted(signatures.folder().glob("*.cu")):
        source = file.read_text(encoding="utf-8")
        for i, loop in enumerate(LOOP.finditer(source)):
            step = loop["step"]
            wrong = step.replace("++", WRONG["++"]) if "++" in step else step + WRONG[step.split()[1]]
            at = loop.start("step"), loop.end("step")
            planted[f"{file.name} {i}: {step}"] = file.name, source[: at[0]] + wrong + source[at[1] :]
    return planted


MUTANTS = mutants()


@pytest.fixture
def plant(tmp_path, monkeypatch):
    """A function that puts a source in a kernel file's place."""

    def plant(name, source):
        for file in signatures.folder().glob("*.cu"):
            (tmp_path / file.name).write_bytes(file.read_bytes())
        (tmp_path / name).write_text(source, encoding="utf-8")
        monkeypatch.setattr(signatures, "folder", lambda: tmp_path)
        kernels.cache_clear()

    yield plant
    monkeypatch.undo()
    kernels.cache_clear()


@pytest.fixture(scope="module")
def built(standin):
    """All mutants, compiled side by side."""
    emulator.prebuild([(source, "kernel.cu", {"REAL": "float"}) for _, source in MUTANTS.values()])
    return standin


@pytest.fixture(scope="module")
def users(built):
    """The self-test's comparisons in float32 that launch a kernel of each file; all of them pass as the kernels are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gpu.cuda, "xp", None)
        gpu.cuda.use(built.CuPy())
        found = {}
        for check in gpu_selftest.comparisons(["float32"]):
            start = len(gpu.cuda.xp.launches)
            assert cases.run("", [check]) == 0
            for file in {kernels()[name].file.name for name, *_ in gpu.cuda.xp.launches[start:]}:
                found.setdefault(file, []).append(check)
    return found


def test_every_loop_is_found():
    sources = [re.sub(r"//.*", "", file.read_text(encoding="utf-8")) for file in signatures.folder().glob("*.cu")]
    assert len(MUTANTS) == sum(len(re.findall(r"\bfor\b", source)) for source in sources) > 30
    assert not any(re.search(r"\bwhile\b", source) for source in sources)


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_wrong_step_is_noticed(mutant, users, plant, monkeypatch, built):
    name, source = MUTANTS[mutant]
    plant(name, source)
    monkeypatch.setattr(gpu.cuda, "xp", None)
    gpu.cuda.use(built.CuPy())
    assert any(cases.run("", [check]) for check in users[name])


def test_the_command_fails_where_wide_loads_take_a_wrong_step(plant, built, monkeypatch, capsys):
    """The whole of gpu_selftest --emulate but for gradients and training: exit status 1."""
    name, source = MUTANTS["im2col.cu 1: e += blockDim.x"]
    plant(name, source)
    monkeypatch.setattr(gpu.cuda, "xp", None)
    monkeypatch.setattr(cases, "gradient_checks", lambda *_, **__: [])
    monkeypatch.setattr(gpu_selftest, "training", lambda *_: [])
    whole = gpu_selftest.comparisons
    monkeypatch.setattr(gpu_selftest, "comparisons", lambda: [c for c in whole(["float32"]) if "x132" in c[0]])
    assert exit_status(gpu_selftest.main, "--emulate") == 1
    out = capsys.readouterr().out
    assert "CHECKS FAILED" in out and "last launch: im2col, grid" in out
