"""Checks the three functions by hand and against models/geometry.py, then derives the crops of all networks."""

from exercises.checking import Case, Part, Wrong, load, values
from minifcn.models.geometry import Grid


def conv_grid(start, stride, k, s, p):
    grid = Grid(stride, start).conv(k, s, p)
    return grid.start, grid.stride


def conv_transpose_grid(start, stride, k, s, p):
    grid = Grid(stride, start).conv_transpose(k, s, p)
    return grid.start, grid.stride


def crop_offset(a, b):
    return Grid(a[1], a[0]).crop_to(Grid(b[1], b[0]))


def case(title, start, stride, k, s, p, *expected):
    return Case(title, dict(start=start, stride=stride, k=k, s=s, p=p), expected or None)


CONV = Part(
    function="conv_grid",
    results=("start", "stride"),
    truth=conv_grid,
    cases=(
        case("a convolution on the picture, by hand: 3 x 3, no padding", 0, 1, 3, 1, 0, 1, 1),  # rows 0, 1, 2
        case("a pool, by hand: 2 x 2, stride 2", 0, 1, 2, 2, 0, 0.5, 2),  # rows 0 and 1
        case("conv1_1, by hand: 3 x 3, padding 100", 0, 1, 3, 1, 100, -99, 1),
        case("a pool on a map of stride 4 that starts at 1.5, by hand", 1.5, 4, 2, 2, 0, 3.5, 8),
        case("fc6: 7 x 7, no padding, on a map of stride 32", -83.5, 32, 7, 1, 0),
        case("5 x 5, stride 3, padding 1, on a map of stride 2", -7, 2, 5, 3, 1),
    ),
    slips={
        "Off by half a pixel: pixels 0 .. k - 1 have their middle at (k - 1) / 2, not at k / 2.": (
            lambda start, stride, k, s, p: (start + stride * (k / 2 - p), stride * s)
        ),
        "(k - 1) // 2 rounds down. A kernel of even size has its middle between two pixels: (k - 1) / 2.": (
            lambda start, stride, k, s, p: (start + stride * ((k - 1) // 2 - p), stride * s)
        ),
        "Off by half a pixel: k // 2 is the middle only of a kernel of odd size. It is (k - 1) / 2.": (
            lambda start, stride, k, s, p: (start + stride * (k // 2 - p), stride * s)
        ),
        "The padding has the wrong sign: it moves the first window to the left, before pixel 0.": (
            lambda start, stride, k, s, p: (start + stride * ((k - 1) / 2 + p), stride * s)
        ),
        "Kernel and padding count pixels of the input, each `stride` picture pixels wide: multiply by stride.": (
            lambda start, stride, k, s, p: (start + (k - 1) / 2 - p, stride * s)
        ),
        "You multiply by the new stride. Kernel and padding count pixels of the input: multiply by the old one.": (
            lambda start, stride, k, s, p: (start + stride * s * ((k - 1) / 2 - p), stride * s)
        ),
        "The padding is not multiplied by stride: it counts pixels of the input, as the kernel does.": (
            lambda start, stride, k, s, p: (start + stride * (k - 1) / 2 - p, stride * s)
        ),
        "The new stride is not s but stride times s: a pixel of the output is s pixels of the input wide.": (
            lambda start, stride, k, s, p: (start + stride * ((k - 1) / 2 - p), s)
        ),
        "The start of the input is forgotten: begin from `start`.": (
            lambda start, stride, k, s, p: (stride * ((k - 1) / 2 - p), stride * s)
        ),
    },
)
TRANSPOSED = Part(
    function="conv_transpose_grid",
    results=("start", "stride"),
    truth=conv_transpose_grid,
    cases=(
        case("a transposed convolution, by hand: 4 x 4, stride 2, on a map of stride 2", 1.5, 2, 4, 2, 0, 0, 1),
        case("the same with padding 1, by hand", 1.5, 2, 4, 2, 1, 1, 1),
        case("upscore32: 64 x 64, stride 32", 12.5, 32, 64, 32, 0),
        case("5 x 5, stride 3, padding 2, on a map of stride 6", -7, 6, 5, 3, 2),
    ),
    slips={
        "Kernel and padding count pixels of the output, which are smaller: multiply by the new stride, stride / s.": (
            lambda start, stride, k, s, p: (start - stride * ((k - 1) / 2 - p), stride / s)
        ),
        "That goes the wrong way: the output begins before the input, so subtract.": (
            lambda start, stride, k, s, p: (start + stride / s * ((k - 1) / 2 - p), stride / s)
        ),
        "The stride grows. A transposed convolution has s pixels for each of its input: the stride is divided by s.": (
            lambda start, stride, k, s, p: (start - stride * s * ((k - 1) / 2 - p), stride * s)
        ),
        "Off by half a pixel, again: the middle of k pixels is at (k - 1) / 2.": (
            lambda start, stride, k, s, p: (start - stride / s * (k / 2 - p), stride / s)
        ),
        "The padding has the wrong sign. A transposed convolution's padding cuts rows off, so its output begins "
        "later.": (lambda start, stride, k, s, p: (start - stride / s * ((k - 1) / 2 + p), stride / s)),
    },
)
CROP = Part(
    function="crop_offset",
    results=("offset",),
    truth=crop_offset,
    cases=(
        Case("a crop, by hand: a map that begins 19 rows before the picture", dict(a=(-19, 1), b=(0, 1)), (19,)),
        Case("a crop to itself, by hand", dict(a=(3, 1), b=(3, 1)), (0,)),
        Case("a crop, by hand: two maps of stride 16, one begins at -91.5", dict(a=(-91.5, 16), b=(-11.5, 16)), (5,)),
        Case("maps that both begin inside", dict(a=(7.5, 8), b=(31.5, 8))),
    ),
    slips={
        "Off by one: rows count from 0. A map that begins where the other does is cropped at 0.": (
            lambda a, b: crop_offset(a, b) + 1
        ),
        "Off by one: the row is one further on.": lambda a, b: crop_offset(a, b) - 1,
        "The sign is wrong: it is a that is cropped, and it begins before b.": lambda a, b: -crop_offset(a, b),
        "That is the distance in picture pixels. Rows of a are `stride` apart: divide by it.": lambda a, b: b[0] - a[0],
        "The start of b is forgotten: the distance is from the start of a to the start of b.": lambda a, b: (
            -a[0] / a[1]
        ),
    },
)
NETWORKS = {"FCN-32s": (19,), "FCN-16s": (5, 27), "FCN-8s": (9, 31)}  # by the reference; FCN-8s after FCN-16s's skip


def steps(folder):
    student = load(folder / "crop_offset.py")
    for part in (CONV, TRANSPOSED, CROP):
        yield from values(student, part)
    found = crops(student)
    if found != NETWORKS:
        raise Wrong(f"Walked through the networks your functions give the crops {found}, expected {NETWORKS}.")
    said = (f"{name} {' and '.join(f'{number:g}' for number in numbers)}" for name, numbers in found.items())
    yield f"the networks, with padding 100: {', '.join(said)}"


def crops(student) -> dict[str, tuple]:
    """The crops of the three networks with padding 100, by the student's functions."""
    grid, pools, transposed, crop = (0, 1), [], student.conv_transpose_grid, student.crop_offset
    for block in range(5):
        grid = student.conv_grid(*grid, 3, 1, 100 if block == 0 else 1)
        grid = student.conv_grid(*grid, 2, 2, 0)
        pools.append(grid)
    fc6 = student.conv_grid(*grid, 7, 1, 0)
    up2 = transposed(*fc6, 4, 2, 0)
    up4 = transposed(*up2, 4, 2, 0)
    ends = [crop(transposed(*fuse, 2 * s, s, 0), (0, 1)) for fuse, s in ((fc6, 32), (up2, 16), (up4, 8))]
    return {
        "FCN-32s": (ends[0],),
        "FCN-16s": (crop(pools[3], up2), ends[1]),
        "FCN-8s": (crop(pools[2], up4), ends[2]),
    }
