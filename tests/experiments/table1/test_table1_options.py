"""The options of python -m minifcn.table1: those that are refused, and what is kept of the others."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_data import exit_status, fails, make_set

from experiments.table1 import __main__ as table1
from experiments.table1 import jobs, measurements
from experiments.table1.__main__ import LATER


@pytest.mark.parametrize(
    "options, message",
    [
        ("--seeds 0", "--seeds: expected more than 0, received 0"),
        ("--jobs 0", "--jobs: expected more than 0"),
        ("--scale 0", "--scale: expected more than 0"),
        ("--scale nan", "--scale: expected more than 0, received nan"),
        ("--scale inf", "--scale: expected more than 0, received inf"),
        ("--steps 0", "--steps: expected more than 0"),
        ("--lr 0.1 0", "--lr: expected more than 0, received 0.0"),
        ("--batch 0", "--batch: expected more than 0"),
        ("--batch 2", "--batch 2: some runs have 1 pictures of"),
        ("--fc 0", "--fc: expected 1 to 16384, received 0"),
        ("--fc 16385", "--fc: expected 1 to 16384, received 16385"),
        ("--skip-scale nan 1", "--skip-scale: expected -1e6 to 1e6, received nan"),
        ("--skip-scale 1 2e6", "--skip-scale: expected -1e6 to 1e6, received 2000000.0"),
        ("--rate-steps 0", "--rate-steps: expected more than 0"),
        ("--batch 1 --rate-steps 1", "--rate-steps: parts of the pictures need all rates in full; add --without pre"),
        ("--batch 1 --mean-of square sky", "--mean-of sky: no class of"),
        ("--init nowhere.pth", "nowhere.pth"),
        ("--trunk vgg16", "weights are shipped for vgg_quarter, not for vgg16"),
    ],
)
def test_bad_options(options, message, data, tmp_path, capsys):
    assert message in fails(capsys, table1.main, "--data", data, "--out", tmp_path / "runs", *options.split())
    assert not (tmp_path / "runs").exists()


def test_bad_places(data, tmp_path, capsys):
    assert "no results of a report (" in fails(capsys, table1.main, "--report", tmp_path)
    alone = make_set(tmp_path / "alone", [("train", 12)])
    assert "no split 'val'; there are: train" in fails(capsys, table1.main, "--data", alone, "--out", tmp_path / "runs")
    void = Path(make_set(tmp_path / "void", [("train", 12), ("test", 2)]))
    for name in (void / "test.txt").read_text().split():
        labels = np.asarray(Image.open(void / "labels" / f"{name}.png"))
        Image.fromarray(np.full_like(labels, 255)).save(void / "labels" / f"{name}.png")
    assert "test: every pixel of the labels is void" in fails(capsys, table1.main, "--data", void)
    (tmp_path / "file").write_text("")
    message = fails(capsys, table1.main, "--data", data, "--batch", 1, "--out", tmp_path / "file")
    assert str(tmp_path / "file") in message and "choose another" in message


def test_the_command_names_what_is_left_out_after_all(data, tmp_path, idle):
    """Parts that an earlier command measured stay in the report."""
    path = tmp_path / "table1_shapes" / "results" / "options.json"
    for without, left_out in (("footprint realtime", "footprint realtime"), ("stride footprint", "footprint")):
        options = ["--data", data, "--out", tmp_path, "--batch", 1, "--without", *without.split()]
        assert exit_status(table1.main, *options) == 0
        assert json.loads(path.read_text())["command"].endswith(f"--without {left_out}")


def test_options_that_are_not_the_default_are_in_the_command_and_decide(data, tmp_path, idle, capsys):
    given = "--batch 1 --fc 24 --skip-scale 0.01 0.002 --mean-of disc ground --without pretraining --rate-steps 3"
    options = ["--data", data, "--out", tmp_path, *given.split()]
    assert exit_status(table1.main, *options) == 0
    said = json.loads((tmp_path / "table1_shapes" / "results" / "options.json").read_text())["command"]
    assert said.endswith("--without pretraining --rate-steps 3 --fc 24 --skip-scale 0.01 0.002 --mean-of disc ground")
    options[options.index("24")] = "32"
    assert "a report with other options (fc 24, now 32)" in fails(capsys, table1.main, *options)


def test_a_report_from_before_contents_were_kept_goes_on(data, tmp_path, idle):
    options = ["--data", data, "--out", tmp_path, "--batch", 1]
    assert exit_status(table1.main, *options) == 0
    path = tmp_path / "table1_shapes" / "results" / "options.json"
    before = json.loads(path.read_text())
    path.write_text(json.dumps({name: value for name, value in before.items() if name not in ("contents", "without")}))
    assert exit_status(table1.main, *options) == 0
    assert json.loads(path.read_text()) == before


def test_a_report_from_before_an_option_was_made_without_it(data, tmp_path, idle, capsys):
    options = ["--data", data, "--out", tmp_path, "--batch", 1]
    assert exit_status(table1.main, *options) == 0
    path = tmp_path / "table1_shapes" / "results" / "options.json"
    path.write_text(json.dumps({name: x for name, x in json.loads(path.read_text()).items() if name not in LATER}))
    for more, said in (("--fc 24", "fc None, now 24"), ("--skip-scale 1 0.5", "skip_scale [1.0, 1.0], now [1.0, 0.5]")):
        assert f"a report with other options ({said})" in fails(capsys, table1.main, *options, *more.split())
    assert exit_status(table1.main, *options) == 0


def test_parts_can_be_left_out(data, tmp_path, monkeypatch):
    asked = {}
    monkeypatch.setattr(jobs, "run_jobs", lambda todo, *_, **__: asked.update(runs={job.name for job in todo}))
    monkeypatch.setattr(measurements, "measure", lambda folder, options, stop: asked.update(parts=options.parts))
    without = "pretraining stride footprint".split()
    assert exit_status(table1.main, "--data", data, "--out", tmp_path, "--without", *without) == 0
    assert asked["parts"] == ["realtime"] and all(name.startswith("table/") for name in asked["runs"])


def test_help_fits_a_screen(capsys):
    with pytest.raises(SystemExit):
        table1.main(["--help"])
    assert len(capsys.readouterr().out.splitlines()) <= 40
