"""toytown_sizes: the same scenes with cars, persons and signs of another size, and nothing else changed."""

import hashlib
import subprocess
from argparse import Namespace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from small_data import make_set, planned

from minifcn.datasets import has_split, lasting_name, list_splits, open_dataset, toytown
from minifcn.datasets.toytown import SPLITS, Toytown, ToytownSizes
from minifcn.datasets.toytown import scene as toytown_scene
from minifcn.datasets.toytown.canvas import CAR, PAVEMENT, PERSON, POLE, ROAD, SIGN, TREE, Camera
from minifcn.datasets.toytown.enlarge import enlarged, enlarged_cast
from minifcn.datasets.toytown.scene import draw_scene, place_camera
from minifcn.errors import InputError
from minifcn.randomness import counted_rng
from minifcn.training.settings import TOYTOWN_STEPS

SCENES = (5, 8, 11)  # of the test split: clear, dusk with lamps, and one where cars and persons stand before each other
COMPACT = (CAR, PERSON, SIGN)
scene = cache(draw_scene)


@pytest.fixture
def small(monkeypatch):
    """Splits small enough to draw in a test."""
    for split, count in {"train": 3, "val": 2, "test": 6}.items():
        monkeypatch.setitem(SPLITS, split, count)


def digest(picture, labels):
    return hashlib.sha256(picture.tobytes() + labels.tobytes()).hexdigest()[:16]


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ((0, 0, 0), [214, 230, 153, 143, 193, 196, 95, 80, 76, 119, 89, 85, 74, 83, 83, 79]),
        ((0, 1, 3), [60, 61, 62, 61, 107, 85, 79, 78, 123, 115, 105, 101, 122, 101, 98, 98]),
        ((3, 2, 7), [195, 187, 152, 170, 170, 152, 128, 148, 137, 107, 113, 111, 89, 88, 93, 87]),
        # with sizes: a street whose exposure its houses' shadows set, and one with large things
        ((0, 2, 8, 0.5), [110, 90, 133, 119, 90, 77, 85, 57, 65, 64, 65, 104, 42, 57, 46, 63]),
        ((0, 2, 5, 2.0), [131, 145, 134, 122, 116, 118, 127, 117, 108, 123, 134, 101, 132, 129, 107, 92]),
    ],
)
def test_scenes_are_those_of_v2(key, expected):
    """Means of 4 x 4 cells, as they were drawn by the first code of this version: rounding may differ, no more."""
    picture, _ = draw_scene(*key)
    np.testing.assert_allclose(picture.reshape(4, 40, 4, 48, 3).mean(axis=(1, 3, 4)).ravel(), expected, atol=1)


@pytest.mark.parametrize(("small", "large"), [(0.25, 0.5), (0.5, 1.0), (1.0, 2.0), (0.25, 2.0)])
@pytest.mark.parametrize("index", SCENES)
def test_nothing_changes_where_no_object_or_shadow_is(index, small, large):
    """Pixels of two sizes differ in or next to an object of either, and in shadows: the ground near the objects."""
    (a, labels_a), (b, labels_b) = scene(0, 2, index, small), scene(0, 2, index, large)
    near = grown(np.isin(labels_a, COMPACT) | np.isin(labels_b, COMPACT), 4)
    void = (labels_a == 255) | (labels_b == 255)
    assert (labels_a == labels_b)[~near & ~void].all()
    differs = (a != b).any(axis=2) & ~near & ~void
    ground = np.isin(labels_a, (ROAD, PAVEMENT))
    assert np.count_nonzero(differs & ~ground) <= 3  # a far sign, too small to be anything but void
    if large <= 1:
        assert 0 < differs[ground & ~near].mean() < 0.25


@pytest.mark.parametrize("index", SCENES)
@pytest.mark.parametrize("label", COMPACT)
def test_objects_grow_with_the_size(index, label):
    areas = [np.count_nonzero(scene(0, 2, index, size)[1] == label) for size in (0.25, 0.5, 1.0)]
    assert areas[0] < areas[1] < areas[2] or (index, label, areas) == (11, SIGN, [0, 0, 0])


