"""The page: what went in is read back from its HTML. test_page_seen.py tests what is seen of it."""

import base64
import io
from collections import Counter

import jinja2
import numpy as np
import pytest
from html_tree import parse
from made_up_report import (
    CLAIMS,
    CLASSES,
    EVIL,
    LAYERS,
    LONG,
    PALETTE,
    PICTURES,
    REPORT,
    TABLE,
    WIDE,
)
from PIL import Image

from experiments.table1.blocks import Heading, Scenes, Table, page
from minifcn.figures import VOID_COLOUR


@pytest.fixture(scope="module")
def tree():
    return parse(page(REPORT))


def texts(found):
    return [node.text for node in found]


def plain(text):
    return text.replace("`", "")


def test_texts_come_back_as_they_went_in(tree):
    (main,) = tree.all("main")
    assert texts(tree.all("title")) == texts(main.all("h1")) == [REPORT[0].text]
    assert texts(main.all("h2", "h3")) == [f"Heading {EVIL}", "Twice", "Twice", LONG]
    paragraphs = [node.text for node in main.inside if not isinstance(node, str) and node.tag == "p"]
    assert paragraphs == [plain(part) for part in REPORT[1].split("\n\n")]
    assert f"code {EVIL}" in texts(main.all("code"))
    assert texts(main.all("figcaption")) == [f"Drawing {EVIL}", f"Scenes {EVIL}", "One"]
    buttons = [label.text for group in main.all(class_="buttons") for label in group.all("label")]
    assert buttons == [*LAYERS, *LAYERS, "alone"] == texts(main.all(class_="tag"))
    alts = [f"scene {n}: {name}" for n in (1, 2) for name in LAYERS] + ["scene 1: alone"]
    assert [image.attrs["alt"] for image in main.all("img")] == [f"Drawing {EVIL}", *alts]


def test_tables_come_back_cell_for_cell(tree):
    for found, table in zip(tree.all("table"), (TABLE, WIDE), strict=True):
        rows = [texts(row.all("th", "td")) for row in found.all("tr")]
        assert rows == [[plain(cell) for cell in row] for row in (table.header, *table.rows)]
    for row in tree.all("table")[0].all("tr"):
        numbers = ["class" in cell.attrs for cell in row.all("th", "td")]
        assert numbers == [False, True, True, False, True]


def test_verdicts_come_back_with_their_claims(tree):
    signs = {"supported": "✓ supported", "refuted": "✗ refuted", "undecided": "? undecided"}
    for card, block in zip(tree.all("section"), CLAIMS, strict=True):
        assert card.attrs["class"] == f"verdict {block.verdict}" and card.attrs["aria-label"] == block.name
        assert texts(card.all("p")) == [signs[block.verdict] + block.name, block.statement]
        assert texts(card.all(class_=block.verdict)) == [signs[block.verdict]]
        assert texts(card.all("dt")) == ["Supported if", "Refuted if", "Found"]
        assert texts(card.all("dd")) == [block.supported_if, block.refuted_if, block.found]
    (counts,) = tree.all(class_="counts")
    assert texts(counts.all(class_="badge")) == ["✓ 1 supported", "✗ 2 refuted", "? 1 undecided"]


def test_legends_name_each_colour_and_void_only_where_it_is_shown(tree):
    legends = [
        [(item.text, item.all("span")[0].attrs["style"]) for item in legend.all("li")]
        for legend in tree.all(class_="legend")
    ]
    classes = [(plain(name), "background:rgb({},{},{})".format(*c)) for name, c in zip(CLASSES, PALETTE, strict=True)]
    assert legends == [[*classes, ("void", "background:rgb({},{},{})".format(*VOID_COLOUR))], classes]


def test_pictures_arrive_pixel_for_pixel(tree):
    for image, x in zip(tree.all("img"), PICTURES, strict=True):
        start, data = image.attrs["src"].split(",")
        assert start == "data:image/png;base64"
        with Image.open(io.BytesIO(base64.b64decode(data))) as decoded:
            np.testing.assert_array_equal(np.asarray(decoded.convert("RGB")), x)
    labels = ["class" in image.attrs for image in tree.all("img")]
    assert labels == [False, *[False, True, True, True] * 2, False]


def test_contents_lead_to_the_headings(tree):
    (contents,) = tree.all("nav")
    headings = tree.all("h2", "h3")
    assert texts(contents.all("a")) == texts(headings)
    assert [link.attrs["href"] for link in contents.all("a")] == [f"#{heading.attrs['id']}" for heading in headings]
    assert len({heading.attrs["id"] for heading in headings}) == 4


def test_each_scene_chooses_among_its_own_layers(tree):
    groups = [[x.attrs for x in scene.all("input", type="radio")] for scene in tree.all(class_="scene")]
    assert [len(group) for group in groups] == [4, 4, 1]
    assert all(len({x["name"] for x in group}) == 1 for group in groups)
    assert len({x["name"] for group in groups for x in group}) == 3
    assert [[k for k, x in enumerate(group) if "checked" in x] for group in groups] == [[1], [1], [0]]


def test_the_page_needs_no_other_file_and_runs_no_other_script(tree):
    for node in tree.all():
        assert not any(name.startswith("on") for name in node.attrs)
        assert all(node.attrs.get(name, "#").startswith(("#", "data:image/png;")) for name in ("src", "href"))
    assert Counter(node.tag for node in tree.all())["script"] == 1
    assert not tree.all("link", "iframe", "object", "form", "base")
    assert "url(" not in page(REPORT) and "@import" not in page(REPORT)
    (policy,) = (node.attrs["content"] for node in tree.all("meta") if "http-equiv" in node.attrs)
    assert "default-src 'none'" in policy and "http" not in policy


@pytest.mark.parametrize(
    ("block", "error"),
    [
        (Table(["a", "b"], [["1"]]), ValueError),
        (CLAIMS[0]._replace(verdict="true"), jinja2.UndefinedError),
        (Scenes("s", "", [], ["a class too many"], PALETTE[:0]), ValueError),
        (Scenes("s", "", [{"labels": np.full((2, 2), 3)}], CLASSES, PALETTE), ValueError),
    ],
)
def test_what_cannot_be_shown_is_refused(block, error):
    with pytest.raises(error):
        page([Heading(""), block])


def test_an_empty_report_is_a_page():
    tree = parse(page([Heading("")]))
    assert texts(tree.all("title")) == ["Report"]
    assert not tree.all("nav", "h1", "p")
