"""dropout: loops, gradients, the mask's randomness, and what it refuses."""

import numpy as np
import pytest
from battery import CHECKS, cases
from helpers import tensor

import minifcn as mf
from minifcn import cpu, device


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("case", cases("dropout"), ids=str)
def test_dropout(case, check, loops):
    check(case, loops)


def dropped(x, p, rng, loops=cpu):
    """What dropout makes of a host array, back on the host."""
    return device.asnumpy(mf.dropout(loops.asarray(x), p, rng).data)


def test_scale_and_share(loops):
    y = dropped(np.ones((50, 200)), 0.3, np.random.default_rng(0), loops)
    np.testing.assert_allclose(np.unique(y), [0, 1 / 0.7], rtol=1e-15)
    assert abs((y == 0).mean() - 0.3) < 4 * (0.3 * 0.7 / y.size) ** 0.5
    assert abs(y.mean() - 1) < 4 * (0.3 / 0.7 / y.size) ** 0.5


def test_mask_is_the_same_in_float32_and_float64(loops):
    masks = [dropped(np.ones((7, 9), dtype), 0.5, np.random.default_rng(3), loops) == 0 for dtype in ("f4", "f8")]
    assert np.array_equal(*masks)


def test_mask_is_the_same_on_every_device(loops):
    x = np.random.default_rng(4).standard_normal((2, 7, 9, 3))
    here, there = np.random.default_rng(3), np.random.default_rng(3)
    for _ in range(2):  # and leaves the generator where it leaves it on the CPU
        assert np.array_equal(dropped(x, 0.5, there, loops), dropped(x, 0.5, here))


def test_the_generator_moves_on(loops):
    rng = np.random.default_rng(3)
    first, second = (dropped(np.ones((7, 9)), 0.5, rng, loops) for _ in range(2))
    assert not np.array_equal(first, second)


def test_two_halves_of_a_batch_share_the_draw(loops):
    whole = dropped(np.ones((4, 3, 5, 3)), 0.5, np.random.default_rng(3), loops)
    rng = np.random.default_rng(3)
    halves = [dropped(np.ones((2, 3, 5, 3)), 0.5, rng, loops) for _ in range(2)]
    assert np.array_equal(whole, np.concatenate(halves))


def test_p_zero_changes_nothing(loops):
    x, rng = tensor(loops, np.ones(5)), np.random.default_rng(0)
    assert mf.dropout(x, 0, rng) is x
    assert rng.random() == np.random.default_rng(0).random()


@pytest.mark.parametrize(
    "p, error, match",
    [
        (1, ValueError, r"dropout: p: expected a number in \[0, 1\), received 1"),
        (-0.1, ValueError, r"dropout: p: expected a number in \[0, 1\), received -0.1"),
        (float("nan"), ValueError, r"dropout: p: expected a number in \[0, 1\), received nan"),
        ("0.5", TypeError, "dropout: p: expected a number, received str"),
    ],
)
def test_refuses(p, error, match):
    with pytest.raises(error, match=match):
        mf.dropout(np.ones(3), p, np.random.default_rng(0))


@pytest.mark.parametrize("rng", [0, None])
@pytest.mark.parametrize("p", [0, 0.5])
def test_refuses_what_is_no_generator(p, rng):
    with pytest.raises(TypeError, match=f"dropout: rng: expected a numpy.random.Generator, received {rng}"):
        mf.dropout(np.ones(3), p, rng)
