"""Checks conv_dx by hand, against mf.conv2d's backward, and by mf.gradcheck."""

import numpy as np

import minifcn as mf
from exercises.checking import Case, Part, answer, changed, gradients, load, values
from exercises.checks.conv_forward import exchanged, transposed, turned


def truth(dy, w, x_shape, stride, padding):
    x = mf.Tensor(np.zeros(x_shape), requires_grad=True)
    mf.conv2d(x, w, None, stride, padding).backward(dy)
    return x.grad


def scattered(dy, w, x_shape, stride, padding, add=True, from_row=None):
    """The scatter, with its slips: later patches replace earlier ones, the padding is cut off elsewhere."""
    (N, H, W, C), (KH, KW) = x_shape, w.shape[:2]
    dpadded, row = np.zeros((N, H + 2 * padding, W + 2 * padding, C)), padding if from_row is None else from_row
    for oy, ox in np.ndindex(dy.shape[1:3]):
        window = np.s_[:, oy * stride : oy * stride + KH, ox * stride : ox * stride + KW]
        dpatch = np.einsum("nk,yxck->nyxc", dy[:, oy, ox], w)
        dpadded[window] = dpatch + (dpadded[window] if add else 0)
    return dpadded[:, row : row + H, row : row + W]


def replaced(dy, w, x_shape, stride, padding):
    return scattered(dy, w, x_shape, stride, padding, add=False)


def first_rows(dy, w, x_shape, stride, padding):
    return scattered(dy, w, x_shape, stride, padding, from_row=0)


def emptied(dy, w, x_shape, stride, padding):
    dx = truth(dy, w, x_shape, stride, padding)
    return dx if padding else dx[:, :0, :0]


def averaged(dy, w, x_shape, stride, padding):
    windows = truth(np.ones_like(dy), np.ones_like(w), x_shape, stride, padding) / w.shape[3]
    return truth(dy, w, x_shape, stride, padding) / windows


def dense(dy, w, x_shape, stride, padding):
    return scattered(dy, w, x_shape, 1, padding)


def uncut(dy, w, x_shape, stride, padding):
    N, H, W, C = x_shape
    return truth(dy, w, (N, H + 2 * padding, W + 2 * padding, C), stride, 0)


def random(N, H, W, C, KH, KW, K, stride, padding):
    rng = np.random.default_rng(N * H + W)
    w, x_shape = rng.standard_normal((KH, KW, C, K)), (N, H, W, C)
    dy = rng.standard_normal(mf.conv2d(np.zeros(x_shape), w, None, stride, padding).shape)
    return dict(dy=dy, w=w, x_shape=x_shape, stride=stride, padding=padding)


KERNEL = np.array([[1.0, 2], [3, 4]]).reshape(2, 2, 1, 1)
PLAIN = dict(w=KERNEL, x_shape=(1, 3, 3, 1), stride=1, padding=0)
ONE = PLAIN | {"dy": np.array([[0.0, 0], [0, 1]]).reshape(1, 2, 2, 1)}
# only the lower right output asks: its patch gets the kernel, as it stands
ONE_BACK = np.array([[0.0, 0, 0], [0, 1, 2], [0, 3, 4]]).reshape(1, 3, 3, 1)
TWO = PLAIN | {"dy": np.array([[1.0, 10], [0, 0]]).reshape(1, 2, 2, 1)}
# the patches of two neighbours overlap in the middle column: 2 + 10 and 4 + 30
TWO_BACK = np.array([[1.0, 12, 20], [3, 34, 40], [0, 0, 0]]).reshape(1, 3, 3, 1)

PART = Part(
    function="conv_dx",
    results=("dx",),
    truth=truth,
    cases=(
        Case("by hand: one output asks", ONE, (ONE_BACK,)),
        Case("by hand: two outputs whose patches overlap", TWO, (TWO_BACK,)),
        Case("several channels in and out", random(1, 4, 5, 3, 3, 3, 3, 1, 0)),
        Case("padding", random(1, 4, 5, 2, 3, 3, 2, 1, 1)),
        Case("stride 2", random(1, 7, 9, 2, 3, 3, 2, 2, 1)),
        Case("two pictures, odd shapes, stride 3", random(2, 8, 11, 3, 4, 3, 5, 3, 2)),
    ),
    slips={
        "The kernel is turned by 180 degrees. Scattering, it goes to the patch as it stands. (It is turned only where "
        "dx is computed as a convolution of the padded dy, that is, by gathering.)": changed(truth, w=turned),
        "Rows and columns of the kernel are exchanged (a transposed kernel): w[ky, kx] goes to the pixel ky "
        "rows down and kx columns to the right.": changed(truth, w=transposed),
        "Channels in and out are exchanged: dy has the K channels of w's last axis, so the sum runs over that one, and "
        "C is left.": changed(truth, w=exchanged),
        "Where patches overlap, the later one replaces the earlier. An input that several outputs have seen collects "
        "from all of them: += instead of =.": replaced,
        "Where patches overlap you take the mean. It is the sum: each output has used the input.": averaged,
        "The stride is forgotten: output (oy, ox) has seen the patch that begins at row oy s and column ox s.": dense,
        "The padding is cut off at the wrong end: the picture begins at row p and column p of the padded "
        "one.": first_rows,
        "Without padding nothing is left: [p:-p] with p = 0 is [0:0]. Say where it ends: [p : p + H].": emptied,
        "The gradient has the wrong sign: what an output asks for is added, += and not -=.": (
            lambda **args: -truth(**args)
        ),
        "The padding is still there. dx is as large as x: cut p rows and columns off each side.": uncut,
    },
)


def steps(folder):
    student = load(folder / "conv_dx.py")
    yield from values(student, PART)
    args = random(1, 5, 6, 2, 3, 2, 3, 2, 1)
    rule = {name: args[name] for name in ("w", "x_shape", "stride", "padding")}
    x = np.random.default_rng(5).standard_normal(args["x_shape"])
    yield gradients(
        lambda x: mf.conv2d(x, args["w"], None, 2, 1).data,
        lambda x, dy: answer(student, PART, dy=dy, **rule)[0],
        [x],
        linear=True,
    )
