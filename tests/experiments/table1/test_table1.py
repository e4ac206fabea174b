"""python -m minifcn.table1: the whole of it on a tiny set, its options, and the documents made from its results."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_data import exit_status, fails, make_set

from experiments.table1 import __main__ as table1
from experiments.table1 import build, cost, jobs, measurements, pretraining, table
from experiments.table1.blocks import markdown
from experiments.table1.jobs import alone_in
from minifcn import table1 as forwarding
from minifcn.training.loop import Stopped
from minifcn.weights import checkpoint
from minifcn.weights.shipped import find_weights

ROOT = Path(__file__).resolve().parents[3]
OPTIONS = "--steps 2 --batch 1 --lr 0.01 --seeds 2 --scale 0.8 --jobs 2"


@pytest.fixture(scope="module")
def made(data, tmp_path_factory):
    """The folder of a whole report."""
    out = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        small = [cost.FOOTPRINTS[0] | {"trunk": "vgg_quarter", "height": 32, "width": 40, "steps": 2}]
        patch.setattr(cost, "FOOTPRINTS", small)
        patch.setattr(cost, "PICTURES", {"vgg_quarter": 5})
        patch.setattr(pretraining, "FRACTIONS", (0.5, 1.0))
        assert exit_status(table1.main, "--data", data, "--out", out, *OPTIONS.split()) == 0
    return out / "table1_shapes"


def test_it_writes_a_report_with_every_row(made):
    text = (made / "report.md").read_text()
    for row in table.ROWS.values():
        assert re.search(rf"^\| {re.escape(row.name)} \| [\d.]+ \|", text, re.M), row.name
    headings = re.findall(r"^## (.*)$", text, re.M)
    first = ["The table", "What it looks like", "What the stride decides", "Do pretrained weights cut the time?"]
    assert headings[:4] == first and len(headings) == 6
    said = f"{OPTIONS.removesuffix(' --jobs 2')} --trunk vgg_quarter --init vgg"
    assert f"`python -m minifcn.table1 --data shapes {said}`" in text
    named = set(re.findall(r"\]\((\w+\.png)\)", text))
    assert named == {path.name for path in made.glob("*.png")} and len(named) >= 7
    for name in named:
        with Image.open(made / name) as picture:
            assert min(picture.size) > 300


def test_a_score_in_the_report_is_that_of_its_run(made):
    runs = [made / "table" / "fcn16s_fcn32s" / run for run in ("lr0.01", "seed1")]  # seed 0 had no other rate
    scores = [100 * json.loads((run / "metrics.json").read_text())["test"]["jaccard"] for run in runs]
    lines = (made / "report.md").read_text().splitlines()
    line = next(line for line in lines if line.startswith("| FCN-16s from 32s weights |"))
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[1] == f"{sum(scores) / 2:.1f}" and cells[-2:] == [f"{score:.1f}" for score in scores]


def test_the_page_in_a_browser_holds_the_same_tables(made, browser):
    tab = browser.open((made / "report.html").as_uri())
    found = tab.run("[...document.querySelectorAll('th, td')].map(cell => cell.textContent)")
    rows = re.findall(r"^\| (?!---)(.*) \|$", (made / "report.md").read_text(), re.M)
    assert found == [cell.strip() for row in rows for cell in row.split("|")] and len(found) > 150
    assert tab.run("[...document.images].every(x => x.complete && x.naturalWidth > 0)")
    shown = tab.run("[...document.querySelectorAll('.scenes')].map(x => x.querySelectorAll('.buttons label').length)")
    assert shown == [2 * 5, 2 * 5]  # picture, truth and three networks, of two scenes each
    statements = tab.run("[...document.querySelectorAll('.verdict .statement')].map(x => x.textContent)")
    assert len(statements) == 7 and "Pretrained weights cut the time to an acceptable result." in statements
    assert not tab.problems and tab.run("document.body.scrollWidth <= innerWidth")


def test_results_are_one_file_each_and_name_no_place(made, data):
    names = sorted(path.name for path in (made / "results").glob("*.json"))
    assert len([name for name in names if name.startswith("table__")]) == 8 * (1 + 2)  # one rate, two seeds
    assert len([name for name in names if name.startswith("pretraining__")]) == 2 * 1  # the other share is the table's
    for name in names:
        text = (made / "results" / name).read_text()
        content = json.loads(text)
        assert str(made.parent) not in text and str(Path(data).parent) not in text, name
        if "__" in name:
            assert {"settings", "commit", "machine", "scores", "course"} <= set(content)
        elif name not in ("options.json", "scenes.json"):
            assert content["of"] == len(content["records"])
            assert all({"commit", "machine"} <= set(record) for record in content["records"])


def test_the_same_command_has_nothing_left_to_do(made, data, monkeypatch, capsys):
    monkeypatch.setattr(jobs, "start", lambda *_, **__: pytest.fail("a run was done again"))
    monkeypatch.setattr(measurements, "recall_of", lambda *_: pytest.fail("measured again"))
    monkeypatch.setattr(cost, "in_own_process", lambda *_, **__: pytest.fail("measured again"))
    before = (made / "report.md").read_bytes()
    (made / "report.md").unlink()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cost, "FOOTPRINTS", cost.FOOTPRINTS[:1])
        patch.setattr(cost, "PICTURES", {"vgg_quarter": 5})
        patch.setattr(pretraining, "FRACTIONS", (0.5, 1.0))
        assert exit_status(table1.main, "--data", data, "--out", made.parent, *OPTIONS.split()) == 0
    assert (made / "report.md").read_bytes() == before
    assert f"look at {made / 'report.html'}" in capsys.readouterr().out


def test_a_report_is_written_anew_from_its_results(made, monkeypatch):
    monkeypatch.setattr(pretraining, "FRACTIONS", (0.5, 1.0))
    before = {name: (made / name).read_bytes() for name in ("report.md", "report.html")}
    for name in before:
        (made / name).unlink()
    assert exit_status(table1.main, "--report", made) == 0
    assert {name: (made / name).read_bytes() for name in before} == before


def test_other_options_do_not_mix_with_what_is_there(made, data, capsys):
    other = OPTIONS.replace("--steps 2", "--steps 3")
    message = fails(capsys, table1.main, "--data", data, "--out", made.parent, *other.split())
    assert "a report with other options (steps 2, now 3)" in message and "--name" in message


def test_a_partial_report_leaves_out_what_is_missing(made, tmp_path):
    for name in (build.OPTIONS, build.FOOTPRINT):
        (tmp_path / f"{name}.json").write_bytes((made / "results" / f"{name}.json").read_bytes())
    text = markdown(build.report(build.read(tmp_path)))
    assert "3 GB at batch 1" in text and "FCN-16s from scratch" not in text
    assert len(re.findall("^## ", text, re.M)) == 1


def test_an_unfinished_measurement_is_not_judged(made, tmp_path):
    for path in (made / "results").glob("*.json"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    path = tmp_path / f"{build.REALTIME}.json"
    content = json.loads(path.read_text())
    assert "real-time use" in markdown(build.report(build.read(tmp_path)))
    path.write_text(json.dumps(content | {"records": content["records"][:-1]}))
    assert "real-time use" not in markdown(build.report(build.read(tmp_path)))


def test_a_damaged_result_is_named(made, tmp_path, capsys):
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "options.json").write_bytes((made / "results" / "options.json").read_bytes()[:-9])
    assert "options.json: damaged" in fails(capsys, table1.main, "--report", tmp_path)
    (tmp_path / "results" / "options.json").write_text("{}")
    assert "no whole options.json" in fails(capsys, table1.main, "--report", tmp_path)


def test_another_data_set_of_the_same_name_is_told(made, data, tmp_path, capsys):
    other = make_set(tmp_path / "shapes", [("train", 13), ("test", 2)])
    message = fails(capsys, table1.main, "--data", other, "--out", made.parent, *OPTIONS.split())
    assert "(pictures 12, now 13)" in message


@pytest.mark.parametrize("what", ["pictures", "weights"])
def test_other_contents_of_the_same_name_are_told(what, made, data, tmp_path, capsys):
    options = {"--data": data, "--init": find_weights("vgg", "vgg_quarter")}
    if what == "pictures":
        options["--data"] = shutil.copytree(data, tmp_path / "shapes")
        first = sorted((tmp_path / "shapes" / "images").iterdir())[0]
        Image.fromarray(255 - np.asarray(Image.open(first))).save(first)
    else:
        tensors, meta = checkpoint.load(options["--init"])
        options["--init"] = tmp_path / options["--init"].name
        checkpoint.save(options["--init"], {name: x + x for name, x in tensors.items()}, meta)
    words = [word for pair in options.items() for word in pair]
    assert "(contents " in fails(capsys, table1.main, *words, "--out", made.parent, *OPTIONS.split())


def test_the_mean_of_some_classes_is_what_is_reported(made, tmp_path):
    for path in (made / "results").glob("*.json"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    options = json.loads((tmp_path / "options.json").read_text())
    (tmp_path / "options.json").write_text(json.dumps(options | {"mean_of": ["ground", "disc"]}))
    by_class = json.loads((made / "results" / "table__fcn16s_vgg__seed1.json").read_text())["scores"]["class_jaccard"]
    found = build.read(tmp_path)
    expected = ((by_class["ground"] or 0) + (by_class["disc"] or 0)) / 2
    assert found["table/fcn16s_vgg/seed1"]["scores"]["jaccard"] == pytest.approx(expected)
    assert "Jaccard in per cent on test (mean of ground, disc), scored" in markdown(build.report(found))


def test_two_at_once_are_refused(data, tmp_path, idle, capsys):
    options = ["--data", data, "--out", tmp_path, "--batch", 1]
    assert exit_status(table1.main, *options, "--without", "footprint") == 0
    folder = tmp_path / "table1_shapes"
    before = (folder / "results" / "options.json").read_bytes()
    with alone_in(folder):
        assert f"{folder}: process {os.getpid()} on " in fails(capsys, table1.main, *options)
    assert (folder / "results" / "options.json").read_bytes() == before  # the other one's


def test_stopped_it_tells_how_to_go_on_and_writes_what_there_is(data, tmp_path, monkeypatch, capsys):
    def stopped(*_, **__):
        raise Stopped("stopping")

    monkeypatch.setattr(jobs, "run_jobs", stopped)
    assert exit_status(table1.main, "--data", data, "--out", tmp_path, "--batch", 1) == 130
    words = f"python -m minifcn.table1 --data {data} --out {tmp_path} --batch 1"
    assert f"go on with the same command: {words}" in capsys.readouterr().out
    assert (tmp_path / "table1_shapes" / "report.html").exists()


def test_latency_is_told_with_the_jaccard_of_that_network_and_size(made, data):
    records = json.loads((made / "results" / f"{build.REALTIME}.json").read_text())["records"]
    results = build.read(made / "results")
    assert {(r["height"], r["width"]) for r in records} == {(32, 40), (64, 80)}
    for r in records:
        if r["height"] == 64:
            assert r["jaccard"] is None and r["data"] is None
        else:
            assert r["jaccard"] == table.best_mean(r["network"], results, [0, 1]) and r["data"] == "shapes"


def test_what_is_measured_is_the_reported_split_at_the_scale(data):
    options = table1.plan(table1.parser().parse_args(["--data", data, *OPTIONS.split()]))
    reported = measurements.reported_pictures(data, options)
    assert reported.split == "test" and reported[0][0].shape == (32, 40, 3)
    assert (options.pictures, options.trained_on) == (12, 10)  # the last tenth, rounded up, is held out


def test_the_file_of_a_record(tmp_path):
    assert jobs.record_file(tmp_path, "table/fcn16s_vgg/lr0.01").name == "table__fcn16s_vgg__lr0.01.json"


def test_the_package_forwards_here_or_says_where_it_is(capsys, monkeypatch, tmp_path):
    found = subprocess.run([sys.executable, "-m", "minifcn.table1", "--help"], cwd=ROOT, capture_output=True, text=True)
    assert found.returncode == 0 and "--without PART" in found.stdout and not found.stderr
    monkeypatch.setattr(forwarding, "SOURCE", tmp_path)
    message = fails(capsys, lambda _: forwarding.main())
    assert "part of a source checkout" in message and "experiments/table1" in message
