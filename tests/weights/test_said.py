"""What a safetensors file of other people says of its preprocessing and classes, as minifcn.export writes it."""

import json

import handmade as by
import numpy as np
import pytest
from safetensors.numpy import save_file

from minifcn import load_weights
from minifcn.datasets.transforms import Preprocessing
from minifcn.models import Widths, fcn32s
from minifcn.weights import open_weights

PIXELS = Preprocessing("RGB", (1.5, 2, 3), (4, 5, 6))


def said(path, **metadata):
    save_file(by.trunk(), path, metadata={"format": "pt"} | {key: json.dumps(value) for key, value in metadata.items()})
    return path


def test_an_exported_file_comes_back_with_its_preprocessing_and_the_same_bits(tmp_path):
    path = said(tmp_path / "a", preprocessing=PIXELS.to_dict(), classes=["sky", "Straße"])
    report = load_weights(model := fcn32s(2, Widths(by.BLOCKS, 3), "same"), path)
    assert report.preprocessing == PIXELS and report.classes == ["sky", "Straße"]
    for name, x in by.trunk().items():
        theirs = x if x.ndim == 1 else x.transpose(2, 3, 1, 0)
        np.testing.assert_array_equal(model.parameters()[name].data, theirs, err_msg=name)


def test_a_file_that_says_nothing_has_what_goes_with_its_names(tmp_path):
    file = open_weights(said(tmp_path / "a"))
    assert file.preprocessing.order == "BGR" and file.classes is None
    assert open_weights(said(tmp_path / "a", preprocessing=PIXELS.to_dict())).preprocessing == PIXELS


@pytest.mark.parametrize(
    "metadata",
    [
        {"preprocessing": {"order": "RGB", "mean": [0, 0, 0], "std": [0, 1, 1]}},
        {"preprocessing": {**PIXELS.to_dict(), "mean": [1e300, 0, 0]}},
        {"preprocessing": {**PIXELS.to_dict(), "mean": [10**400, 0, 0]}},
        {"preprocessing": [[]]},
        {"classes": "sky"},
        {"classes": ["sky\x1b[2J"]},
        {"classes": []},
    ],
)
def test_what_makes_no_sense_is_refused(metadata, tmp_path):
    (name,) = metadata
    by.refused(said(tmp_path / "a", **metadata), f"damaged, or not of this minifcn: its {name} cannot be")


@pytest.mark.parametrize("text", ["{", "", "[" * 100_000, "\ud800".encode("utf-8", "replace").decode()])
def test_what_is_no_json_is_refused(text, tmp_path):
    save_file(by.trunk(), tmp_path / "a", metadata={"classes": text})
    by.refused(tmp_path / "a", "damaged")
