"""Checks tent, upsample and upsample_dx by hand, against mf.bilinear_upsample, and by mf.gradcheck."""

import numpy as np

import minifcn as mf
from exercises.checking import Case, Part, answer, gradients, load, values


def tent(s):
    return 1 - abs(np.arange(2 * s) - (s - 0.5)) / s


def upsample(x, s):
    return mf.bilinear_upsample(x, s).data


def upsample_dx(dy, s):
    N, OH, OW, C = dy.shape
    x = mf.Tensor(np.zeros((N, OH // s - 1, OW // s - 1, C)), requires_grad=True)
    mf.bilinear_upsample(x, s).backward(dy)
    return x.grad


# --- slips ---


def spread(weights, add=True):
    """A wrong upsample. weights: s -> (2 s, 2 s)."""

    def wrong(x, s):
        N, H, W, C = x.shape
        y = np.zeros((N, (H + 1) * s, (W + 1) * s, C))
        for iy, ix in np.ndindex(H, W):
            window = np.s_[:, iy * s : (iy + 2) * s, ix * s : (ix + 2) * s]
            y[window] = x[:, iy, None, ix, None] * weights(s)[..., None] + (y[window] if add else 0)
        return y

    return wrong


def added_tents(s):
    return (tent(s)[:, None] + tent(s)) / 2


def across_only(s):
    return np.ones((2 * s, 1)) * tent(s)


def product(s):
    return np.outer(tent(s), tent(s))


def nearest(x, s):
    return x.repeat(s, axis=1).repeat(s, axis=2)


def trimmed(x, s):
    return upsample(x, s)[:, : x.shape[1] * s, : x.shape[2] * s]


def sides_exchanged(x, s):
    return upsample(x.transpose(0, 2, 1, 3).copy(), s)


def gathered(weights):
    """A wrong upsample_dx. weights: s -> (2 s, 2 s)."""

    def wrong(dy, s):
        N, OH, OW, C = dy.shape
        dx = np.zeros((N, OH // s - 1, OW // s - 1, C))
        for iy, ix in np.ndindex(dx.shape[1:3]):
            patch = dy[:, iy * s : (iy + 2) * s, ix * s : (ix + 2) * s]
            dx[:, iy, ix] = (patch * weights(s)[..., None]).sum(axis=(1, 2))
        return dx

    return wrong


def sampled(dy, s):
    return dy[:, s:-1:s, s:-1:s] if s > 1 else dy[:, 1:, 1:]


# --- cases ---


def random(N, H, W, C, s):
    return dict(x=np.random.default_rng(N * H + W).standard_normal((N, H, W, C)), s=s)


def random_dy(N, H, W, C, s):
    return dict(dy=np.random.default_rng(H).standard_normal((N, (H + 1) * s, (W + 1) * s, C)), s=s)


ONE = dict(x=np.array([16.0]).reshape(1, 1, 1, 1), s=2)
ONE_SPREAD = np.outer([1, 3, 3, 1], [1, 3, 3, 1.0]).reshape(1, 4, 4, 1)
TWO = dict(x=np.array([4.0, 8]).reshape(1, 1, 2, 1), s=2)
# columns 2 and 3 lie between the two pixels: 3/4 4 + 1/4 8 = 5, 1/4 4 + 3/4 8 = 7; rows have 1/4 and 3/4 of them
TWO_SPREAD = np.outer([1, 3, 3, 1], [1, 3, 5, 7, 6, 2.0]).reshape(1, 4, 6, 1) / 4
GATHER = dict(dy=np.arange(16.0).reshape(1, 4, 4, 1), s=2)
GATHERED = np.array([30.0]).reshape(1, 1, 1, 1)  # the weights add up to 4, and 7.5 is the mean

TENT = Part(
    function="tent",
    results=("tent",),
    truth=tent,
    cases=(
        Case("tent, by hand: s = 2", dict(s=2), (np.array([1, 3, 3, 1]) / 4,)),
        Case("tent: s = 1, which copies pixels", dict(s=1)),
        Case("tent: s = 32", dict(s=32)),
        Case("tent: s = 3", dict(s=3)),
    ),
    slips={
        "The middle is half a pixel off: it lies between numbers s - 1 and s, at s - 1/2. Then the tent is "
        "symmetric.": (lambda s: 1 - abs(np.arange(2 * s) - s) / s),
        "The middle is half a pixel off to the left: it lies between numbers s - 1 and s, at s - 1/2.": (
            lambda s: 1 - abs(np.arange(2 * s) - (s - 1)) / s
        ),
        "The tent falls to 0 within its 2 s numbers. Its foot lies half a pixel outside: divide by s.": (
            lambda s: 1 - abs(np.arange(2 * s) - (s - 0.5)) / (s - 0.5)
        ),
        "The weights add up to 1. They should add up to s, so that in each place the tents of neighbours add up "
        "to 1.": (lambda s: tent(s) / s),
        "The tent is half as wide as it should be: it reaches to both neighbours, over 2 s numbers.": (
            lambda s: 1 - abs(np.arange(s) - (s - 1) / 2) / s
        ),
    },
)
UPSAMPLE = Part(
    function="upsample",
    results=("y",),
    truth=upsample,
    cases=(
        Case("upsample, by hand: one pixel", ONE, (ONE_SPREAD,)),
        Case("upsample, by hand: two pixels", TWO, (TWO_SPREAD,)),
        Case("upsample: higher than wide", random(1, 3, 2, 1, 2)),
        Case("upsample: two pictures, three channels, s = 5", random(2, 2, 3, 3, 5)),
        Case("upsample: s = 1", random(1, 2, 3, 2, 1)),
    ),
    slips={
        "Where patches overlap, the later one replaces the earlier. They add up: += instead of =.": spread(
            product, False
        ),
        "The two tents are added. In two dimensions the weight is their product: np.outer.": spread(added_tents),
        "There is a tent across, but none down. The weight is the product of both.": spread(across_only),
        "Each pixel is repeated. That is nearest-neighbour upsampling, which has steps; a tent interpolates.": nearest,
        "The last s rows and columns are cut off: H pixels with patches of 2 s, s apart, reach over (H + 1) s rows.": (
            trimmed
        ),
        "Rows and columns are exchanged.": sides_exchanged,
    },
)
BACK = Part(
    function="upsample_dx",
    results=("dx",),
    truth=upsample_dx,
    cases=(
        Case("upsample_dx, by hand: one pixel", GATHER, (GATHERED,)),
        Case("upsample_dx: higher than wide", random_dy(1, 3, 2, 1, 2)),
        Case("upsample_dx: two pictures, three channels, s = 5", random_dy(2, 2, 3, 3, 5)),
    ),
    slips={
        "Each pixel takes the mean of its patch, all weights alike. The tent's weights come back: what was spread with "
        "w is gathered with w.": gathered(lambda s: np.full((2 * s, 2 * s), 1 / (4 * s * s))),
        "Each pixel takes the sum of its patch, all weights 1. The tent's weights come back: what was spread with w is "
        "gathered with w.": gathered(lambda s: np.ones((2 * s, 2 * s))),
        "The weights are divided by their sum, as for a mean. The gradient is the weighted sum, without "
        "that.": gathered(lambda s: product(s) / product(s).sum()),
        "There is a tent across, but none down: gather with the product of both.": gathered(across_only),
        "Each pixel looks at one place of the gradient. It has touched its whole patch, so it gathers from all "
        "of it.": (sampled),
    },
)


def steps(folder):
    student = load(folder / "bilinear_upsampling.py")
    for part in (TENT, UPSAMPLE, BACK):
        yield from values(student, part)
    x = random(1, 2, 3, 2, 2)["x"]
    yield gradients(
        lambda x: answer(student, UPSAMPLE, x=x, s=2)[0],
        lambda x, dy: answer(student, BACK, dy=dy, s=2)[0],
        [x],
        linear=True,
    )
