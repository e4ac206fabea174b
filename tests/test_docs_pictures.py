"""The pictures of the course are those that their code draws, and can be read on a phone, by day and by night."""

import io
import re

import numpy as np
import pytest
from PIL import Image

from docs import pages
from docs.pictures.__main__ import FOLDER, NAMES, alike, drawn
from docs.pictures.svg import Svg, number

COMMITTED = sorted(path for path in FOLDER.iterdir() if path.suffix in (".svg", ".png"))


@pytest.mark.parametrize("name", NAMES)
def test_committed_pictures_are_current(name):
    for file, content in drawn(name).items():
        assert alike(content, (FOLDER / file).read_bytes()), f"{file} is not what {name}.py draws: make pictures"


def test_every_picture_has_code_that_draws_it_and_a_page_that_shows_it():
    by_code = {file for name in NAMES for file in drawn(name)}
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages.DOCS.rglob("*.md"))
    for path in COMMITTED:
        assert path.name in by_code or re.search(rf'save\w*\(.*"{path.name}"', text), f"nothing draws {path.name}"
        assert f"pictures/{path.name})" in text, f"no page shows {path.name}"


@pytest.mark.parametrize("page", pages.chapters(), ids=lambda page: page.stem)
def test_every_chapter_has_a_picture(page):
    shown = [target for target in pages.targets(page.read_text(encoding="utf-8")) if "/pictures/" in target]
    assert shown


def smallest_letters(svg: str) -> float:
    """Return the height of the smallest letters, in pixels of a screen that shows the picture 360 pixels wide."""
    width = float(re.search(r'viewBox="0 0 ([\d.]+)', svg)[1])
    return min(float(size) for size in re.findall(r"font-size[=:]\s*\"?([\d.]+)", svg)) * 360 / max(width, 360)


@pytest.mark.parametrize("path", [path for path in COMMITTED if path.suffix == ".svg"], ids=lambda path: path.name)
def test_letters_can_be_read_on_a_phone_and_in_the_dark(path):
    svg = path.read_text(encoding="utf-8")
    assert "prefers-color-scheme: dark" in svg
    assert smallest_letters(svg) >= 10.5


def test_what_is_too_small_is_seen():
    picture = Svg(720, 100)
    picture.text(10, 10, "as wide as a phone, twice")
    assert smallest_letters(str(picture)) == 12
    picture.text(10, 10, "small", size=12)
    assert smallest_letters(str(picture)) == 6


def png(picture):
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "png")
    return file.getvalue()


def test_alike_forgives_rounding_only():
    picture = np.random.default_rng(0).integers(0, 250, (40, 60, 3)).astype(np.uint8)
    assert alike(png(picture), png(picture + (picture < 100)))
    assert not alike(png(picture), png(picture[:, ::-1]))
    assert not alike(png(picture), png(picture[:-1]))
    assert alike(b"<svg>1</svg>", b"<svg>1</svg>") and not alike(b"<svg>1</svg>", b"<svg>2</svg>")


def test_grid_says_where_its_cells_are():
    picture = Svg(400, 200)
    centre = picture.grid(10, 20, [[1, None], ["<", 0.125]], cell=(40, 20), fill={(1, 1): "blue"}, dashed={(0, 0)})
    assert centre(0, 0) == (30, 30) and centre(1, 1) == (70, 50)
    svg = str(picture)
    assert svg.count("<text") == 3 and "&lt;" in svg and svg.count("stroke-dasharray") == 1
    assert svg.count('class="blue" fill-opacity="0.3"') == 1


def test_numbers_are_short_and_zero_has_no_sign():
    assert [number(x) for x in (1, 2.50, -0.001, 1 / 3, 100.0, np.float64(-1.5))] == "1 2.5 0 0.33 100 -1.5".split()
