"""conv.py's three functions with every way of cutting the work, against one product a kernel tap."""

import numpy as np
import pytest
from helpers import by_taps

from minifcn.cpu import conv, im2col

# N, H, W, C, K, KH, KW, stride, padding
SHAPES = [
    (2, 9, 8, 5, 6, 7, 7, (1, 1), (0, 0)),
    (1, 7, 11, 9, 4, 7, 5, (1, 1), (3, 2)),
    (3, 10, 9, 3, 130, 3, 2, (2, 1), (1, 1)),
    (2, 6, 5, 8, 260, 1, 1, (1, 1), (0, 0)),
    (2, 5, 4, 10, 3, 4, 4, (2, 2), (1, 0)),
    (1, 8, 9, 9, 7, 1, 3, (1, 2), (2, 3)),
    (1, 6, 7, 4, 5, 3, 2, (1, 1), (3, 4)),  # outputs that see nothing but padding
]
# LARGE, PIXELS, WORKSPACE, TINY: as they are; small w with tiny strips; every w large, one strip or many; no planes
CUTS = [{}, {"WORKSPACE": 30}, {"LARGE": 1}, {"LARGE": 1, "PIXELS": 1}, {"TINY": 0}, {"TINY": 100, "WORKSPACE": 30}]


@pytest.mark.parametrize("cut", CUTS, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_against_taps(shape, cut, monkeypatch):
    for name, value in cut.items():
        for module in (conv, im2col):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, value)
    N, H, W, C, K, KH, KW, stride, padding = shape
    draw = np.random.default_rng(0).standard_normal
    OH, OW = ((s + 2 * p - k) // t + 1 for s, p, k, t in zip((H, W), padding, (KH, KW), stride, strict=True))
    x, w, b, dy, c = (draw(size) for size in ((N, H, W, C), (KH, KW, C, K), (K,), (N, OH, OW, K), (C,)))
    y, dx, dw = by_taps(x, w, dy, stride, padding)
    close = {"rtol": 1e-10, "atol": 1e-10}
    np.testing.assert_allclose(conv.conv_forward(x, w, b, stride, padding, relu=True), np.maximum(y + b, 0), **close)
    np.testing.assert_allclose(conv.conv_input_grad(dy, w, x.shape, stride, padding), dx, **close)
    np.testing.assert_allclose(conv.conv_input_grad(dy, w, x.shape, stride, padding, c), dx + c, **close)
    out = np.full(w.shape, np.nan)
    assert conv.conv_weight_grad(x, dy, w.shape, stride, padding, out=out) is out
    np.testing.assert_allclose(out, dw, **close)
    parts, slabs = [], np.full(w.shape, np.nan)

    def keep(part, slab):
        parts.append(part)
        slabs[part] = slab

    assert conv.conv_weight_grad(x, dy, w.shape, stride, padding, emit=keep) is None
    assert parts == (list(range(KH)) if "LARGE" in cut else [...])
    assert np.array_equal(slabs, out)