def test_twice_the_size_is_four_times_the_area():
    """Nearly: small cars lose more of themselves to the void of their borders, large ones to the edge and to others."""
    areas = {size: sum(np.count_nonzero(scene(0, 2, i, size)[1] == CAR) for i in SCENES) for size in (0.25, 0.5, 1.0)}
    assert 3.3 < areas[0.5] / areas[0.25] < 5.5
    assert 2.5 < areas[1.0] / areas[0.5] < 4.6


def test_other_classes_keep_their_size():
    for index in SCENES:
        one, other = (scene(0, 2, index, size)[1] for size in (0.25, 0.5))
        for label in (POLE, TREE):
            visible = (one == label) & ~grown(np.isin(other, COMPACT), 2)
            assert ((other == label) | ~visible).all()


def test_the_same_again_and_from_another_order():
    first = draw_scene(0, 2, 5, 0.5)
    draw_scene(0, 2, 8, 2.0)
    for one, other in zip(first, draw_scene(0, 2, 5, 0.5), strict=True):
        np.testing.assert_array_equal(one, other)
    assert digest(*first) != digest(*draw_scene(0, 2, 5, 1.0))
    assert digest(*draw_scene(0, 2, 5, 1.0)) != digest(*draw_scene(0, 2, 5))


def test_each_part_of_a_scene_has_random_numbers_of_its_own(monkeypatch):
    """The ground's twice: once without things, to measure the light, and once with them."""
    asked = []
    monkeypatch.setattr(toytown_scene, "counted_rng", lambda *key: asked.append(key) or counted_rng(*key))
    draw_scene(0, 2, 5, 1.0)
    assert asked[0] == (0, 2, 5) and {key[:3] for key in asked} == {(0, 2, 5)}
    numbers = sorted(key[3] for key in asked[1:])
    assert numbers == [0, 0, *range(1, len(numbers) - 1)] and len(numbers) > 10
    asked.clear()
    draw_scene(0, 2, 5)
    assert asked == [(0, 2, 5)]


def test_what_stands_at_a_place_is_enlarged_about_its_foot():
    camera = place_camera(Namespace(facade=6.0), counted_rng(7))
    ahead = camera.position + 12 * camera.forward
    place = (ahead[0], ahead[2])
    foot, head, aside = (np.add((place[0], 0, place[1]), x) for x in ((0, 0, 0), (0, 1.7, 0), (0.5, 0.3, 0.2)))
    before = camera.project(np.stack([foot, head, aside]))
    after = enlarged(camera, place, 3).project(np.stack([foot, head, aside]))
    np.testing.assert_allclose(after, before[0] + 3 * (before - before[0]), atol=1e-6)
    assert enlarged(camera, place, 3).focal == 3 * camera.focal
    np.testing.assert_array_equal(enlarged(camera, place, 1).matrix, camera.matrix)


def test_a_shadow_is_enlarged_in_the_picture_as_the_thing_is():
    camera = Camera((0, 2, 0), 0.1, 150, 70, 0.03)
    larger = enlarged(camera, (1, 12), 2.5)
    cast = np.array([[0.5, 0, 11.5], [1.5, 0, 11.5], [1.5, 0, 12.4]])
    (moved,) = enlarged_cast(camera, larger, cast)
    np.testing.assert_allclose(camera.project(moved), larger.project(cast), atol=1e-6)
    np.testing.assert_allclose(moved[:, 1], 0)
    towards_the_horizon = np.array([[0.5, 0, 11], [1.5, 0, 11], [1, 0, 60]])
    (cut,) = enlarged_cast(camera, enlarged(camera, (1, 12), 8), towards_the_horizon)
    depths = [camera.depth(point) for point in cut]
    assert len(cut) == 4 and 99 < max(depths) <= 100.001 and min(depths) > 0
    assert enlarged_cast(camera, larger, cast - [0, 0, 40]) == []  # behind the camera


def test_sizes_and_scenes_of_the_splits(small, tmp_path):
    train, test = ToytownSizes("train", root=tmp_path), open_at(tmp_path, "test")
    assert train.sizes == [0.5, 1.0, 2.0]
    assert (len(test), test.name, test.names[5]) == (6, "toytown_sizes", "test_005")
    for data, split, item, key in ((train, 0, 2, (2, 2.0)), (test, 2, 2, (0, 2.0)), (test, 2, 4, (1, 0.5))):
        for cached, drawn in zip(data[item], scene(0, split, *key), strict=True):
            np.testing.assert_array_equal(cached, drawn)


