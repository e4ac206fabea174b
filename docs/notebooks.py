"""A Jupyter notebook of each page whose code runs, with its output and pictures: python -m docs.notebooks

The tests run the pages and compare what they print, so the output is taken from the page. Pictures travel inside the
notebook. Links lead to the files of the checkout, and from one page that runs to the notebook of the other. Answers
stay folded, with their code, in one cell. Names begin with the chapter's number.
"""

import base64
import os
import re
import sys
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from docs import pages

MIME = {".png": "image/png", ".svg": "image/svg+xml", ".jpg": "image/jpeg"}
FOLDED = re.compile(r"^<details>.*?^</details>", re.DOTALL | re.MULTILINE)
KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}


def notebook(page: Path, folder: Path) -> nbformat.NotebookNode:
    """Return the notebook of a page, to be written to a folder."""
    text, cells, end = page.read_text(encoding="utf-8"), [], 0

    def say(words):
        if words.strip():
            words = pages.relink(words.strip(), lambda target: moved(target, page, folder))
            cells.append(new_markdown_cell(words, id=f"cell-{len(cells)}"))

    answers = [range(*found.span()) for found in FOLDED.finditer(text)]
    for block in pages.BLOCK.finditer(text):
        if any(block.start() in answer for answer in answers):
            continue
        say(text[end : block.start()])
        output = [new_output("stream", name="stdout", text=block["shown"])] if block["shown"] else []
        cells.append(new_code_cell(block["code"].rstrip("\n"), id=f"cell-{len(cells)}", outputs=output))
        end = block.end()
    say(text[end:])
    return new_notebook(cells=cells, metadata={"kernelspec": KERNEL})


def moved(target: str, page: Path, folder: Path) -> str:
    """Return a link's target for a notebook in a folder: the picture itself, another notebook, or the way to a file."""
    path, _, anchor = target.partition("#")
    if not path:
        return target
    file = (page.parent / path).resolve()
    if file.suffix in MIME:
        return f"data:{MIME[file.suffix]};base64,{base64.b64encode(file.read_bytes()).decode()}"
    there = name_of(file) if file in pages.that_run() else Path(os.path.relpath(file, folder)).as_posix()
    return there + ("#" + anchor if anchor else "")


def name_of(page: Path) -> str:
    return f"{pages.that_run().index(page) + 1:02}_{page.stem}.ipynb"


def write(folder: Path) -> list[Path]:
    """Write all notebooks to a folder, and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for page in pages.that_run():
        written.append(folder / name_of(page))
        nbformat.write(notebook(page, folder.resolve()), written[-1])
    return written


if __name__ == "__main__":
    for path in write(Path(sys.argv[1] if len(sys.argv) > 1 else pages.ROOT / "build" / "notebooks")):
        print(path)
