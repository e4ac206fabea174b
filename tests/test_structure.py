"""The house: imports have no circle and point downwards only, and no file imports a command."""

import ast
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# From the ground floor up; a file imports its own floor and those below.
FLOORS = [
    {"errors", "sizes", "randomness", "files", "version"},
    {"cpu", "gpu"},
    {"device"},
    {"autograd"},
    {"ops"},
    {"nn", "optim", "gradients", "metrics"},
    {"models"},
    {"datasets"},
    {"weights"},
    {"figures", "gallery", "cases"},
    {"command", "ranks"},
    {"training"},
]
COMMANDS = {path.stem for path in (ROOT / "minifcn").glob("*.py")} - set().union(*FLOORS) - {"__init__"}


def module_name(path: Path, root: Path) -> str:
    """minifcn/cpu/conv.py -> minifcn.cpu.conv; minifcn/cpu/__init__.py -> minifcn.cpu."""
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(root: Path = ROOT) -> dict[str, set[str]]:
    """The modules of the package that each of its modules imports, also inside functions."""
    files = {module_name(path, root): path for path in sorted((root / "minifcn").rglob("*.py"))}
    found: dict[str, set[str]] = {}
    for name, path in files.items():
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        targets = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                targets |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
                source = ".".join([*above, *([node.module] if node.module else [])])
                parts = {f"{source}.{alias.name}" for alias in node.names} & files.keys()
                targets |= parts or {source}
        found[name] = (targets & files.keys()) - {name}
    return found


def room(module: str) -> str:
    """minifcn.cpu.conv -> cpu."""
    return [*module.split("."), "__init__"][1]


def floor(module: str) -> int:
    """The number of the floor that a module is on; commands and the package's own __init__ are above all others."""
    return next((i for i, rooms in enumerate(FLOORS) if room(module) in rooms), len(FLOORS))


def upward(arrows: dict[str, set[str]]) -> list[str]:
    return [f"{a} -> {b}" for a, targets in arrows.items() for b in sorted(targets) if floor(b) > floor(a)]


def imported_commands(arrows: dict[str, set[str]]) -> list[str]:
    return [f"{a} -> {b}" for a, targets in arrows.items() for b in sorted(targets) if room(b) in COMMANDS]


def test_no_circle():
    try:
        TopologicalSorter(imports()).prepare()
    except CycleError as error:
        pytest.fail(f"imports in a circle: {' -> '.join(error.args[1])}")


def test_no_upward_arrow():
    assert not upward(imports())


def test_no_file_imports_a_command():
    assert {"train", "predict", "gpu_selftest"} <= COMMANDS
    assert not imported_commands(imports())


def test_cpu_and_gpu_do_not_know_each_other():
    arrows = imports()
    for one, other in (("cpu", "gpu"), ("gpu", "cpu")):
        assert not [a for a in arrows if room(a) == one for b in arrows[a] if room(b) == other]


def test_the_package_does_not_need_the_experiments():
    for path in (ROOT / "minifcn").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            assert not [name for name in names if name.startswith(("experiments", "tests"))], path


def test_planted_arrows_are_seen(tmp_path):
    """An upward arrow, one inside a function, a circle, and the import of a command are all found."""
    for name, text in {
        "minifcn/__init__.py": "",
        "minifcn/errors.py": "",
        "minifcn/train.py": "",
        "minifcn/autograd.py": "def f():\n    from .ops import conv\n",
        "minifcn/ops/__init__.py": "",
        "minifcn/ops/conv.py": "from ..autograd import f\nfrom .. import train\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    arrows = imports(tmp_path)
    assert upward(arrows) == ["minifcn.autograd -> minifcn.ops.conv", "minifcn.ops.conv -> minifcn.train"]
    assert imported_commands(arrows) == ["minifcn.ops.conv -> minifcn.train"]
    with pytest.raises(CycleError):
        TopologicalSorter(arrows).prepare()


def test_import_minifcn_leaves_bars_and_plots_alone():
    """They bring megabytes of modules, which a program that uses the API may never need."""
    code = "import minifcn, sys; print(sorted({'tqdm', 'matplotlib', 'cupy'} & {*sys.modules}))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
