"""What the tests of the stand-in for CuPy share: an array, and tables of expressions that are evaluated."""

import numpy as np
import pytest

HOST = np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32)


def every_expression(table: str, name: str = "expression"):
    """Runs a test once for each expression of a table, between semicolons or line ends."""
    expressions = [expression.strip() for expression in table.replace("\n", ";").split(";")]
    return pytest.mark.parametrize(name, [expression for expression in expressions if expression])


def evaluate(expression, xp, **names):
    return eval(expression, {"np": np, "xp": xp, **names})
