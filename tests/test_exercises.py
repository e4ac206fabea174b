"""The exercises: every solution is right, every stub is open, and what an answer can do wrong is said in one way."""

import re
import shutil
import subprocess
import sys
from textwrap import indent

import numpy as np
import pytest
from exercise_slips import WRONG

from exercises.__main__ import CHAPTERS, HERE, check, file_of, main, state, steps
from exercises.checking import Case, Part, Wrong, gradients, load, values

NAMES = [
    pytest.param(name, marks=pytest.mark.skipif(name == "kernel" and shutil.which("g++") is None, reason="needs g++"))
    for name in CHAPTERS
]


def answer(tmp_path, text, name="double"):
    """A student's file, loaded."""
    file = tmp_path / f"{name}.py"
    file.write_text(text)
    return load(file)


DOUBLE = Part(
    function="double",
    results=("y",),
    truth=lambda x: 2 * x,
    cases=(Case("by hand", {"x": np.array([1.0, 2])}, (np.array([2.0, 4]),)), Case("more", {"x": np.ones((9, 9))})),
    slips={"That is the square.": lambda x: x * x, "That is the square of a sum.": lambda x: (x + 0 * x) ** 2},
)


def said_of(tmp_path, text) -> str:
    with pytest.raises(Wrong) as caught:
        list(values(answer(tmp_path, text), DOUBLE))
    return str(caught.value)


@pytest.mark.parametrize("name", NAMES)
def test_solution_is_right(name):
    right = list(steps(name, HERE / "solutions"))
    assert len(right) >= 6
    has_gradient = name in ("conv_dx", "pool_backward", "softmax_cross_entropy", "bilinear_upsampling")
    assert ("gradient check" in right[-1]) == has_gradient


@pytest.mark.parametrize("name", NAMES)
def test_stub_is_open(name, capsys):
    assert state(name, HERE) == "open"
    assert check(name, HERE) == 1
    assert "yours to write" in capsys.readouterr().out


@pytest.mark.parametrize("name", NAMES)
def test_solution_has_the_stub_s_functions(name):
    """The same names, parameters and shapes, so that they can be read side by side."""
    heads = re.compile(r'^(?:def .*:|extern.*\)|    """.*"""|// NumPy.*|// Launch.*)$', re.MULTILINE)
    stub, solution = (heads.findall(file_of(name, folder).read_text()) for folder in (HERE, HERE / "solutions"))
    assert stub == solution


@pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")
def test_list_counts_what_is_done(tmp_path, monkeypatch, capsys):
    for name in CHAPTERS:
        folder = HERE / "solutions" if name in ("conv_forward", "kernel") else HERE
        shutil.copy(file_of(name, folder), tmp_path)
    begun = tmp_path / "bilinear_upsampling.py"  # one of its three functions
    text = begun.read_text()
    begun.write_text(text.replace("raise NotImplementedError", "return 1 - abs(np.arange(2 * s) - (s - 0.5)) / s", 1))
    monkeypatch.setattr("exercises.__main__.HERE", tmp_path)
    assert main([]) == 0
    out = capsys.readouterr().out
    assert re.findall(r"^\d  \w+ +(\w+)", out, re.MULTILINE) == "done open open open begun open open done".split()
    assert "\n2 of 8 done. Next: " in out and out.endswith("then python -m exercises conv_dx\n")


def test_without_a_compiler(monkeypatch, capsys):
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert check("kernel", HERE / "solutions") == 1
    assert "which needs g++" in capsys.readouterr().out
    assert state("kernel", HERE) == "open"


def test_command_line():
    """From a checkout; 0 where all is right, 1 where not, 2 for a name that is none."""
    for arguments, status in ((["sgd_momentum", "--solutions"], 0), (["sgd_momentum"], 1), (["sgd"], 2)):
        done = subprocess.run([sys.executable, "-m", "exercises", *arguments], cwd=HERE.parent, capture_output=True)
        assert done.returncode == status


def test_files_that_are_missing_or_do_not_run(tmp_path, capsys):
    assert check("conv_dx", tmp_path) == 1
    assert "conv_dx.py is not there" in " ".join(capsys.readouterr().out.split())
    for text, said in {
        "def conv_dx(dy, w, x_shape, stride, padding)\n": "Python cannot read conv_dx.py, line 1: expected ':'.",
        "import numpy as np\nx = nq.zeros(3)\n": "Your code stops in conv_dx.py, line 2: x = nq.zeros(3)",
        "def conv(dy): pass\n": "conv_dx.py has no function conv_dx.",
        "def conv_dx(dy, w):\n    return dy\n": "Keep the parameters' names. The check calls conv_dx(w=..., ",
    }.items():
        (tmp_path / "conv_dx.py").write_text(text)
        assert check("conv_dx", tmp_path) == 1
        assert said in capsys.readouterr().out


