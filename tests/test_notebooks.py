"""Notebooks of the pages: valid, whole, and one of them runs in Jupyter's own kernel."""

import re

import nbformat
import pytest

from docs import notebooks, pages


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("notebooks")
    assert len(notebooks.write(folder)) == len(pages.that_run())
    return folder


def output(cell):
    return "".join(part["text"] for part in cell.outputs)


def headings(text):
    return re.findall("^#+ .*$", pages.CODE.sub("", text), re.MULTILINE)


@pytest.mark.parametrize("page", pages.that_run(), ids=lambda page: page.stem)
def test_a_notebook_has_all_that_is_on_its_page(page, folder):
    book = nbformat.read(folder / notebooks.name_of(page), as_version=4)
    nbformat.validate(book)
    text = page.read_text(encoding="utf-8")
    open_text = notebooks.FOLDED.sub("", text)
    blocks = [(block["code"].strip("\n"), block["shown"] or "") for block in pages.BLOCK.finditer(open_text)]
    assert [(cell.source.strip("\n"), output(cell)) for cell in book.cells if cell.cell_type == "code"] == blocks
    words = "\n".join(cell.source for cell in book.cells if cell.cell_type == "markdown")
    assert headings(words) == headings(text)
    for cell in book.cells:  # answers are folded in one cell
        assert cell.source.count("<details>") == cell.source.count("</details>"), cell.source[:200]
    for target in pages.targets(words):
        path = target.partition("#")[0]
        assert not path or (folder / path).exists(), f"{page.name}: {target}"
    assert "```text" not in notebooks.FOLDED.sub("", words)
    assert not re.search(r"!\[[^\]]*\]\((?!data:)", words)


def test_a_picture_and_a_link_of_each_kind(tmp_path):
    text = "See ![it](../toytown.png), [that](../pad100_crop19.md#the-sum), [here](#a) and `[code](x)`.\n"
    page = pages.COURSE.parent / "page.md"
    moved = pages.relink(text, lambda target: notebooks.moved(target, page, tmp_path))
    assert moved.startswith("See ![it](data:image/png;base64,iVBOR")
    assert moved.endswith("[that](13_pad100_crop19.ipynb#the-sum), [here](#a) and `[code](x)`.\n")


def test_one_runs_in_a_kernel_of_jupyters(folder):
    from nbclient import NotebookClient

    book = nbformat.read(folder / "13_pad100_crop19.ipynb", as_version=4)
    shown = [output(cell) for cell in book.cells if cell.cell_type == "code"]
    NotebookClient(book, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(folder)}}).execute()
    assert [output(cell) for cell in book.cells if cell.cell_type == "code"] == shown and any(shown)
