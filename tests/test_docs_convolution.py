"""The chapter on the convolution and its pictures show the same numbers."""

from pathlib import Path

import numpy as np

from docs.pages import BLOCK
from docs.pictures import convolution

TEXT = (Path(__file__).resolve().parents[1] / "docs/walkthrough/convolution.md").read_text(encoding="utf-8")


def test_the_pictures_have_the_pages_numbers():
    lines = [line for block in BLOCK.finditer(TEXT) for line in block["code"].splitlines()]
    page = {"np": np}
    for name in ("x4", "w3", "dy2"):
        (line,) = [line for line in lines if line.startswith(f"{name} = ")]
        exec(line, page)
    assert np.array_equal(page["x4"], convolution.X4)
    assert np.array_equal(page["w3"], convolution.W3)
    assert np.array_equal(page["dy2"], convolution.DY2)


def test_no_number_of_the_example_hides_a_mistake():
    """Turned, transposed or with rows exchanged, the kernel is another; no weight and no dy is zero."""
    w, dy = convolution.W3, convolution.DY2
    others = [w[::-1, ::-1], w.T, w[::-1], w[:, ::-1], w[::-1, ::-1].T]
    assert w.all() and dy.all() and len({number for number in dy.ravel()}) == 4
    results = [convolution.conv(convolution.X4, other).tobytes() for other in [w, *others]]
    assert len(set(results)) == len(results)
