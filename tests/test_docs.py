"""The documentation tells the truth: its code runs, prints what the page says, and its links lead somewhere.

docs/pages.py says which pages run, and how.
"""

import re
import shutil

import numpy as np
import pytest

from docs import pages
from docs.pages import ROOT, run_page
from docs.pictures.__main__ import FOLDER, alike

PAGES = [ROOT / "README.md"]
PAGES += [page for folder in ("data", "docs", "exercises", "kernels") for page in sorted((ROOT / folder).rglob("*.md"))]


@pytest.mark.parametrize("page", pages.that_run(), ids=lambda page: page.stem)
def test_code_runs_and_prints_what_the_page_shows(page, tmp_path, monkeypatch):
    text = page.read_text(encoding="utf-8")
    for program in re.findall(r"<!-- needs: (\S+) -->", text):
        if shutil.which(program) is None:
            pytest.skip(f"{page.name} needs {program}")
    monkeypatch.chdir(tmp_path)  # pages write files
    for _ in range(2):
        with np.printoptions():  # what a page sets is gone after it
            results = run_page(text, page.name)
        assert len(results) >= 8
        for line, printed, shown in results:
            assert printed == shown, f"{page.name}, line {line}: prints\n{printed}\nbut shows\n{shown}"
        for picture in tmp_path.glob("*.png"):
            committed = FOLDER / picture.name
            assert not committed.exists() or alike(picture.read_bytes(), committed.read_bytes()), committed
        if not any(tmp_path.iterdir()):
            break  # else a reader runs the page again, in the folder of the first time


def test_every_chapter_is_on_the_index():
    on_disk = {page for page in pages.COURSE.parent.glob("*.md") if page != pages.COURSE}
    assert {*pages.chapters()} == on_disk


def test_a_chapter_is_one_sitting_and_takes_what_the_index_says():
    index = pages.COURSE.read_text(encoding="utf-8")
    minutes = re.findall(r"\((\w+)\.md\), (\d+) minutes:", index)
    assert [name for name, _ in minutes] == [page.stem for page in pages.chapters()]
    for name, said in minutes:
        lines = (pages.COURSE.parent / f"{name}.md").read_text(encoding="utf-8").splitlines()
        assert len(lines) <= 500, name
        assert f"{said} minutes" in " ".join(lines[:15]), f"{name}: no '{said} minutes' at its top"
    assert (len(minutes), sum(int(said) for _, said in minutes)) == (12, 405)
    assert "Twelve chapters" in index and "six and three quarter hours in all" in index


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_and_headings(page):
    for target in pages.targets(page.read_text(encoding="utf-8")):
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        assert file.exists(), f"{page.name}: {target} does not exist"
        if anchor and file.suffix == ".md":
            assert anchor in anchors(file.read_text(encoding="utf-8")), f"{page.name}: {target}: no such heading"


def anchors(text: str) -> list[str]:
    """The names that GitHub gives to a page's headings."""
    headings = re.findall(r"^#+ (.+)$", pages.CODE.sub("", text), re.MULTILINE)
    return [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]


def test_runner_sees_what_is_wrong():
    """A page that lies about its output, and one that fails, do not pass."""
    page = "```python\nprint(1)\n```\n\n```text\n2\n```\n"
    assert run_page(page, "page") == [(1, "1\n", "2\n")]
    assert run_page("```python\nprint(1)\n```\n", "page") == [(1, "1\n", "")]
    assert run_page("```bash\nfalse\n```\n", "page") == []
    with pytest.raises(AssertionError):
        run_page("```python\nassert 1 == 2\n```\n", "page")
