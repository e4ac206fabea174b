"""docs/results.md is what the committed records of runs make it, and nothing else."""

import importlib.util
import json
import re
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def results_page():
    spec = importlib.util.spec_from_file_location("results_page", ROOT / "benchmarks" / "results_page.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_made_from_the_records(results_page):
    assert (ROOT / "docs" / "results.md").read_text(encoding="utf-8") == results_page.report()


def test_its_pictures_are_there(results_page):
    named = re.findall(r"\]\((results/[\w./]+\.png)\)", results_page.report())
    missing = [name for name in named if not (ROOT / "docs" / name).exists()]
    assert not missing


def test_another_record_makes_another_page(results_page, tmp_path, monkeypatch):
    """Every record counts: with any score of it changed, the page changes."""
    shutil.copytree(ROOT / "docs" / "results", tmp_path / "results")
    monkeypatch.setattr(results_page, "RECORDS", tmp_path / "results")
    before = results_page.report()
    for path in sorted((tmp_path / "results").rglob("*.json")):
        if re.search(r"__lr|options", path.name):  # of a trial only which one was best is told
            continue
        content = path.read_text()
        path.write_text(re.sub(r"(\"jaccard\": )0\.(\d)", lambda m: f"{m[1]}0.{(int(m[2]) + 3) % 10}", content))
        if path.read_text() != content:
            assert results_page.report() != before, path.name
        path.write_text(content)


def test_records_name_no_place_of_a_machine():
    for path in (ROOT / "docs" / "results").rglob("*.json"):
        text = json.dumps(json.loads(path.read_text()))
        assert not re.search(r'"/(?!s\b)[a-z]+/', text), path.name
