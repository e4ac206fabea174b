"""How long the package is: python experiments/count_lines.py

Counts the lines of code of each part: without blank lines, comments and docstrings, which are for reading.
"""

import ast
import io
import tokenize
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
QUIET = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}


def code_lines(source: str) -> int:
    """Return the number of lines that hold code."""
    docstrings = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            docstrings |= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    lines = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in QUIET:
            lines |= set(range(token.start[0], token.end[0] + 1))
    return len(lines - docstrings)


def main() -> None:
    parts, everything = Counter(), 0
    for path in sorted((ROOT / "minifcn").rglob("*.py")):
        source, place = path.read_text(encoding="utf-8"), path.relative_to(ROOT)
        drawing = path.name.startswith("toytown_")
        parts["drawing toytown" if drawing else "/".join(place.parts[:-1])] += code_lines(source)
        everything += source.count("\n")
    for path in sorted((ROOT / "kernels").glob("*.cu")):
        lines = path.read_text(encoding="utf-8").splitlines()
        parts["kernels"] += sum(bool(line.split("//")[0].strip()) for line in lines)
        everything += len(lines)
    for part, lines in parts.items():
        print(f"{part:<20} {lines:>6}")
    print(f"{'all':<20} {sum(parts.values()):>6} lines of code, {everything} with blank lines, comments and docstrings")


if __name__ == "__main__":
    main()
