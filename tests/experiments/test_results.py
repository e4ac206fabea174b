"""docs/results.md is what the committed records of runs make it, and nothing else."""

import json
import re
import shutil
from pathlib import Path

import pytest

from experiments import results, results_page
from experiments.table1 import table
from minifcn.errors import InputError

ROOT = Path(__file__).resolve().parents[2]


def test_the_page_is_made_from_the_records():
    assert (ROOT / "docs" / "results.md").read_text(encoding="utf-8") == results_page.report()


def test_its_pictures_are_there():
    named = re.findall(r"\]\((results/[\w./]+\.png)\)", results_page.report())
    missing = [name for name in named if not (ROOT / "docs" / name).exists()]
    assert not missing


def smaller(x):
    """A record with all its fractions made smaller; names, versions and counts as they are."""
    if isinstance(x, dict):
        return {name: smaller(value) for name, value in x.items()}
    return [smaller(value) for value in x] if isinstance(x, list) else x * 0.7 if isinstance(x, float) else x


def test_another_record_makes_another_page(tmp_path, monkeypatch):
    """A sample of the records: with the fractions in one changed, the page changes."""
    shutil.copytree(ROOT / "docs" / "results", tmp_path / "results")
    monkeypatch.setattr(results_page, "RECORDS", tmp_path / "results")
    before = results_page.report()
    paths = sorted((tmp_path / "results").rglob("*.json"))
    in_part = r"table__.*__(lr|rates)|stride__|options|colour"  # of these the page tells little
    paths = [path for path in paths if not re.search(in_part, path.name)]
    for path in paths[:: max(1, len(paths) // 8)]:
        content = path.read_text()
        path.write_text(json.dumps(smaller(json.loads(content))))
        assert json.loads(path.read_text()) != json.loads(content), f"{path.name}: no fraction in it"
        assert results_page.report() != before, path.name
        path.write_text(content)


def test_a_folder_without_results_takes_no_record_away(tmp_path, monkeypatch):
    records = tmp_path / "results" / "table1_toytown"
    shutil.copytree(ROOT / "docs" / "results" / "table1_toytown", records)
    monkeypatch.setattr(results, "RECORDS", records.parent)
    with pytest.raises(InputError, match="no results of a report"):
        results.take_over(tmp_path / "runs" / "table1_toytown")
    assert (records / "options.json").exists()


def test_records_name_no_place_of_a_machine():
    for path in (ROOT / "docs" / "results").rglob("*.json"):
        text = json.dumps(json.loads(path.read_text()))
        assert not re.search(r'"/(?!s\b)[a-z]+/', text), path.name


README_TABLE = {  # a row's name in the report: where its Jaccard stands in README, and after how many times the steps
    "FCN-32s from VGG weights": ("FCN-32s", 0, 1),
    "FCN-32s from scratch": ("FCN-32s", 1, 1),
    "control: FCN-32s trained on": ("FCN-32s", 2, 2),
    "FCN-16s from VGG weights": ("FCN-16s", 0, 1),
    "FCN-16s from scratch": ("FCN-16s", 1, 1),
    "FCN-16s from 32s weights": ("FCN-16s", 2, 2),
    "FCN-8s at once, from VGG weights": ("FCN-8s", 0, 1),
    "FCN-8s from 16s weights": ("FCN-8s", 2, 3),
}


@pytest.mark.parametrize("place, data, steps", [(0, "toytown", 300), (1, "voc", 600)])
def test_the_readme_s_table_is_the_report_s(place, data, steps):
    """Its cells are "toytown / voc"."""
    assert README_TABLE.keys() == {row.name for row in table.ROWS.values()}
    page, report = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "docs/results.md"))
    report = report.split(f"## The lab report's table, on {data}\n")[1].split("\n## ")[0]
    for name, (network, column, times) in README_TABLE.items():
        cells = re.search(rf"^\| {re.escape(name)} \|(.*)\|$", report, re.M)[1].split("|")
        whole = dict(zip(table.HEADER[1:], map(str.strip, cells), strict=False))
        shown = re.search(rf"^\| {network} \|(.*)\|$", page, re.M)[1].split("|")[column].split("(")[0].split("/")[place]
        assert (shown.strip(), str(steps * times)) == (whole["Jaccard"], whole["chain, steps"])
