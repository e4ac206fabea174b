"""MATLAB's format against scipy, which reads and writes it; and what damaged or hostile files do: an error, no more."""

import mmap
import struct
import tracemalloc
import zlib

import handmade as by
import numpy as np
import pytest

from minifcn.datasets.matlab import read_variables
from minifcn.errors import InputError
from minifcn.weights import open_weights


def read(path, *wanted):
    with open(path, "rb") as file:
        return read_variables(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), wanted)


def scipy_io():
    return pytest.importorskip("scipy.io")


def cell(*values):
    array = np.empty((1, len(values)), object)
    for i, value in enumerate(values):
        array[0, i] = value
    return array


@pytest.mark.parametrize("compressed", [False, True])
def test_values_of_every_kind(compressed, tmp_path):
    rng = np.random.default_rng(0)
    numbers = {
        f"a_{dtype}": (rng.standard_normal((2, 3, 4)) * 50).astype(dtype)
        for dtype in ("float32", "float64", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64")
    }
    values = {
        **numbers,
        "name": "Straße",
        "long": "x" * 100,
        "cells": cell("one", np.eye(3), cell(), cell("deep", cell(np.float32([1.5])))),
        "a_struct": {"name": "conv1", "pad": np.ones((1, 4)), "more": {"text": "b", "list": cell("c")}},
        "structs": np.array([[(1.0, "x"), (2.0, "y")]], [("number", object), ("letter", object)]),
        "nothing": np.zeros((0, 3)),
        "a_complex": np.array([1 + 2j]),
        "logical": np.array([[True, False]]),
    }
    scipy_io().savemat(tmp_path / "a.mat", values, do_compression=compressed)
    found = read(tmp_path / "a.mat", *values)
    theirs = scipy_io().loadmat(tmp_path / "a.mat")
    for name, x in numbers.items():
        np.testing.assert_array_equal(found[name], x)
        np.testing.assert_array_equal(found[name], theirs[name])
        assert found[name].dtype == x.dtype and found[name].flags.f_contiguous
    assert found["name"] == "Straße" and found["long"] == "x" * 100
    first, second, third, fourth = found["cells"]
    assert first == "one" and third in ([], None) and fourth[0] == "deep" and fourth[1][0].item() == 1.5
    np.testing.assert_array_equal(second, np.eye(3))
    (record,) = found["a_struct"]
    assert record["name"] == "conv1" and record["more"] == [{"text": "b", "list": ["c"]}]
    assert [(s["number"].item(), s["letter"]) for s in found["structs"]] == [(1, "x"), (2, "y")]
    assert found["nothing"].shape == (0, 3)
    np.testing.assert_array_equal(found["logical"], [[1, 0]])
    assert found["a_complex"] is None


def test_a_compressed_variable_of_many_steps(tmp_path):
    """Half of it random, which grows when it is compressed, half zeros, which nearly vanish."""
    x = np.random.default_rng(0).integers(0, 256, 2**23, np.uint8)
    x[2**22 :] = 0
    scipy_io().savemat(tmp_path / "a.mat", {"x": x}, do_compression=True)
    np.testing.assert_array_equal(read(tmp_path / "a.mat", "x")["x"], x[None])


def test_only_wanted_variables_are_read(tmp_path):
    scipy_io().savemat(tmp_path / "a.mat", {"layers": np.eye(2), "junk": cell("a")})
    found = read(tmp_path / "a.mat", "layers", "absent")
    assert found.keys() == {"layers", "junk"} and found["junk"] is None and found["layers"].shape == (2, 2)


def test_numbers_are_views_of_the_file(tmp_path):
    scipy_io().savemat(tmp_path / "a.mat", {"x": np.zeros((1000, 1000), np.float32)})
    tracemalloc.start()
    found = read(tmp_path / "a.mat", "x")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found["x"].shape == (1000, 1000) and peak < 2**16


def single(count):
    return by.element(7, np.arange(count, dtype=np.float32).tobytes())


def nested(depth):
    """A number in a cell in a cell ... as bytes, built from the inside; scipy's reader dies of 20,000."""
    head = len(by.matrix(1, (1, 1), b""))
    content = by.matrix(7, (1, 1), single(1))
    sizes = [len(content) + head * level for level in range(depth)]
    cells = [
        by.matrix(1, (1, 1), b"")[:4] + (head - 8 + size).to_bytes(4, "little") + by.matrix(1, (1, 1), b"")[8:]
        for size in reversed(sizes)
    ]
    return b"".join(cells) + content


def layers(content, kind=1, sizes=(1, 1)):
    return by.matrix(kind, sizes, content, b"layers")


FIELDS = by.element(5, (8).to_bytes(4, "little")) + by.element(1, b"name\0\0\0\0")
HOSTILE = {
    "a million cells that are not there": layers(b"", sizes=(1000, 1000)),
    "2^62 cells": layers(b"", sizes=(2**31 - 1, 2**31 - 1)),
    "2^62 structs without fields": layers(
        by.element(5, (8).to_bytes(4, "little")) + by.element(1, b""), 2, (2**31 - 1,) * 2
    ),
    "2^62 structs": layers(FIELDS, 2, (2**31 - 1, 2**31 - 1)),
    "field names of no length": layers(by.element(5, bytes(4)) + by.element(1, b"name"), 2),
    "field names of negative length": layers(by.element(5, b"\xff" * 4) + by.element(1, b"name"), 2),
    "negative sizes": layers(b"", sizes=(-1, -1)),
    "negative sizes of numbers": by.matrix(7, (-2, -2), single(4), b"layers"),
    "no sizes": layers(b"", sizes=()),
    "a hundred sizes": layers(b"", sizes=(1,) * 100),
    "more numbers than there are": by.matrix(7, (1000, 1000), single(4), b"layers"),
    "fewer numbers than there are": by.matrix(7, (1, 1), single(4), b"layers"),
    "nested": layers(nested(17)),
    "nested without end": layers(nested(20_000)),
    "longer than the file": b"\x0e\0\0\0\xff\xff\xff\xff" + layers(b"")[8:],
    "half a tag": layers(b"") + b"\x0e\0\0",
    "a cell of what is no matrix": layers(single(1)),
    "text of numbers": by.matrix(4, (1, 4), single(4), b"layers"),
    "compressed rubbish": by.element(15, b"rubbish!"),
    "half a compressed variable": by.element(15, zlib.compress(layers(b"", sizes=(0, 0)))[:20]),
    "a bomb": by.element(15, zlib.compress(by.matrix(7, (1, 2**24), bytes(2**26), b"layers"))),
    "a compressed variable in another": by.element(15, zlib.compress(by.element(15, zlib.compress(layers(b""))))),
}


@pytest.mark.parametrize("case", [*HOSTILE])
def test_hostile_files(case, tmp_path):
    (tmp_path / "a.mat").write_bytes(by.matlab(HOSTILE[case]))
    tracemalloc.start()
    try:
        with pytest.raises(InputError) as caught:
            open_weights(tmp_path / "a.mat")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert str(caught.value).startswith(f"{tmp_path / 'a.mat'}: ") and peak < 2**25
    single = case == "a compressed variable in another"
    expected = "a MATLAB file with nothing in it, but no network" if single else "damaged: |make no sense"
    assert any(part in str(caught.value) for part in expected.split("|"))


def test_the_hostile_files_are_made_as_good_ones_are(tmp_path):
    good = by.matlab(
        by.matrix(7, (2, 2), single(4), b"layers"),
        by.element(15, zlib.compress(by.matrix(4, (1, 2), by.element(16, b"ab"), b"meta"))),
    )
    (tmp_path / "a.mat").write_bytes(good)
    found = read(tmp_path / "a.mat", "layers", "meta")
    np.testing.assert_array_equal(found["layers"], [[0, 2], [1, 3]])
    assert found["meta"] == "ab"
    (tmp_path / "a.mat").write_bytes(by.matlab(layers(nested(15))))
    assert read(tmp_path / "a.mat", "layers")["layers"][0][0] is not None
    theirs = scipy_io().loadmat(tmp_path / "a.mat")["layers"]
    assert theirs[0, 0][0, 0].shape == (1, 1)


def test_short_elements_hold_four_bytes_at_most(tmp_path):
    """A name of five, whose last one is also the type of what follows, is none."""
    head = by.element(6, struct.pack("<II", 7, 0)) + by.element(5, struct.pack("<2i", 1, 1))
    content = head + struct.pack("<HH", 1, 5) + b"abcd" + single(1)
    (tmp_path / "a.mat").write_bytes(by.matlab(by.element(14, content)))
    with pytest.raises(InputError):
        read(tmp_path / "a.mat", "abcd\7")
    (tmp_path / "a.mat").write_bytes(by.matlab(by.element(14, content.replace(b"\1\0\5\0abcd", b"\1\0\4\0abcd"))))
    assert read(tmp_path / "a.mat", "abcd")["abcd"].item() == 0


# --- what MatConvNet's files may look like ---


def network(**changes):
    """layers of a narrow VGG-16 up to conv5_3, with changes to the first."""
    cells = []
    for name, x in by.trunk().items():
        layer, kind = name.split(".")
        if kind == "weight":
            cells.append({"name": layer, "type": "conv", "weights": cell(x.transpose(2, 3, 1, 0), None)})
        else:
            cells[-1]["weights"][0, 1] = x[None]
    cells[0].update(changes)
    return cell(*cells)


@pytest.mark.parametrize(
    "about, mean",
    [
        ({}, (123.68, 116.779, 103.939)),
        ({"meta": {"normalization": {"averageImage": np.float32([[[120, 110, 100]]])}}}, (120, 110, 100)),
        ({"meta": {"normalization": {"averageImage": np.float32([[120, 110, 100]])}}}, (120, 110, 100)),
        ({"meta": {"normalization": {"averageImage": np.array([[120.0], [110], [100]])}}}, (120, 110, 100)),
        ({"normalization": {"averageImage": np.full((224, 224, 3), (120, 110, 100), np.uint8)}}, (120, 110, 100)),
        ({"meta": {"normalization": {"imageSize": np.ones(3)}}}, (123.68, 116.779, 103.939)),
        ({"meta": "none"}, (123.68, 116.779, 103.939)),
    ],
)
def test_the_mean_of_the_pictures(about, mean, tmp_path):
    scipy_io().savemat(tmp_path / "a.mat", {"layers": network(), **about})
    preprocessing = open_weights(tmp_path / "a.mat").preprocessing
    assert preprocessing.order == "RGB" and preprocessing.mean == mean and preprocessing.std == (1, 1, 1)


@pytest.mark.parametrize(
    "average", [np.zeros((2, 2)), np.full((1, 3), np.nan), np.full((1, 3), 300.0), np.zeros((0, 3))]
)
def test_impossible_means(average, tmp_path):
    meta = {"normalization": {"averageImage": average}}
    scipy_io().savemat(tmp_path / "a.mat", {"layers": network(), "meta": meta})
    with pytest.raises(InputError, match="averageImage is n"):
        open_weights(tmp_path / "a.mat")


@pytest.mark.parametrize(
    "variables, message",
    [
        ({"x": np.ones(3)}, "a MATLAB file with x, but no network of MatConvNet"),
        ({"layers": cell("a"), "params": np.ones(1), "vars": np.ones(1)}, "weights of another network"),
        ({"params": np.ones(1), "vars": np.ones(1)}, "no network of MatConvNet"),
        ({"layers": np.ones((2, 2))}, "no network"),
        ({"layers": cell()}, "no network|its arrays are none"),
        ({"layers": "text"}, "no network"),
        ({"layers": {"name": "conv1_1", "weights": cell(np.ones((3, 3)))}}, "lacks conv1_1.biases"),
        ({"layers": cell({"name": "conv1_1", "type": "conv"})}, "weights of another network"),
        ({"layers": cell({"name": np.ones(2), "weights": cell(np.ones(2))})}, "weights of another network"),
    ],
)
def test_other_mat_files(variables, message, tmp_path):
    scipy_io().savemat(tmp_path / "a.mat", variables)
    with pytest.raises(InputError, match=message):
        open_weights(tmp_path / "a.mat")


def test_sizes_of_one_at_the_end_that_matlab_drops(tmp_path):
    """A network whose conv1_1 has one channel: its filters are 3x3x3, its bias a number."""
    rng = np.random.default_rng(0)
    filters = rng.standard_normal((3, 3, 3)).astype(np.float32)
    changed = network(weights=cell(filters, np.float32([[7]])))
    scipy_io().savemat(tmp_path / "a.mat", {"layers": changed})
    arrays = {array.name: array for array in open_weights(tmp_path / "a.mat").arrays}
    assert arrays["conv1_1.weight"].stored.shape == (3, 3, 3) and arrays["conv1_1.weight"].shape == (3, 3, 3, 1)
    np.testing.assert_array_equal(arrays["conv1_1.weight"].read(), filters[..., None])
    np.testing.assert_array_equal(arrays["conv1_1.bias"].read(), np.float32([7]))
