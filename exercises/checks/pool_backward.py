"""Checks pool_backward by hand (with equal numbers), against mf.max_pool2d's backward, and by mf.gradcheck."""

import numpy as np

import minifcn as mf
from exercises.checking import Case, Part, answer, gradients, load, values


def truth(dy, x, k, stride):
    x = mf.Tensor(x, requires_grad=True)
    mf.max_pool2d(x, k, stride).backward(dy)
    return x.grad


# --- slips: each says how a window's dy is shared out ---


def shared(share, add=True):
    """A wrong pool_backward. share: a window's (k,k,C) -> the shares of its numbers, (k,k,C)."""

    def wrong(dy, x, k, stride):
        dx = np.zeros(x.shape)
        for n, oy, ox in np.ndindex(dy.shape[:3]):
            window = np.s_[n, oy * stride : oy * stride + k, ox * stride : ox * stride + k]
            part = share(x[window]) * dy[n, oy, ox]
            dx[window] = dx[window] + part if add else np.where(part != 0, part, dx[window])
        return dx

    return wrong


def one_winner(numbers):
    """One-hot at each channel's first largest number."""
    flat = numbers.reshape(-1, numbers.shape[2])
    return np.eye(len(flat))[flat.argmax(axis=0)].T.reshape(numbers.shape)


def last_winner(numbers):
    return one_winner(numbers[::-1, ::-1])[::-1, ::-1]


def columns_first(numbers):
    return one_winner(numbers.transpose(1, 0, 2)).transpose(1, 0, 2)


def all_winners(numbers):
    return (numbers == numbers.max(axis=(0, 1))).astype(float)


def fair_winners(numbers):
    return all_winners(numbers) / all_winners(numbers).sum(axis=(0, 1))


def smallest(numbers):
    return one_winner(-numbers)


def by_size(numbers):
    return one_winner(abs(numbers))


def over_channels(numbers):
    """The place where the largest of all channels lies, for every channel."""
    return np.ones_like(numbers) * one_winner(numbers.max(axis=2, keepdims=True))


def dense(dy, x, k, stride):
    dx = np.zeros(x.shape)
    for n, oy, ox in np.ndindex(dy.shape[:3]):
        window = np.s_[n, oy : oy + k, ox : ox + k]
        dx[window] += one_winner(x[window]) * dy[n, oy, ox]
    return dx


def times_value(dy, x, k, stride):
    return truth(dy, x, k, stride) * x


# --- cases ---


def random(N, H, W, C, k, stride):
    rng = np.random.default_rng(N * H + W)
    x = rng.permutation(N * H * W * C).reshape(N, H, W, C) / 10 - 5  # no two are equal
    return dict(dy=rng.standard_normal(mf.max_pool2d(x, k, stride).shape), x=x, k=k, stride=stride)


def plane(*rows):
    return np.array(rows, float)[None, :, :, None]


PLAIN = dict(k=2, stride=2)
ONE = PLAIN | {"x": plane([1, 3, 2, 0], [5, 4, 1, 2]), "dy": plane([10, 20])}
ONE_BACK = plane([0, 0, 20, 0], [10, 0, 0, 0])  # 5 wins the left window, 2 the right one: the upper 2, which is first
NEGATIVE = PLAIN | {"x": plane([-3, -2], [-4, -5]), "dy": plane([7])}
NEGATIVE_BACK = plane([0, 7], [0, 0])  # -2 is the largest
TIES = PLAIN | {"x": plane([0, 6], [6, 6]), "dy": plane([1])}
TIES_BACK = plane([0, 1], [0, 0])  # the upper 6: rows before columns
OVERLAP = dict(k=2, stride=1, x=plane([1, 9, 2], [0, 3, 4]), dy=plane([10, 1]))
OVERLAP_BACK = plane([0, 11, 0], [0, 0, 0])  # 9 wins both windows

PART = Part(
    function="pool_backward",
    results=("dx",),
    truth=truth,
    cases=(
        Case("by hand: negative numbers", NEGATIVE, (NEGATIVE_BACK,)),
        Case("by hand: two windows, equal numbers in one", ONE, (ONE_BACK,)),
        Case("by hand: of equal winners the first", TIES, (TIES_BACK,)),
        Case("by hand: windows that overlap", OVERLAP, (OVERLAP_BACK,)),
        Case("several channels", random(1, 4, 6, 3, 2, 2)),
        Case("two pictures, 3 x 3 windows, stride 2, rows left over", random(2, 8, 10, 2, 3, 2)),
    ),
    slips={
        "The gradient goes to all of the equal winners. Then more flows back than came in: of equal ones only "
        "the first gets it. Ties are common, behind a ReLU whole windows are 0.": shared(all_winners),
        "The gradient is shared out among the equal winners. That would be fair, but the rule is: the first "
        "gets all.": (shared(fair_winners)),
        "Of equal winners the last gets the gradient. It is the first, as np.argmax finds it.": shared(last_winner),
        "Of equal winners the first by columns gets the gradient. Rows come first: the upper one wins.": (
            shared(columns_first)
        ),
        "The gradient is spread evenly over the window. That is an average pool; here only the winner gets it.": (
            shared(lambda numbers: np.ones_like(numbers) / numbers[..., 0].size)
        ),
        "Every number of the window gets the whole gradient. Only the winner has changed the output.": (
            shared(np.ones_like)
        ),
        "The smallest number wins. It should be the largest.": shared(smallest),
        "The number furthest from zero wins. It should be the largest: -1 is larger than -3.": shared(by_size),
        "Where windows overlap, the later one replaces the earlier. A number that has won several windows "
        "collects from each: += instead of =.": shared(one_winner, add=False),
        "All channels have the same winner. Each channel has one of its own: np.argmax over one channel at a time.": (
            shared(over_channels)
        ),
        "The stride is forgotten: window (oy, ox) begins at row oy s and column ox s.": dense,
        "The gradient has the wrong sign: dy is added to the winner, += and not -=.": (
            lambda dy, x, k, stride: -truth(dy, x, k, stride)
        ),
        "The gradient is multiplied by the winner's value. Where y = x[winner], the derivative is 1.": times_value,
    },
)


def steps(folder):
    student = load(folder / "pool_backward.py")
    yield from values(student, PART)
    x = random(1, 5, 7, 2, 3, 2)["x"]
    yield gradients(
        lambda x: mf.max_pool2d(x, 3, 2).data, lambda x, dy: answer(student, PART, dy=dy, x=x, k=3, stride=2)[0], [x]
    )