def open_at(root: Path, split: str):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MINIFCN_CACHE", str(root / "cache"))
        return open_dataset("toytown_sizes", split)


def test_it_shares_no_cache_with_toytown(small, tmp_path):
    sized, plain = ToytownSizes("val", root=tmp_path), Toytown("val", root=tmp_path)
    assert sized.folder != plain.folder
    assert digest(*sized[1]) != digest(*plain[1])
    np.testing.assert_array_equal(plain[1][0], draw_scene(0, 1, 1)[0])


def test_an_interrupted_cache_is_completed(small, tmp_path):
    data = ToytownSizes("val", root=tmp_path)
    before = data[1]
    stamp = (data.folder / "labels" / "val_000.png").stat().st_mtime_ns
    (data.folder / "labels" / "val_001.png").unlink()
    (data.folder / "pictures" / "val_001.png").unlink()
    again = ToytownSizes("val", root=tmp_path)
    for one, other in zip(before, again[1], strict=True):
        np.testing.assert_array_equal(one, other)
    assert (data.folder / "labels" / "val_000.png").stat().st_mtime_ns == stamp


def test_a_second_process_draws_the_same(small, tmp_path, monkeypatch):
    alone = ToytownSizes("test", root=tmp_path)
    started = []
    monkeypatch.setattr(toytown.subprocess, "Popen", lambda command, **_: started.append(command) or Process())
    with toytown.helper(ToytownSizes, tmp_path, "test", 0, [1, 6]):
        pass
    monkeypatch.undo()  # what it would have started, but to its end, and elsewhere
    for kind in ("pictures", "labels"):
        (tmp_path / kind).mkdir()
    with subprocess.Popen(started[0], stdin=subprocess.PIPE) as process:
        assert process.wait(timeout=60) == 0
    for kind in ("pictures", "labels"):
        assert sorted(path.name for path in (tmp_path / kind).iterdir()) == ["test_001.png", "test_006.png"]
        one, other = (place / kind / "test_001.png" for place in (tmp_path, alone.folder))
        assert one.read_bytes() == other.read_bytes()


class Process:
    def terminate(self): ...

    def communicate(self): ...


@pytest.mark.parametrize(("many", "cpus", "helpers"), [(2, 2, 1), (3, 2, 0), (2, 1, 0), (2, None, 0)])
def test_a_second_process_is_started_where_it_is_worth_it(small, tmp_path, monkeypatch, many, cpus, helpers):
    started = []
    monkeypatch.setattr(toytown, "MANY", many)
    monkeypatch.setattr(toytown.os, "cpu_count", lambda: cpus)
    monkeypatch.setattr(toytown.subprocess, "Popen", lambda command, **_: started.append(command) or Process())
    ToytownSizes("val", root=tmp_path)
    assert len(started) == helpers


def test_it_is_opened_by_its_name_and_named_in_errors(small, tmp_path):
    assert list_splits("toytown_sizes") == ["train", "val", "test"] and has_split("toytown_sizes", "val")
    with pytest.raises(InputError, match="toytown_sizes has the splits train, val, test, received 'trian'"):
        open_dataset("toytown_sizes", "trian")
    with pytest.raises(InputError, match="'toytown' or 'toytown_sizes'"):
        open_dataset(tmp_path / "nowhere", "train")


def test_a_configuration_keeps_the_name_and_not_a_path(small, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert lasting_name("toytown_sizes") == "toytown_sizes" and lasting_name("toytown") == "toytown"
    assert lasting_name("mine") == str(tmp_path.resolve() / "mine")
    [drawn] = planned(["--data", "toytown_sizes", "--model", "fcn32s"])
    assert (drawn.data, drawn.steps) == ("toytown_sizes", TOYTOWN_STEPS)
    [mine] = planned(["--data", make_set("mine", [("train", 4)]), "--model", "fcn32s"])
    assert (mine.data, mine.steps) == (str(tmp_path.resolve() / "mine"), 40 * 2)


def grown(mask: np.ndarray, pixels: int) -> np.ndarray:
    """A mask (H, W) and all that is as near to it as that, across or along."""
    padded = np.pad(mask, pixels)
    H, W = mask.shape
    moved = [padded[y : y + H, x : x + W] for y in range(2 * pixels + 1) for x in range(2 * pixels + 1)]
    return np.logical_or.reduce(moved)
