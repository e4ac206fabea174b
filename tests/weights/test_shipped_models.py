"""The shipped networks: what their card says is so, and they predict before any training."""

import hashlib
import re

import numpy as np
import pytest
from commands import evaluate, predict
from PIL import Image
from small_data import draw, exit_status, fails

from experiments.results_page import COUNTED
from minifcn.datasets import camvid, voc
from minifcn.training import evaluation
from minifcn.training.settings import SegmentationSettings
from minifcn.weights import load_model, shipped

NAME = "camvid"
NETWORKS = {  # classes, those in the mean, the side, and Jaccards that a user may count on
    "camvid": (camvid.CLASSES, camvid.CLASSES, 720, {"mean": 60}),
    "voc": (voc.CLASSES, COUNTED["voc"], 320, {"cat": 35, "dog": 35, "person": 35}),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_the_card_names_the_checksum_and_size(name):
    classes, counted, _, bars = NETWORKS[name]
    content = (shipped.folder("models") / f"{name}.safetensors").read_bytes()
    card = (shipped.folder("models") / f"{name}.md").read_text(encoding="utf-8")
    assert hashlib.sha256(content).hexdigest() in card and f"{len(content):,} bytes" in card
    assert len(content) < 6_000_000
    table = dict(re.findall(r"^\| (\w+) \| ([\d.]+|absent) \|$", card, re.M))
    assert tuple(table) == tuple(classes)
    said = float(re.search(r"at one scale\): ([\d.]+) %", card).group(1))
    assert abs(np.mean([float(table[row]) for row in counted]) - said) < 0.1
    table["mean"] = said
    assert all(float(table[row]) >= least for row, least in bars.items())


@pytest.mark.parametrize("name", NETWORKS)
def test_it_is_a_whole_network_and_names_no_place(name):
    model, meta = load_model(shipped.find_model(name))
    classes, _, side, _ = NETWORKS[name]
    assert meta["classes"] == list(classes) and meta["side"] == side
    assert all(np.isfinite(p.data).all() and p.data.any() for p in model.parameters().values())
    assert [stage["model"] for stage in meta["stages"]][-1] == model.name
    assert all(stage["data"] == name and "/" not in stage["init"] for stage in meta["stages"])


def test_each_shipped_network_is_on_the_index_the_site_and_in_the_help():
    index = (shipped.folder("models") / "README.md").read_text(encoding="utf-8")
    site = (shipped.folder("models").parents[1] / "mkdocs.yml").read_text(encoding="utf-8")
    helped = SegmentationSettings.__dataclass_fields__["init"].metadata["help"]
    assert re.findall(r"^\| `(\w+)` \|", index, re.M) == [*shipped.shipped_files("models")] == [*NETWORKS]
    assert all(f"source/data/models/{name}.md" in site and name in helped for name in NETWORKS)


def test_it_predicts_and_scores_without_any_checkpoint(tmp_path, capsys):
    Image.fromarray(draw(3, 60, 90)[0]).save(tmp_path / "a.png")
    assert exit_status(predict.main, "--model", NAME, tmp_path / "a.png", "--out", tmp_path / "out") == 0
    with Image.open(tmp_path / "out" / "a.png") as mask:
        assert mask.size == (90, 60)
    for kind in ("", "annot"):
        (tmp_path / "set" / f"val{kind}").mkdir(parents=True)
    picture, labels = draw(4, 64, 96)
    Image.fromarray(picture).save(tmp_path / "set" / "val" / "x.png")
    Image.fromarray(np.where(labels == 255, 11, labels)).save(tmp_path / "set" / "valannot" / "x.png")
    assert exit_status(evaluate.main, "--model", NAME, "--data", tmp_path / "set", "--split", "val") == 0
    assert "on camvid val, 1 pictures" in capsys.readouterr().out


def test_pictures_are_scaled_to_the_side_it_was_trained_on_unless_told(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(
        evaluation, "classify", lambda model, x, look=None: seen.append(x.shape) or np.ones(x.shape[:3], np.uint8)
    )
    Image.fromarray(draw(3, 60, 90)[0]).save(tmp_path / "a.png")
    for more in ([], ["--side", 45], ["--side", 0]):
        assert exit_status(predict.main, "--model", NAME, tmp_path / "a.png", "--out", tmp_path / "o", *more) == 0
        with Image.open(tmp_path / "o" / "a.png") as mask:
            assert mask.size == (90, 60)
    assert seen == [(1, 480, 720, 3), (1, 30, 45, 3), (1, 60, 90, 3)]


def test_the_picture_is_where_it_was(tmp_path, monkeypatch):
    """Scaled down and up again, a half stays where it is."""

    def brighter(model, x, look=None):
        return (x[..., 0] > 0).astype(np.uint8)

    monkeypatch.setattr(evaluation, "classify", brighter)
    picture = np.zeros((80, 120, 3), np.uint8)
    picture[:, :60] = 255
    Image.fromarray(picture).save(tmp_path / "a.png")
    assert exit_status(predict.main, "--model", NAME, tmp_path / "a.png", "--out", tmp_path / "o", "--side", 60) == 0
    with Image.open(tmp_path / "o" / "a.png") as mask:
        np.testing.assert_array_equal(np.array(mask), picture[..., 0] // 255)


@pytest.mark.parametrize(
    "argv, message",
    [
        (["--model", "coco", "a.png"], "--model coco: shipped are camvid, voc"),
        (["runs/last.safetensors"], "no picture given"),
        (["--model", NAME, "a.png", "--side", "-1"], "--side: expected 0 or more, received -1"),
    ],
)
def test_bad_options_of_predict(argv, message, tmp_path, monkeypatch, capsys):
    Image.fromarray(draw(3, 60, 90)[0]).save(tmp_path / "a.png")
    monkeypatch.chdir(tmp_path)
    assert message in fails(capsys, predict.main, *argv)
    assert not (tmp_path / "predictions").exists()


@pytest.mark.parametrize("argv", [[], ["runs/last.safetensors", "--model", NAME]])
def test_evaluate_wants_one_network(argv, capsys):
    assert "expected a checkpoint, or --model and a name" in fails(capsys, evaluate.main, *argv)
