"""python -m minifcn.table1: the whole of it on a tiny set, its options, and the documents made from its results."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from small_data import exit_status, fails, make_set

from minifcn import table1
from minifcn.report import build, footprint, jobs, measurements, pretraining, realtime, table
from minifcn.report.blocks import markdown

TINY = {"trunk": "vgg_quarter", "height": 32, "width": 40}
OPTIONS = "--steps 2 --batch 1 --lr 0.01 --seeds 2 --scale 0.8 --jobs 2"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    splits = [("train", 12), ("val", 2), ("test", 3)]
    return make_set(tmp_path_factory.mktemp("sets") / "shapes", splits, size=(40, 50))


@pytest.fixture(scope="module")
def made(data, tmp_path_factory):
    """The folder of a whole report."""
    out = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        small = [{"model_name": "fcn32s", "low_memory": False, "pad": "same", "steps": 2, **TINY}]
        patch.setattr(footprint, "SETTINGS", small)
        patch.setattr(realtime, "TRUNKS", ("vgg_quarter",))
        patch.setattr(realtime, "PICTURES", {"vgg_quarter": 2})
        patch.setattr(pretraining, "FRACTIONS", (0.5, 1.0))
        assert exit_status(table1.main, "--data", data, "--out", out, *OPTIONS.split()) == 0
    return out / "table1_shapes"


def test_it_writes_a_report_with_every_row(made):
    text = (made / "report.md").read_text()
    for row in table.ROWS.values():
        assert re.search(rf"^\| {re.escape(row.name)} \| [\d.]+ \|", text, re.M), row.name
    headings = re.findall(r"^## (.*)$", text, re.M)
    assert headings[:4] == [
        "The table",
        "What it looks like",
        "What the stride decides",
        "Do pretrained weights cut the time?",
    ]
    assert len(headings) == 6
    assert f"`python -m minifcn.table1 --data shapes --out {made.parent} {OPTIONS}`" in text
    named = set(re.findall(r"\]\((\w+\.png)\)", text))
    assert named == {path.name for path in made.glob("*.png")} and len(named) >= 7


def test_a_score_in_the_report_is_that_of_its_run(made):
    scores = []
    for seed in (0, 1):
        run = json.loads((made / "table" / "fcn16s_fcn32s" / f"seed{seed}" / "metrics.json").read_text())
        scores.append(100 * run["test"]["jaccard"])
    line = next(
        x for x in (made / "report.md").read_text().splitlines() if x.startswith("| FCN-16s from 32s weights |")
    )
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[1] == f"{sum(scores) / 2:.1f}" and cells[-2:] == [f"{score:.1f}" for score in scores]


def test_the_page_holds_the_same_tables(made):
    class Cells(HTMLParser):
        """The texts of all cells of tables."""

        def __init__(self):
            super().__init__()
            self.found, self.inside = [], False

        def handle_starttag(self, tag, attrs):
            if tag in ("td", "th"):
                self.inside = True
                self.found.append("")

        def handle_endtag(self, tag):
            self.inside = self.inside and tag not in ("td", "th")

        def handle_data(self, text):
            if self.inside:
                self.found[-1] += text

    parser = Cells()
    parser.feed((made / "report.html").read_text())
    rows = re.findall(r"^\| (?!---)(.*) \|$", (made / "report.md").read_text(), re.M)
    assert parser.found == [cell.strip() for row in rows for cell in row.split("|")]
    assert len(parser.found) > 150


def test_results_are_one_file_each_and_name_no_place(made, data):
    names = sorted(path.name for path in (made / "results").glob("*.json"))
    assert len([name for name in names if name.startswith("table__")]) == 8 * 2  # one rate: no trials
    assert len([name for name in names if name.startswith("pretraining__")]) == 2 * 2
    for name in names:
        text = (made / "results" / name).read_text()
        content = json.loads(text)
        assert data not in text or name == "options.json", name
        if "__" in name:
            assert {"settings", "commit", "machine", "scores", "course"} <= set(content)


def test_the_same_command_has_nothing_left_to_do(made, data, monkeypatch, capsys):
    monkeypatch.setattr(jobs, "start", lambda *_: pytest.fail("a run was done again"))
    monkeypatch.setattr(measurements, "recall_of", lambda *_: pytest.fail("measured again"))
    before = (made / "report.md").read_bytes()
    (made / "report.md").unlink()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(footprint, "SETTINGS", footprint.SETTINGS[:1])
        patch.setattr(realtime, "TRUNKS", ("vgg_quarter",))
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


@pytest.mark.parametrize(
    "options, message",
    [
        ("--seeds 0", "--seeds: expected more than 0, received 0"),
        ("--jobs 0", "--jobs: expected more than 0"),
        ("--scale 0", "--scale: expected more than 0"),
        ("--scale nan", "--scale: expected more than 0, received nan"),
        ("--steps 0", "--steps: expected more than 0"),
        ("--lr 0.1 -1", "--lr: expected 0 or more, received -1.0"),
        ("--batch 0", "--batch: expected more than 0"),
        ("--batch 7", "--batch 7: too many for an eighth of the 10 training pictures"),
        ("--init nowhere.pth", "nowhere.pth"),
        ("--trunk vgg16", "weights are shipped for vgg_quarter, not for vgg16"),
    ],
)
def test_bad_options(options, message, data, tmp_path, capsys):
    assert message in fails(capsys, table1.main, "--data", data, "--out", tmp_path / "runs", *options.split())
    assert not (tmp_path / "runs").exists()


def test_bad_places(tmp_path, capsys):
    assert "no results of a report here" in fails(capsys, table1.main, "--report", tmp_path)
    alone = make_set(tmp_path / "alone", [("train", 12)])
    assert "neither a test nor a val split" in fails(capsys, table1.main, "--data", alone, "--out", tmp_path / "runs")


def test_a_partial_report_leaves_out_what_is_missing(made, tmp_path):
    for name in (build.OPTIONS, build.FOOTPRINT):
        (tmp_path / f"{name}.json").write_bytes((made / "results" / f"{name}.json").read_bytes())
    text = markdown(build.report(build.read(tmp_path)))
    assert "3 GB at batch 1" in text and "FCN-16s from scratch" not in text
    assert len(re.findall("^## ", text, re.M)) == 1


def test_help_fits_a_screen(capsys):
    with pytest.raises(SystemExit):
        table1.main(["--help"])
    assert len(capsys.readouterr().out.splitlines()) <= 40


def test_paths():
    assert Path(build.file_name("table/fcn16s_vgg/lr0.01")).name == "table__fcn16s_vgg__lr0.01.json"
