"""Exercise 6: where feature maps lie, and where to crop.            Check it: python -m exercises crop_offset

A feature map lies on the picture like a grid: pixel i of it is centred at picture row  start + stride i. The picture
itself has start 0 and stride 1. Numbers may be halves.

    convolution or pool, kernel k, stride s, padding p      its pixel 0 is centred in the middle of the first window,
                                                            which begins p pixels before its input's pixel 0
    transposed convolution, kernel k, stride s, padding p   the other way round: its *input* lies where a convolution of
                                                            *its output*, with the same k, s and p, would lie
    crop of map a to map b, of the same stride              the number of the row of a that lies on row 0 of b

Distances in a map count its own pixels, and each is `stride` picture pixels wide. Careful with the transposed
convolution: of which map do its k and p count pixels?

When all is right the check walks through the three networks with your functions: 19; 5 and 27; 9 and 31.
"""


def conv_grid(start, stride, k, s, p):
    """The grid of the input, and a convolution's k, s, p -> (start, stride) of its output."""
    raise NotImplementedError


def conv_transpose_grid(start, stride, k, s, p):
    """The grid of the input, and a transposed convolution's k, s, p -> (start, stride) of its output."""
    raise NotImplementedError


def crop_offset(a, b):
    """a, b: the grids (start, stride) of two maps of the same stride -> the row of a that lies on row 0 of b."""
    raise NotImplementedError
