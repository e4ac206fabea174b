"""How work is cut and shared out."""

import time

import pytest

from minifcn.cpu.threads import parallel
from minifcn.sizes import pieces, strips


@pytest.mark.parametrize("total", [0, 1, 2, 7, 100])
@pytest.mark.parametrize("size", [0, 1, 3, 50, 1000])
def test_cuts_cover_everything_once(total, size):
    for cut in (strips, pieces):
        covered = [i for part in cut(total, size) for i in range(part.start, part.stop)]
        assert covered == list(range(total))
    assert max((part.stop - part.start for part in pieces(total, size)), default=0) <= max(1, size)
    shifted = [slice(part.start + 9, part.stop + 9) for part in pieces(total, size)]
    assert list(pieces(slice(9, 9 + total), size)) == shifted  # a slice is cut as if it began at 0
    assert len(list(strips(total, size))) % 2 == 0 or len(list(strips(total, size))) == total


def test_results_come_in_the_order_of_the_items():
    """Also where the first ones take longest."""

    def work(i):
        time.sleep(0.02 if i < 2 else 0)
        return i * i

    assert parallel(work, range(20)) == [i * i for i in range(20)]
    assert parallel(work, []) == []


def test_errors_in_other_threads_arrive():
    def work(i):
        if i == 3:
            raise KeyError("three")

    with pytest.raises(KeyError, match="three"):
        parallel(work, range(8))
