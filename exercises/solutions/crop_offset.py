"""Where feature maps lie, and where to crop: three formulas, from which 19 comes."""


def conv_grid(start, stride, k, s, p):
    """The grid of the input, and a convolution's k, s, p -> (start, stride) of its output."""
    return start + stride * ((k - 1) / 2 - p), stride * s  # k pixels 0 .. k - 1 have their middle at (k - 1) / 2


def conv_transpose_grid(start, stride, k, s, p):
    """The grid of the input, and a transposed convolution's k, s, p -> (start, stride) of its output."""
    stride = stride / s  # of the output, whose pixels k and p count
    return start - stride * ((k - 1) / 2 - p), stride


def crop_offset(a, b):
    """a, b: the grids (start, stride) of two maps of the same stride -> the row of a that lies on row 0 of b."""
    return (b[0] - a[0]) / a[1]