@pytest.mark.parametrize(
    "body, said",
    {
        "y = 2 * x": "double returns None. Is there no `return` at its end?",
        "return [2, 4]": "y is of type list, expected an array of shape (2,).",
        "return x, x": "double returns 2 things, expected 1: y.",
        "return 2 * x[1:]": "y has shape (1,), expected (2,).",
        "return (2 * x).astype('float32')": "y is an array of float32, expected float64, as the input is.",
        "x *= 2; return x": "double has changed its argument x. Work on a copy (x.copy()): it is not yours.",
        "return 2 * x + [0, 1]": "y expected\n    [2. 4.]\nbut yours is\n    [2. 5.]",
        "return x / x - 1 if x[0] > 5 else x * np.nan": "NameError: name 'np' is not defined",
        "return x * float('nan')": "but yours is\n    [nan nan]",
        "return x * x": "That is the square.",
        "return x @ x.T[:1]": "ValueError: matmul",
        "return x[int(2.5)]": "IndexError: index 2 is out of bounds",
    }.items(),
)
def test_what_is_said_of_an_answer(body, said, tmp_path):
    message = said_of(tmp_path, f"def double(x):\n    {body}\n")
    assert said in message
    if "Error" in said:
        assert f"double.py, line 2: {body}" in message
    assert message.startswith("Given\nx (2,)\n    [1. 2.]\n\n") or "changed" in said


def test_large_arrays_are_told_by_the_first_place(tmp_path):
    text = "def double(x):\n    y = 2 * x\n    if y.ndim > 1:\n        y[3, 4:] = 7\n    return y\n"
    message = said_of(tmp_path, text)
    assert (
        "Given x (9, 9)\n\ny[3, 4] expected 2, but yours is 7; 5 of 81 numbers differ\n\nNone of the usual" in message
    )


def test_a_slip_must_explain_the_case_that_fails(tmp_path):
    """2 x is x^2 at 2: a slip that only agrees where the answer is right says nothing."""
    assert "square" not in said_of(tmp_path, "def double(x):\n    return x + 1.5\n")
    near = "def double(x):\n    return x * x if x.size > 2 else x + 1.5\n"  # the slip of another case
    assert "square" not in said_of(tmp_path, near)


def test_gradient_check_finds_what_values_did_not():
    x = np.array([1.0, -2, 3])
    assert "worst error" in gradients(lambda x: x**3, lambda x, dy: 3 * x**2 * dy, [x])
    with pytest.raises(Wrong, match=r"your gradient: input 0, index \(1,\).*analytic -12, numeric 12"):
        gradients(lambda x: x**3, lambda x, dy: 3 * x * abs(x) * dy, [x])


def test_nothing_of_it_is_in_the_package():
    assert "exercises" not in re.search(r"packages = \[(.*?)\]", (HERE.parent / "pyproject.toml").read_text(), re.S)[1]
    for file in (HERE.parent / "minifcn").rglob("*.py"):
        assert "exercises" not in file.read_text(encoding="utf-8")


def test_the_readme_shows_what_is_printed(tmp_path, capsys):
    changes = WRONG["conv_dx"]["the later one replaces"]
    text = file_of("conv_dx", HERE / "solutions").read_text(encoding="utf-8").replace(*changes[0])
    file_of("conv_dx", tmp_path).write_text(text, encoding="utf-8")
    check("conv_dx", tmp_path)
    shown = (HERE / "README.md").read_text(encoding="utf-8").split("    $ python -m exercises conv_dx\n")[1]
    assert indent(capsys.readouterr().out, " " * 4) + "\n" == shown[: shown.index("The last sentence")]


def test_the_readme_names_every_exercise():
    text = (HERE / "README.md").read_text(encoding="utf-8")
    for name, chapter in CHAPTERS.items():
        line = rf"^\d\. `python -m exercises {name}`,[^`]*walkthrough/{chapter}\.md\)"
        assert re.search(line, text, re.MULTILINE), name
        assert f"](solutions/{file_of(name, HERE).name})" in text
