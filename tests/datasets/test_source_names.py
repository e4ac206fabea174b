"""Folders of pictures and labels: which picture a label file belongs to, splits, and lists of classes."""

import pytest
from labelled_data import drawn, label_picture, labels_of, make, notes, opened, picture

from minifcn.datasets.sources import Source, pictures_of_labels
from minifcn.errors import InputError


@pytest.fixture
def raw(tmp_path):
    (tmp_path / "raw").mkdir()
    return tmp_path / "raw"


@pytest.mark.parametrize(
    ("photo", "mask"),
    [
        ("images/a.jpg", "masks/a.png"),
        ("JPEGImages/a.jpg", "SegmentationClass/a.png"),
        ("img/train/a.jpg", "gt/train/a_gt.png"),
        ("train/images/a.jpg", "train/labels/a.png"),
        ("train/a.png", "trainannot/a.png"),
        ("train/a.png", "train_labels/a_L.png"),
        ("a.jpg", "a-mask.png"),
        ("a.jpg", "a_MASK.PNG"),
        ("photos/a_L.jpg", "masks/a_L.png"),
        ("701_StillsRaw_full/a.png", "LabeledApproved_full/a_L.png"),
        ("images/日本 <1>.jpg", "Annotations/日本 <1>_label.png"),
    ],
)
def test_names_and_folders(raw, photo, mask):
    picture(raw / photo)
    label_picture(raw / mask, labels_of(0))
    picture(raw / "SegmentationObject" / "a.png")
    (raw / photo).with_name("._a.jpg").write_bytes(b"x")
    (raw / ".trash" / "masks").mkdir(parents=True)
    (raw / ".trash" / "masks" / "b.png").write_bytes(b"x")
    source = opened(raw)
    coding, labels = drawn(source)
    assert source.faults == 0
    assert list(labels) == [photo] and len(coding.classes) == 3


def test_labels_without_a_picture_and_the_split_of_equal_names(raw):
    for split in ("train", "val"):
        picture(raw / split / "images" / "a.jpg")
        label_picture(raw / split / "masks" / "a.png", labels_of(0))
    label_picture(raw / "val" / "masks" / "b.png", labels_of(0))
    source = opened(raw)
    labels = drawn(source)[1]
    assert list(labels) == ["train/images/a.jpg", "val/images/a.jpg"]
    assert [source.split(raw / path) for path in labels] == ["train", "val"]
    assert source.faults == 1 and "b.png: its picture 'b' is not in " in "".join(notes(source))


def test_splits_are_whole_words(raw):
    source = opened(raw)
    paths = {"trainset/a": None, "my_train-2/a": "train", "Validation/a": "val", "testing/a": "test", "contest/a": None}
    assert {path: source.split(raw / path) for path in paths} == paths


def test_the_lists_that_tools_write_are_found_and_given_ones_go_before(raw):
    for name in ("labels.txt", "class_names.txt", "label_colors.txt", "labelmap.txt"):
        path = raw / "sub" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("road\ncar\n")
        assert opened(raw).coding.classes == ["road", "car"]
        path.unlink()
    path.write_text("road\ncar\n")
    assert opened(raw, "sky\n").coding.classes == ["sky"]


def test_the_names_of_pictures_tell_no_split(raw):
    source = opened(raw)
    names = "train1.jpg", "masks/val5.png", "test/images/train_2.jpg", "val/x/labels/labels.png", "val3.json"
    assert [source.split(raw / name) for name in names] == [None, None, "test", "val", None]
    source.coco = True
    assert source.split(raw / "val3.jpg", raw / "annotations" / "instances_train2017.json") == "train"


@pytest.mark.parametrize(
    ("photo", "where", "name"),
    [
        ("cam1/1.jpg", "a.json", "cam2/1.jpg"),
        ("cam1/1.jpg", "a.json", "images\\cam2\\1.jpg"),
        ("cam1/1.jpg", "cam3/1.json", "1.jpg"),
        ("cam1/1.jpg", "1.json", "../cam3/1.jpg"),
        ("cam1/1.jpg", "1.json", "C:\\data\\cam3\\1.jpg"),
        ("cam1/1.jpg", "cam3/masks/1.png", "cam3/masks/1.png"),
    ],
)
def test_a_picture_in_a_folder_of_another_name_is_not_taken(raw, photo, where, name):
    for path in (photo, "cam3/images/0.jpg"):
        picture(raw / path)
    with pytest.raises(
        InputError, match=r"its picture '1' is not in .*raw \('.*cam1/1.jpg' is in another folder\); put"
    ):
        opened(raw).find_picture(name, raw / where)
    for other in ("1.jpg", "/home/me/1.jpg", "cam1/1.jpg", "up/cam1/1.jpg", "../mine/1.jpg", "D:\\mine\\1.jpg"):
        assert opened(raw).find_picture(other, raw / "a.json") == raw / photo


def test_what_was_not_used_is_noted_in_groups(raw):
    make(raw, labels_of(0))
    for name in ("images/7.jpg", "images/8.jpg", "SegmentationObject/9.png"):
        picture(raw / name)
    for name in ("a.tga", "b.tga", "LICENSE", "classes.txt", "train.txt", "val.txt.orig", ".hidden"):
        (raw / name).write_text("")
    (raw / "classes.txt").write_text("sky\nroad\n")
    source = opened(raw)
    [[found, where, _]] = pictures_of_labels(source)[2]
    source.used.update((found, where))
    source.note_unused()
    assert source.told() == [
        f"note {raw}/LICENSE: not used (no extension)",
        f"note {raw}/SegmentationObject/9.png: not used (.png)",
        f"2 notes, the first: {raw}/a.tga: not used (.tga)",
        f"2 notes, the first: {raw}/images/7.jpg: no labels for this picture",
        f"note {raw}/val.txt.orig: not used (.orig)",
    ]


def test_a_given_list_in_the_source_is_used_however_its_path_is_written(raw):
    (raw / "names.txt").write_text("sky\nroad\n")
    source = Source(raw, raw / ".." / "raw" / "names.txt", None, raw.parent / "ask.txt")
    source.note_unused()
    assert not source.notes


def test_drawings_of_the_labels_are_no_pictures(raw):
    """overlays/0.png has the very name of masks/0.png, but the picture is in images/."""
    make(raw, labels_of(0), labels_of(1))
    for i in range(2):
        picture(raw / "overlays" / f"{i}.png", i)
    assert set(drawn(opened(raw, "sky\ntree\ncar\n"))[1]) == {"images/0.jpg", "images/1.jpg"}
