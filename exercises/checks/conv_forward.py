"""Checks conv_forward by hand, and against mf.conv2d."""

import numpy as np

import minifcn as mf
from exercises.checking import Case, Part, changed, load, values


def truth(x, w, b, stride, padding):
    return mf.conv2d(x, w, b, stride, padding).data


def padded(x, before, after, **how):
    return np.pad(x, ((0, 0), (before, after), (before, after), (0, 0)), **how)


# --- slips ---


def turned(w):
    return w[::-1, ::-1].copy()


def transposed(w):
    return w.transpose(1, 0, 2, 3).copy()


def exchanged(w):
    return w.transpose(0, 1, 3, 2).copy()


def without_bias(x, w, b, stride, padding):
    return truth(x, w, None, stride, padding)


def bias_each_time(x, w, b, stride, padding):
    return truth(x, w, b * w[..., 0].size, stride, padding)


def bias_each_tap(x, w, b, stride, padding):
    return truth(x, w, b * w[..., 0, 0].size, stride, padding)


def dense(x, w, b, stride, padding):
    OH, OW = truth(x, w, b, stride, padding).shape[1:3]
    return truth(x, w, b, 1, padding)[:, :OH, :OW]


def edge(x, w, b, stride, padding):
    return truth(padded(x, padding, padding, mode="edge"), w, b, stride, 0)


def above_only(x, w, b, stride, padding):
    return truth(padded(x, 2 * padding, 0), w, b, stride, 0)


def below_only(x, w, b, stride, padding):
    return truth(padded(x, 0, 2 * padding), w, b, stride, 0)


def unpadded(x, w, b, stride, padding):
    return truth(x, w, b, stride, 0)


def unpadded_patches(x, w, b, stride, padding):
    """Right in size. At the end a patch has one row, or none; NumPy repeats the one for all rows of the kernel."""
    y = np.zeros_like(truth(x, w, b, stride, padding))
    for oy, ox in np.ndindex(y.shape[1:3]):
        top, left = oy * stride, ox * stride
        y[:, oy, ox] = np.einsum("nyxc,yxck->nk", x[:, top : top + len(w), left : left + w.shape[1]], w) + b
    return y


def one_less(x, w, b, stride, padding):
    return truth(x, w, b, stride, padding)[:, :-1, :-1]


# --- cases ---


def random(N, H, W, C, KH, KW, K, stride, padding):
    rng = np.random.default_rng(N * H + W)
    draw = rng.standard_normal
    return dict(x=draw((N, H, W, C)), w=draw((KH, KW, C, K)), b=draw(K), stride=stride, padding=padding)


PICTURE = np.array([[1.0, 2, 0], [0, 3, 1], [2, 1, 4]]).reshape(1, 3, 3, 1)
KERNEL = np.array([[1.0, 2], [0, -1]]).reshape(2, 2, 1, 1)
PLAIN = dict(x=PICTURE, w=KERNEL, b=np.array([10.0]), stride=1, padding=0)
# 1 + 2 2 - 3 = 2,  2 + 2 0 - 1 = 1;  0 + 2 3 - 1 = 5,  3 + 2 1 - 4 = 1;  and the bias
BY_HAND = np.array([[12.0, 11], [15, 11]]).reshape(1, 2, 2, 1)
# with a rim of zeros, every second place: 0 0 / 0 1 = -1,  0 0 / 2 0 = 0;  0 0 / 0 2 = -2,  3 1 / 1 4 = 3 + 2 - 4
PADDED = np.array([[9.0, 10], [8, 11]]).reshape(1, 2, 2, 1)

PART = Part(
    function="conv_forward",
    results=("y",),
    truth=truth,
    cases=(
        Case("by hand: 3 x 3 picture, 2 x 2 kernel, bias 10", PLAIN, (BY_HAND,)),
        Case("by hand: the same with padding 1 and stride 2", PLAIN | {"stride": 2, "padding": 1}, (PADDED,)),
        Case("several channels in and out", random(1, 4, 5, 3, 3, 3, 3, 1, 0)),
        Case("padding", random(1, 4, 5, 2, 3, 3, 2, 1, 1)),
        Case("stride 2", random(1, 7, 9, 2, 3, 3, 2, 2, 1)),
        Case("two pictures, odd shapes, stride 3", random(2, 8, 11, 3, 4, 3, 5, 3, 2)),
        Case("a 1 x 1 kernel", random(2, 3, 4, 5, 1, 1, 2, 1, 0)),
    ),
    slips={
        "The kernel is turned by 180 degrees. Mathematicians turn it in a convolution; deep learning does not: w[0, 0] "
        "meets the upper left pixel of the patch.": changed(truth, w=turned),
        "Rows and columns of the kernel are exchanged (a transposed kernel): w[ky, kx] belongs to the pixel ky "
        "rows down and kx columns to the right.": changed(truth, w=transposed),
        "Channels in and out are exchanged: w is (KH, KW, C, K), so the sum runs over its third axis, and the "
        "fourth is left.": changed(truth, w=exchanged),
        "The bias is missing.": without_bias,
        "The bias is added with every product, inside the sum. It belongs to each output once, after the sum.": (
            bias_each_time
        ),
        "The bias is added with every place of the kernel, inside the sum over ky and kx. It belongs to each output "
        "once, after the sum.": bias_each_tap,
        "The stride is forgotten where the patch is cut out: output (oy, ox) sees the patch that begins at row "
        "oy s and column ox s.": dense,
        "The padding repeats the picture's edge. Outside the picture x counts as zero.": edge,
        "The padding is above and to the left only. It goes all around the picture.": above_only,
        "The padding is below and to the right only. It goes all around: the picture begins at row p, column p.": (
            below_only
        ),
        "The padding is forgotten.": unpadded,
        "The padding is forgotten where the patch is cut out: it is one of the padded picture.": unpadded_patches,
        "The last row and column are missing: with room for n steps there are n + 1 windows, which is the + 1 in "
        "OH = (H + 2 p - KH) // s + 1.": one_less,
    },
)


def steps(folder):
    yield from values(load(folder / "conv_forward.py"), PART)
