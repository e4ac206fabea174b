"""The chapter on the engine: every step is a program of its own; the last one, of at most 80 lines, is minifcn's."""

import ast
import re
from pathlib import Path

import numpy as np
import pytest

from docs.pages import BLOCK, run_page
from minifcn import autograd

PAGE = "docs/walkthrough/engine.md"
TEXT = (Path(__file__).resolve().parents[1] / PAGE).read_text(encoding="utf-8")
STEPS = re.split(r"^(?=## Step \d)", TEXT, flags=re.MULTILINE)[1:]  # the last one goes on to the end of the page


@pytest.mark.parametrize("step", STEPS, ids=[step.splitlines()[0][3:9] for step in STEPS])
def test_each_step_runs_on_its_own(step):
    for line, printed, shown in run_page(step, PAGE):
        assert printed == shown, f"line {line} of the step: prints\n{printed}\nbut shows\n{shown}"


def engine() -> ast.Module:
    return ast.parse(BLOCK.search(STEPS[-1])["code"])


def test_there_are_four_steps_that_grow():
    lengths = [len(BLOCK.search(step)["code"].splitlines()) for step in STEPS]
    assert len(STEPS) == 4 and lengths[-1] == max(lengths)
    assert [BLOCK.search(step)["code"].splitlines()[0][:8] for step in STEPS] == [f"# step {i}" for i in range(1, 5)]


def test_the_engine_has_80_lines():
    lines = BLOCK.search(STEPS[-1])["code"].splitlines()
    code = [line for line in lines if line.strip() and not line.strip().startswith("#")]
    assert 70 <= len(code) <= 80, len(code)


def test_its_names_are_minifcns():
    """Whoever has read it finds the same names in autograd.py."""
    ours = {node.name: node for node in engine().body if hasattr(node, "name")}
    assert set(ours) == {"no_grad", "Tensor", "Function", "graph", "check_edge"}
    assert all(hasattr(autograd, name) or hasattr(autograd, f"_{name}") for name in ours)
    for name in ("Tensor", "Function"):
        theirs = getattr(autograd, name)
        methods = [node.name for node in ours[name].body if isinstance(node, ast.FunctionDef)]
        assert methods and all(method in vars(theirs) for method in methods)


def test_it_refuses_what_minifcn_refuses():
    namespace: dict = {}
    exec(compile(engine(), PAGE, "exec"), namespace)

    class Twice(namespace["Function"]):
        def forward(self, x):
            return 2 * x

        def backward(self, dy):
            return (2 * dy[:1],)

    x = namespace["Tensor"](np.ones(2), requires_grad=True)
    with pytest.raises(ValueError, match=r"Twice: gradient of input 0: expected shape \(2,\), received \(1,\)"):
        Twice()(x).backward(np.ones(2))
    with pytest.raises(ValueError, match=r"backward: grad: expected shape \(2,\), received \(3,\)"):
        Twice()(x).backward(np.ones(3))
    with pytest.raises(TypeError, match="expected float64, received float32"):
        Twice()(x).backward(np.ones(2, np.float32))
    with pytest.raises(TypeError, match="expected float32 or float64, received int64"):
        namespace["Tensor"](np.ones(2, np.int64))
    with pytest.raises(RuntimeError, match="nothing was recorded"):
        Twice()(np.ones(2)).backward()
