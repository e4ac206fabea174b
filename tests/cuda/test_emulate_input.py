"""python -m minifcn.emulate: bad input, each told in one line."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from emulate_helpers import COMPARED, LAUNCH, SOFTMAX, folder, wrong  # noqa: F401
from emulator_helpers import needs_compiler
from kernel_values import Parameter, number
from small_data import assert_one_error_line, exit_status, fails

from minifcn import command, emulate
from minifcn.errors import InputError

pytestmark = [needs_compiler, pytest.mark.usefixtures("folder")]


BAD = {  # what the command line has after my.cu -> what the error says
    "--grid 0 --block 64 P=7 L=40 scores=P,L p=P,L": "invalid launch, grid (0, 1, 1)",
    "--grid 1 --block 64,64 P=7 L=40 scores=P,L p=P,L": "more than 1024 threads",
    "--grid 16777216 --block 64 P=7 L=40 scores=P,L p=P,L": "--block 64: 1,073,741,824 threads, at most",
    "--grid 9,65535,65535 --block 1,1,2 P=7 L=40 scores=P,L p=P,L": "--block 1,1,2: 77,307,052,050 threads, at most",
    "--grid 1 --block 64x2 P=7 L=40 scores=P,L p=P,L": "--block: expected 1 to 3 whole numbers such as 32,8, received",
    "--grid 1 --block 64 --kernel other P=7 L=40 scores=P,L p=P,L": "has no kernel other, but softmax",
    "--grid 1 --block 64 P=7 L=40 scores=P,L": "no value for p; the kernel takes const float* scores, float* p",
    "--grid 1 --block 64 P=7 L=40 scores=P,L p=P,L q=3": "q=3: the kernel has no q, but const float* scores",
    "--grid 1 --block 64 P=7 L=40 scores=P,L p=P,L P=8": "P: given twice, 7 and 8",
    "--grid 1 --block 64 P=7 L=40 scores=P,L p=P,L 8": "8: expected NAME=VALUE",
    "--grid 1 --block 64 P=7.5 L=40 scores=P,L p=P,L": "P: expected a whole number that fits int, received 7.5",
    "--grid 1 --block 64 P=3000000000 L=40 scores=P,L p=P,L": "P: expected a whole number that fits int",
    "--grid 1 --block 64 P=7 L=40 scores=P,K p=P,L": "K is no size, and none of the kernel's numbers (P, L)",
    "--grid 1 --block 64 P=-7 L=40 scores=P,L p=7,L": "scores=P,L: expected sizes of 0 or more; P is -7, which is",
    "--grid 1 --block 64 P=7 L=40 scores=7,-40 p=7,L": "scores=7,-40: expected sizes of 0 or more; -40 is negative",
    "--grid 1 --block 64 P=7 L=40 scores= p=7,L": "is no size",
    "--grid 1 --block 64 P=7 L=40 scores=ones:P,L p=7,L": "scores: expected an array: 100,21 or random:100,21 or zeros",
    "--grid 1 --block 64 P=7 L=40 scores=9..0:P,L p=7,L": "scores: expected an array: 100,21",
    "--grid 1 --block 64 P=7 L=40 scores=99999,99999 p=7,L": "at most 268,435,456 numbers",
    "--grid 1 --block 64 P=7 L=40 scores=none.npy p=7,L": "none.npy: No such file",
    "--grid 1 --block 64 P=7 L=40 scores=text.npy p=7,L": "text.npy: is no array",
    "--grid 1 --block 64 P=7 L=40 scores=P,L p=P,L --numpy none.py": "none.py: No such file",
    "--grid 1 --block 64 P=7 L=40 scores=P,L p=P,L --numpy text.npy": "text.npy: SyntaxError",
    "--grid 1 --block 64 P=7 L=40 scores=P,L p=P,L --shared -1": "shared memory below 0",
}


@pytest.mark.parametrize("argv", BAD)
def test_bad_input_is_one_line(argv, capsys):
    Path("my.cu").write_text(SOFTMAX)
    Path("text.npy").write_text("no array")
    assert BAD[argv] in fails(capsys, emulate.main, "my.cu", *argv.split(" "))


def test_numbers_beyond_the_range_of_a_float():
    wide, s = (Parameter("s", t, np.dtype(t)) for t in ("double", "float32"))
    assert (number(s, "3.4028235e38"), number(s, "-INF"), number(wide, "1e99")) == (np.finfo("f4").max, -np.inf, 1e99)
    for p, text in ((s, "1e99"), (s, "-3.5e38"), (wide, "1e999"), (s, "one")):
        with pytest.raises(InputError, match=f"^s: expected a number that fits {p.type}, received {text}$"):
            number(p, text)


@pytest.mark.parametrize("parameter", ["const bool b", "size_t n", "short b[]", "volatile float* v", "Pair p"])
def test_a_parameter_of_another_type(parameter, capsys):
    source = f'struct Pair {{ int a, b; }};\nextern "C" __global__ void k(float* x, // flag\n {parameter}) {{}}'
    line = wrong(capsys, source, *"--grid 1 --block 1 x=1".split())
    assert line.startswith(f"k: the parameter {parameter} is none of float, double, int, unsigned int, long long, ")
    assert line.endswith("unsigned char, nor a pointer to one, const or not")


FUNCTIONS = {
    "def other(scores): return scores": "my.py: has no function softmax()",
    "softmax = 3": "my.py: has no function softmax()",
    "def softmax(p): return p": "softmax() asks for p; it may ask for scores, P, L",
    "def softmax(scores): return scores[0]": "wrong p: expected numbers of shape (7, 40), received float32 of shape",
    "def softmax(scores): return None": "wrong p: expected numbers of shape (7, 40), received object of shape ()",
    "def softmax(scores): return scores, scores": "softmax() returned 2 arrays; the kernel writes p",
    "def softmax(scores): return scores[99]": "my.py: softmax() raised IndexError",
    "softmax = max": "my.py: softmax does not tell its parameters; expected def softmax(...)",
    "word = 'd\xe9j\xe0'": "my.py: SyntaxError: (unicode error) 'utf-8' codec can't decode byte 0xe9",
    "# coding: latin-1\nd\xe9j\xe0 = 1 / 0": "my.py: ZeroDivisionError",
    "1 / 0": "my.py: ZeroDivisionError",
    "import sys; sys.exit(0)": "my.py: SystemExit: 0",
    "def softmax(scores): raise SystemExit(0)": "my.py: softmax() raised SystemExit: 0",
}


@pytest.mark.parametrize("text", FUNCTIONS)
def test_a_numpy_function_that_does_not_fit(text, capsys):
    Path("my.cu").write_text(SOFTMAX)
    Path("my.py").write_text(text, encoding="latin-1")
    assert FUNCTIONS[text] in fails(capsys, emulate.main, "my.cu", *COMPARED)


def test_no_file_no_checkout(capsys, monkeypatch, tmp_path):
    assert "none.cu: No such file" in fails(capsys, emulate.main, "none.cu", *LAUNCH)
    monkeypatch.setattr(command, "SOURCE", tmp_path)
    assert "it is part of a source checkout" in fails(capsys, emulate.main, "none.cu", *LAUNCH)


def test_no_compiler(tmp_path):
    Path("my.cu").write_text(SOFTMAX)
    bare = os.environ | {"PATH": "", "PYTHONPATH": str(command.SOURCE), "MINIFCN_EMULATOR_CACHE": str(tmp_path)}
    line = [sys.executable, "-m", "minifcn.emulate", "my.cu", *LAUNCH]
    done = subprocess.run(line, env=bare, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "needs the compiler g++" in assert_one_error_line(done.stderr)


def test_names_that_hide_things(capsys):
    """A file's name goes into C++ and into messages."""
    name = 'my "\\file\x1b.cu'
    Path(name).write_text(SOFTMAX.replace("total = 0", "totl = 0"))
    assert exit_status(emulate.main, name, *LAUNCH) == 1
    assert capsys.readouterr().out.startswith("WRONG: my___file_.cu:11: does not compile")
