"""docs/results.md is what the committed records of runs make it, and nothing else."""

import json
import re
import shutil
from pathlib import Path

from experiments import results_page
from experiments.table1 import table

ROOT = Path(__file__).resolve().parents[2]


def test_the_page_is_made_from_the_records():
    assert (ROOT / "docs" / "results.md").read_text(encoding="utf-8") == results_page.report()


def test_its_pictures_are_there():
    named = re.findall(r"\]\((results/[\w./]+\.png)\)", results_page.report())
    missing = [name for name in named if not (ROOT / "docs" / name).exists()]
    assert not missing


def test_another_record_makes_another_page(tmp_path, monkeypatch):
    """A sample of the records: with the fractions in one changed, the page changes."""
    shutil.copytree(ROOT / "docs" / "results", tmp_path / "results")
    monkeypatch.setattr(results_page, "RECORDS", tmp_path / "results")
    before = results_page.report()
    paths = sorted((tmp_path / "results").rglob("*.json"))
    paths = [
        path for path in paths if not re.search(r"table__.*__lr|stride__|options|colour", path.name)
    ]  # told of in part
    for path in paths[:: max(1, len(paths) // 8)]:
        content = path.read_text()
        path.write_text(re.sub(r"\b0\.(\d)", lambda m: f"0.{(int(m[1]) + 3) % 10}", content))
        assert path.read_text() != content, f"{path.name}: no fraction in it"
        assert results_page.report() != before, path.name
        path.write_text(content)


def test_records_name_no_place_of_a_machine():
    for path in (ROOT / "docs" / "results").rglob("*.json"):
        text = json.dumps(json.loads(path.read_text()))
        assert not re.search(r'"/(?!s\b)[a-z]+/', text), path.name


def test_the_readme_s_table_is_the_report_s():
    rows = {}
    for page in ("README.md", "docs/results.md"):
        text = (ROOT / page).read_text(encoding="utf-8")
        names = "|".join(re.escape(row.name) for row in table.ROWS.values())
        found = re.findall(rf"^\| ({names}) \|(.*)\|$", text, re.M)
        rows[page] = {name: [cell.strip() for cell in cells.split("|")] for name, cells in found[:8]}
    assert len(rows["README.md"]) == 8
    for name, cells in rows["README.md"].items():
        whole = dict(zip(table.HEADER[1:], rows["docs/results.md"][name], strict=False))
        assert cells == [whole["Jaccard"], whole["chain, steps"]]
