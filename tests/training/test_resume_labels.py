"""A run goes on only with labels that mean what they meant."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_data import make_set, train_run

from minifcn.errors import InputError
from minifcn.training.segmentation import Segmentation
from minifcn.training.task import open_run
from minifcn.weights import checkpoint

pytestmark = pytest.mark.usefixtures("tiny_trunk")


def test_a_resume_refuses_labels_that_mean_something_else(tmp_path):
    """A set of 0 and 255 with one stray 1 takes 255 for void; nothing of that stands in the settings."""
    data = Path(make_set(tmp_path / "set", [("train", 4)], classes=("ground", "object")))
    for path in (data / "labels").iterdir():
        Image.fromarray(np.where(np.array(Image.open(path)) == 1, 255, 0).astype(np.uint8)).save(path)
    run = train_run(tmp_path / "run", str(data))
    assert checkpoint.load(run.last)[1]["values"] == [0, 255]
    stray = np.array(Image.open(path))
    stray[0, 0] = 1
    Image.fromarray(stray).save(path)
    with pytest.raises(InputError, match=r"other settings or data: values \[0, 255\], now \[0, 1\]"):
        open_run(Segmentation, run.folder, run.settings)


def test_a_resume_without_any_good_label_file_names_one(tmp_path):
    data = Path(make_set(tmp_path / "set", [("train", 4)]))
    run = train_run(tmp_path / "run", str(data))
    for path in (data / "labels").iterdir():
        path.write_bytes(b"")
    with pytest.raises(InputError, match=r"train00\.png: unreadable"):
        open_run(Segmentation, run.folder, run.settings)


def test_a_resume_refuses_colours_that_were_swapped(tmp_path):
    """Classes and values are the same then, and every label has another meaning."""
    data = Path(make_set(tmp_path / "set", [("train", 4)], classes=("ground", "object")))
    (data / "classes.txt").write_text("ground 10 20 30\nobject 200 100 50\n")
    for path in (data / "labels").iterdir():
        ids = np.array(Image.open(path)) == 1
        Image.fromarray(np.array([(10, 20, 30), (200, 100, 50)], np.uint8)[ids.astype(int)]).save(path)
    run = train_run(tmp_path / "run", str(data))
    open_run(Segmentation, run.folder, run.settings)
    (data / "classes.txt").write_text("ground 200 100 50\nobject 10 20 30\n")
    with pytest.raises(InputError, match="other settings or data: colours "):
        open_run(Segmentation, run.folder, run.settings)
