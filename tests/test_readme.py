"""The README's table of files says how long each is: it must be true."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def test_line_counts_of_the_reading_order():
    rows = re.findall(r"\| \d+ \| (minifcn/\S+\.py) \| (\d+) \|", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert len(rows) >= 8
    for name, lines in rows:
        assert int(lines) == len((ROOT / name).read_text(encoding="utf-8").splitlines()), name
