"""What a name holds is no HTML, no link and no cell of its own in report.md."""

import re

import numpy as np
import pytest

from experiments.table1.blocks import Heading, Plot, Scenes, Table, markdown

NASTY = ["<script>alert(1)</script>", "``<img src=x>`", "![x](http://e.org/a.png)", "<http://e.org>", "<!-- a", "</p>"]


@pytest.mark.parametrize("name", NASTY)
def test_names_stay_text(name):
    scenes = Scenes("b", name, [{"picture": np.zeros((2, 2, 3), np.uint8)}], [name], np.zeros((1, 3), np.uint8))
    blocks = [Heading(name, 1), Heading(name), f"of {name}", f"`--data {name}`", Table([name], [[name]])]
    text = markdown([*blocks, Plot("a", b"", name), scenes])
    assert not re.search("<[a-zA-Z/!?]", text)
    assert re.findall(r"\]\((.*?)\)", text) == ["a.png", "b.png"]


def test_a_bar_in_a_name_begins_no_cell():
    lines = markdown([Heading("", 1), Table(["class", "%"], [["wide|road", "3"]])]).splitlines()
    assert [len(re.findall(r"(?<!\\)\|", line)) for line in lines if line.startswith("|")] == [3, 3, 3]


def test_signs_of_less_stay():
    assert "D_rel < D_px / 2, p <0.05" in markdown([Heading("", 1), "D_rel < D_px / 2, p <0.05"])
