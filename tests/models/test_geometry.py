"""Where the networks crop: the reference's numbers, for every size of picture, by arithmetic and by running."""

import numpy as np
import pytest
from helpers import TINY
from reference import CROPS, trunk_sizes

import minifcn as mf
from minifcn.models import fcn
from minifcn.models.geometry import Grid, trunk_grids

NETWORKS = [(name, pad) for name in ("fcn32s", "fcn16s", "fcn8s") for pad in (100, "same")]


def crops_by_arithmetic(name, pad, size):
    """Yield (size of the map, offset, size cut out) at each crop along one side, in the order of the forward pass."""
    offsets = CROPS[name, pad]
    pool3, pool4, fc7 = trunk_sizes(size, pad)
    score, last = fc7, {"fcn32s": 32, "fcn16s": 16, "fcn8s": 8}[name]
    skips = {"fcn32s": [], "fcn16s": [("pool4", pool4)], "fcn8s": [("pool4", pool4), ("pool3", pool3)]}[name]
    for pool, pooled in skips:
        score = (score + 1) * 2  # kernel 4, stride 2
        if pad == 100:
            yield pooled, offsets[f"score_{pool}"], score
        else:
            yield score, offsets[{"pool4": "upscore2", "pool3": "upscore_pool4"}[pool]], pooled
            score = pooled
    yield (score + 1) * last, offsets["score"], size


@pytest.mark.parametrize("name, pad", NETWORKS)
def test_every_crop_fits_for_every_size(name, pad):
    for size in range(1, 601):
        for available, offset, wanted in crops_by_arithmetic(name, pad, size):
            assert wanted >= 1 and offset >= 0 and offset + wanted <= available, (
                f"size {size}: {available, offset, wanted}"
            )


@pytest.mark.parametrize("name, pad", NETWORKS)
@pytest.mark.parametrize("size", [(1, 1), (2, 33), (31, 32), (45, 70)])
def test_a_running_network_crops_there(name, pad, size, monkeypatch):
    seen = []

    def recorded(x, top, left, height, width):
        seen.append(((x.shape[1], top, height), (x.shape[2], left, width)))
        return mf.crop(x, top, left, height, width)

    monkeypatch.setattr(fcn, "crop", recorded)
    model = getattr(mf.models, name)(5, trunk=TINY, pad=pad).eval()
    with mf.no_grad():
        scores = model(np.zeros((2, *size, 3), np.float32))
    assert scores.shape == (2, *size, 5)
    expected = zip(*(crops_by_arithmetic(name, pad, side) for side in size), strict=True)
    assert seen == list(expected)


def test_derived_offsets_at_pad_100():
    """The reference's numbers, from strides and paddings: 19; 5 and 27; 9 and 31."""
    grids = trunk_grids(100, 0)
    upscore2 = grids["fc7"].conv_transpose(4, 2)
    upscore_pool4 = upscore2.conv_transpose(4, 2)
    assert grids["fc7"].conv_transpose(64, 32).crop_to(Grid()) == 19
    assert grids["pool4"].crop_to(upscore2) == 5 and upscore2.crop_to(grids["pool4"]) == -5
    assert upscore2.conv_transpose(32, 16).crop_to(Grid()) == 27
    assert grids["pool3"].crop_to(upscore_pool4) == 9
    assert upscore_pool4.conv_transpose(16, 8).crop_to(Grid()) == 31


def test_derived_offsets_at_pad_same():
    grids = trunk_grids(1, 3)
    assert grids["fc7"].conv_transpose(64, 32).crop_to(Grid()) == 16
    assert grids["fc7"].conv_transpose(4, 2).crop_to(grids["pool4"]) == 1
    assert grids["pool4"].conv_transpose(32, 16).crop_to(Grid()) == 8
    assert grids["pool4"].conv_transpose(4, 2).crop_to(grids["pool3"]) == 1
    assert grids["pool3"].conv_transpose(16, 8).crop_to(Grid()) == 4


def test_grids_say_where_pixels_lie():
    """Of a ramp, whose value is its coordinate, an averaging layer gives the centre that it looks at."""
    ramp = np.broadcast_to(np.arange(40.0)[:, None], (40, 5))[None, :, :, None]
    for kernel, stride, padding in ((3, 1, 0), (3, 1, 1), (2, 2, 0), (4, 3, 1), (7, 1, 3)):
        y = mf.conv2d(ramp, np.full((kernel, 1, 1, 1), 1 / kernel), None, (stride, 1), (padding, 0)).data[0, :, 0, 0]
        grid = Grid().conv(kernel, stride, padding)
        i = len(y) // 2
        assert y[i] == pytest.approx(grid.start + grid.stride * i)
        assert grid.conv_transpose(kernel, stride, padding) == Grid()  # the way back


def test_maps_without_common_pixels_are_refused():
    for other in (Grid(2, 0), Grid(1, 0.5)):
        with pytest.raises(ValueError, match=r"crop: .* have no pixels in common"):
            Grid().crop_to(other)
