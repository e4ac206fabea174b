"""The documentation tells the truth: its code runs, prints what the page says, and its links lead somewhere.

In a page, a block marked ```python runs, all blocks of the page in one namespace. What it prints must stand in the
```text block right after it, character for character; a block that prints nothing has none. Other blocks are not run.
"""

import contextlib
import io
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
RUN = (
    "docs/walkthrough/one_picture.md",
    "docs/walkthrough/transposed_convolution.md",
    "docs/walkthrough/classifier_to_fcn.md",
    "docs/pad100_crop19.md",
)
PAGES = [
    page for page in (ROOT / "README.md", ROOT / "data" / "README.md", *(ROOT / "docs").rglob("*.md")) if page.exists()
]

BLOCK = re.compile(r"^```python\n(?P<code>.*?)^```\n(?:\n```text\n(?P<shown>.*?)^```\n)?", re.DOTALL | re.MULTILINE)
FENCED = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
INLINE = re.compile(r"`[^`\n]+`")
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


def run_page(text: str, name: str) -> list[tuple[int, str, str]]:
    """Run the python blocks of a page; return (line, printed, shown) of each."""
    namespace: dict = {"__name__": name}
    results = []
    for block in BLOCK.finditer(text):
        line = text.count("\n", 0, block.start()) + 1
        code = compile("\n" * line + block["code"], name, "exec")  # so that tracebacks give the page's lines
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(code, namespace)
        results.append((line, printed.getvalue(), block["shown"] or ""))
    return results


@pytest.mark.parametrize("page", RUN)
def test_code_runs_and_prints_what_the_page_shows(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # pages write files
    text = (ROOT / page).read_text(encoding="utf-8")
    for _ in range(2):  # a reader runs a page again, in the folder of the first time
        results = run_page(text, page)
        assert len(results) >= 8
        for line, printed, shown in results:
            assert printed == shown, f"{page}, line {line}: prints\n{printed}\nbut shows\n{shown}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_and_headings(page):
    text = INLINE.sub("", FENCED.sub("", page.read_text(encoding="utf-8")))
    for target in LINK.findall(text):
        if re.match(r"[a-z]+:", target):
            continue  # another site
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        assert file.exists(), f"{page.name}: {target} does not exist"
        if anchor and file.suffix == ".md":
            assert anchor in anchors(file.read_text(encoding="utf-8")), f"{page.name}: {target}: no such heading"


def anchors(text: str) -> list[str]:
    """The names that GitHub gives to a page's headings."""
    headings = re.findall(r"^#+ (.+)$", FENCED.sub("", text), re.MULTILINE)
    return [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]


def test_runner_sees_what_is_wrong():
    """A page that lies about its output, and one that fails, do not pass."""
    page = "```python\nprint(1)\n```\n\n```text\n2\n```\n"
    assert run_page(page, "page") == [(1, "1\n", "2\n")]
    assert run_page("```python\nprint(1)\n```\n", "page") == [(1, "1\n", "")]
    assert run_page("```bash\nfalse\n```\n", "page") == []
    with pytest.raises(AssertionError):
        run_page("```python\nassert 1 == 2\n```\n", "page")
