"""The pages of the course: which of them run, what is code in them, and where their links lead.

In a page that runs, a block marked ```python runs, all blocks of the page in one namespace. What it prints stands in
the ```text block right after it; a block that prints nothing has none. Other blocks are not run. A page that needs a
program says so in a comment, `<!-- needs: g++ -->`.
"""

import contextlib
import io
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
COURSE = DOCS / "walkthrough" / "README.md"

BLOCK = re.compile(r"^```python\n(?P<code>.*?)^```\n(?:\n```text\n(?P<shown>.*?)^```\n)?", re.DOTALL | re.MULTILINE)
CODE = re.compile(r"^ *(?P<fence>```+|~~~+).*?^ *(?P=fence)$|`[^`\n]+`", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"(?P<text>!?\[[^\]]*\]\()(?P<target>[^)\s]+)(?=\))")
CODE_OR_LINK = re.compile(f"(?:{CODE.pattern})|{LINK.pattern}", re.DOTALL | re.MULTILINE)


def that_run() -> list[Path]:
    """Return the pages whose code runs: the chapters in their order, and the page on pad 100."""
    return [*chapters(), DOCS / "pad100_crop19.md"]


def run_page(text: str, name: str, namespace: dict | None = None) -> list[tuple[int, str, str]]:
    """Run the python blocks of a page; return (line, printed, shown) of each. namespace: gets the names they leave."""
    namespace, results = {} if namespace is None else namespace, []
    namespace["__name__"] = name
    for block in BLOCK.finditer(text):
        line = text.count("\n", 0, block.start()) + 1
        code = compile("\n" * line + block["code"], name, "exec")  # so that tracebacks give the page's lines
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(code, namespace)
        results.append((line, printed.getvalue(), block["shown"] or ""))
    return results


@cache
def names_of(chapter: str) -> dict:
    """Run a chapter; return the names that its blocks leave."""
    names: dict = {}
    run_page((COURSE.parent / f"{chapter}.md").read_text(encoding="utf-8"), chapter, names)
    return names


def relink(text: str, change: Callable[[str], str]) -> str:
    """Return a page's text with every link's and picture's target changed; code, and links to the web, stay."""

    def replace(found):
        target = found["target"]
        return found[0] if target is None or re.match(r"[a-z]+:", target) else found["text"] + change(target)

    return CODE_OR_LINK.sub(replace, text)


def targets(text: str) -> list[str]:
    """Return where a page's links and pictures lead, but for the web."""
    found = []
    relink(text, lambda target: found.append(target) or target)
    return found


def chapters() -> list[Path]:
    """Return the chapters in their order, which is that of the links on the course's index page."""
    names = [target for target in targets(COURSE.read_text(encoding="utf-8")) if re.fullmatch(r"\w+\.md", target)]
    return [COURSE.parent / name for name in dict.fromkeys(names)]
