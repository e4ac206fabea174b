"""The counter of lines sees code and nothing else, and what is too long."""

from pathlib import Path

from experiments import count_lines

SOURCE = '''"""Two lines
of words."""

import os  # counted


def f(a):
    """One line."""
    # a comment
    return """a string
    that counts"""
'''


def test_code_is_counted_and_words_are_not():
    assert count_lines.code_lines(SOURCE) == 4
    assert count_lines.kernel_lines("// words\n\nint a; // code\n    }\n") == 2


def test_long_files_and_functions_are_told():
    path = count_lines.ROOT / "minifcn" / "made_up.py"
    body = "def f():\n" + "    pass\n" * 40
    assert count_lines.too_long(path, body) == [f"{Path('minifcn/made_up.py')}: f has 41 lines"]
    assert count_lines.too_long(path, "def f():\n" + "    pass\n" * 39) == []
    assert count_lines.too_long(path, "x = 1\n" * 301) == [f"{Path('minifcn/made_up.py')}: 301 lines"]


def test_every_file_has_its_part():
    root = count_lines.ROOT
    parts = {
        "minifcn/cpu/conv.py": "cpu",
        "minifcn/optim.py": "ground floor, nn, optim, checks",
        "kernels/sgd.cu": "kernels",
    }
    parts |= {"minifcn/datasets/toytown/scene.py": "drawing toytown", "minifcn/train.py": "commands, figures"}
    assert {name: count_lines.part_of(root / name) for name in parts} == parts
