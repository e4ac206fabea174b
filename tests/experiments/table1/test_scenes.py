"""The report's pictures: which scenes are shown, and that each layer is what its network sees of them."""

import numpy as np
from PIL import Image

import minifcn as mf
from experiments.table1 import scenes
from minifcn.figures import colourise

PALETTE = np.array([[0, 0, 0], [200, 0, 0], [0, 0, 200]], np.uint8)


class Reader(mf.nn.Module):
    """Takes the class of each pixel from its first channel."""

    def __init__(self, meta):
        super().__init__()
        self.meta = meta

    def forward(self, x):
        return mf.Tensor(np.eye(3, dtype=np.float32)[x.data[..., 0].astype(int)])


class Pictures(list):
    """Three pictures of 3 x 5 with random classes in red, others in blue, and others for truth."""

    names, classes, palette = ["a", "b", "c"], ["sky", "car", "sign"], PALETTE

    def __init__(self):
        rng = np.random.default_rng(0)
        super().__init__((rng.integers(0, 3, (3, 5, 3), np.uint8), rng.integers(0, 3, (3, 5), np.uint8)) for _ in "abc")


def test_the_largest_and_the_smallest_objects_are_chosen():
    nothing = float("nan")
    assert scenes.extremes([8, nothing, 30, 4, 19], 2) == {"large": [2, 4], "small": [3, 0]}


def test_pictures_without_objects_show_none(tmp_path):
    scenes.draw(tmp_path, Pictures(), scenes.extremes([float("nan")] * 3, 2), {})
    assert scenes.read(tmp_path) == []


def test_each_layer_shows_what_its_network_predicts(tmp_path, monkeypatch):
    plain = {"mean": (0, 0, 0), "std": (1, 1, 1)}
    orders = {"fcn32s_vgg": "RGB", "fcn16s_fcn32s": "BGR", "fcn8s_fcn16s": "RGB"}
    monkeypatch.setattr(scenes, "load", lambda row: Reader({"preprocessing": {"order": orders[row], **plain}}))
    pictures = Pictures()
    scenes.draw(tmp_path, pictures, {"large": [2, 0], "small": [1]}, {row: row for row in orders})
    large, small = scenes.read(tmp_path)
    assert (large.name, small.name) == ("large_objects", "small_objects")
    assert large.classes == small.classes == Pictures.classes
    for shown, index in zip(large.scenes + small.scenes, (2, 0, 1), strict=True):
        picture, labels = pictures[index]
        expected = [picture, labels, picture[..., 0], picture[..., 2], picture[..., 0]]
        assert list(shown) == ["picture", "truth", *(scenes.ROWS[row].name for row in orders)]
        for (name, layer), x in zip(shown.items(), expected, strict=True):
            np.testing.assert_array_equal(layer, x, err_msg=name)


def test_void_stays_void_and_the_files_show_the_colours_of_the_classes(tmp_path):
    pictures = Pictures()
    pictures[1][1][0, 0] = 255
    scenes.draw(tmp_path, pictures, {"large": [1], "small": []}, {})
    (large,) = scenes.read(tmp_path)
    np.testing.assert_array_equal(large.scenes[0]["truth"], pictures[1][1])
    np.testing.assert_array_equal(large.palette, PALETTE)
    with Image.open(tmp_path / "large_b_1.png") as image:
        np.testing.assert_array_equal(np.asarray(image.convert("RGB")), colourise(pictures[1][1], PALETTE))
