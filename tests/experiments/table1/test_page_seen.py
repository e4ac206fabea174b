"""The page in a real browser: what is seen, from screenshots, and that it fetches nothing.

Needs a Chromium: MINIFCN_BROWSER or one on the PATH (.ci/browser gets one).
"""

import json
import socket

import numpy as np
import pytest
from made_up_report import CLAIMS, COLUMNS, LAYERS, PALETTE, PICTURES, REPORT, ROWS, SCENES, colours

from experiments.table1.blocks import page
from minifcn.figures import VOID_COLOUR


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    file = tmp_path_factory.mktemp("page") / "a page & more.html"
    file.write_text(page(REPORT), encoding="utf-8")
    return file.as_uri()


def seen(tab, k=0):
    """The colours in the middle of each block of the k-th scene, as they are on the screen, (3, 4, 3)."""
    left, top, width, height = tab.box(".stage", k)
    ys = top + (np.arange(ROWS) + 0.5) / ROWS * height
    xs = left + (np.arange(COLUMNS) + 0.5) / COLUMNS * width
    return tab.picture()[np.ix_(ys.astype(int), xs.astype(int))]


def assert_seen(tab, k, name, columns):
    """The k-th scene is its picture, but for the right columns: there it is the layer of this name."""
    expected = SCENES[k]["picture"].copy()
    expected[:, COLUMNS - columns :] = colours(SCENES[k][name])[:, COLUMNS - columns :]
    np.testing.assert_array_equal(seen(tab, k), expected, err_msg=f"scene {k}, {name} in {columns} columns")


def click_button(tab, k, layer):
    left, top, width, height = tab.box(".buttons label", k * len(LAYERS) + layer)
    tab.click(left + width / 2, top + height / 2)


def click_stage(tab, k, share):
    left, top, width, height = tab.box(".stage", k)
    tab.click(left + share * width, top + height / 3)


def test_nothing_goes_wrong_and_nothing_is_fetched(browser, url):
    tab = browser.open(url)
    click_button(tab, 0, 2)
    click_stage(tab, 0, 0.3)
    assert tab.problems == []
    assert tab.requests[0] == url and all(request.startswith("data:image/png;") for request in tab.requests[1:])
    assert tab.run("document.scripts.length") == 1 and tab.run("typeof hit") == "undefined"
    assert tab.run("[...document.images].map(x => x.complete && x.naturalWidth > 0)") == [True] * len(PICTURES)


def test_a_script_that_got_in_could_fetch_nothing(browser, url):
    tab = browser.open(url)
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        address = f"http://127.0.0.1:{server.getsockname()[1]}/x.png"
        tab.run(f"{{ const x = new Image(); x.src = '{address}'; document.body.append(x); }}")
        assert tab.run(f"fetch('{address}').then(() => 'fetched', () => 'stopped')") == "stopped"
        with pytest.raises(BlockingIOError):
            server.accept()
    assert sum("Content Security Policy" in problem for problem in tab.problems) >= 2


def test_clicks_in_the_contents_lead_there(browser, url):
    tab = browser.open(url)
    for k in range(4):
        left, top, _, height = tab.box("nav a", k)
        tab.click(left + 20, top + height / 2)
        assert tab.run("[...document.querySelectorAll('h2, h3')].indexOf(document.querySelector(':target'))") == k


@pytest.mark.parametrize("width", [400, 1280])
def test_buttons_choose_the_layer_of_their_scene(browser, url, width):
    tab = browser.open(url, width=width)
    for k in (0, 1):
        assert_seen(tab, k, "truth", 2)
    for layer, name in enumerate(LAYERS):
        click_button(tab, 0, layer)
        assert_seen(tab, 0, name, 2)
        assert_seen(tab, 1, "truth", 2)
    click_button(tab, 1, 2)
    assert_seen(tab, 1, LAYERS[2], 2)
    assert_seen(tab, 0, LAYERS[3], 2)


@pytest.mark.parametrize("width", [400, 1280])
def test_the_divider_goes_where_the_picture_is_clicked(browser, url, width):
    tab = browser.open(url, width=width)
    for share, columns in [(0.01, 4), (0.25, 3), (0.75, 1), (0.99, 0), (0.5, 2)]:
        click_stage(tab, 1, share)
        assert_seen(tab, 1, "truth", columns)
        assert_seen(tab, 0, "truth", 2)
        at = tab.run("document.querySelectorAll('.handle')[1].getBoundingClientRect().x")
        left, _, wide, _ = tab.box(".stage", 1)
        assert abs(at + 1 - left - share * wide) < 0.01 * wide


def test_keys_choose_the_layer_and_move_the_divider(browser, url):
    tab = browser.open(url)
    tab.run("document.querySelector('.buttons input:checked').focus()")
    tab.press("ArrowRight")
    assert_seen(tab, 0, LAYERS[2], 2)
    tab.run("document.querySelector('.wipe').focus()")
    for _ in range(60):
        tab.press("ArrowRight")
    assert tab.run("document.querySelector('.wipe').value") == "80"
    assert_seen(tab, 0, LAYERS[2], 1)
    assert tab.run("getComputedStyle(document.querySelector('.handle'), '::after').outlineStyle") == "solid"


def test_labels_are_scaled_without_mixing_their_colours(browser, url):
    tab = browser.open(url)
    click_stage(tab, 0, 0.01)
    left, top, width, height = (int(x) for x in tab.box(".stage"))
    part = tab.picture()[top + 10 : top + height - 40, left + width // 4 : left + width - 10]
    found = {tuple(colour) for colour in np.unique(part.reshape(-1, 3), axis=0).tolist()}
    assert found <= {tuple(colour) for colour in [*PALETTE.tolist(), VOID_COLOUR]}


def test_without_script_picture_and_layer_stand_side_by_side(browser, url):
    tab = browser.open(url, script=False)
    for layer, name in [(1, "truth"), (3, "FCN-16s")]:
        click_button(tab, 0, layer)
        left, top, width, height = tab.box(".stage")
        screen = tab.picture()
        for side, shown in [(0, "picture"), (0.5, name)]:
            y = top + (np.arange(ROWS) + 0.5) / ROWS * height
            x = left + (side + (np.arange(COLUMNS) + 0.5) / COLUMNS / 2) * width
            rows = slice(0, 2)  # the names of the layers lie on the last
            found = screen[np.ix_(y.astype(int), x.astype(int))]
            np.testing.assert_array_equal(found[rows], colours(SCENES[0][shown])[rows])
    assert tab.run("getComputedStyle(document.querySelector('.wipe')).display") == "none"


@pytest.mark.parametrize("width", [320, 400, 1280, 1920])
def test_nothing_is_wider_than_the_window(browser, url, width):
    tab = browser.open(url, width=width)
    assert tab.run("[innerWidth, document.documentElement.scrollWidth]") == [width, width]
    beyond = """[...document.body.querySelectorAll("*")].filter(x => !x.closest("table") && x.matches(":not(.layer *)"))
        .map(x => [x.tagName, x.className, x.getBoundingClientRect()])
        .filter(([_, __, box]) => box.width && (box.left < 0 || box.right > innerWidth + 0.5)).map(x => x.join(" "))"""
    assert tab.run(beyond) == []
    scrolls = "[...document.querySelectorAll('.table')].map(x => x.scrollWidth > x.clientWidth)"
    assert tab.run(scrolls)[1], "the wide table scrolls in itself"


def styles(tab, selector, name):
    return tab.run(f"[...document.querySelectorAll({json.dumps(selector)})].map(x => getComputedStyle(x).{name})")


def test_numbers_are_at_the_right_and_verdicts_have_their_colours(browser, url):
    tab = browser.open(url)
    assert styles(tab, "table th", "textAlign")[:5] == ["left", "right", "right", "left", "right"]
    known = {"supported": "rgb(26, 127, 71)", "refuted": "rgb(179, 50, 43)", "undecided": "rgb(138, 97, 0)"}
    expected = [known[block.verdict] for block in CLAIMS]
    assert styles(tab, ".verdict", "borderLeftColor") == styles(tab, ".verdict .badge", "backgroundColor") == expected


def test_texts_stand_out(browser, url):
    tab = browser.open(url)
    contrasts = tab.run(
        """(() => {
            const paint = new OffscreenCanvas(1, 1).getContext("2d", {willReadFrequently: true});
            const light = colours => {  // relative luminance (WCAG) of colours painted over each other
                colours.forEach(colour => { paint.fillStyle = colour; paint.fillRect(0, 0, 1, 1); });
                const [r, g, b] = [...paint.getImageData(0, 0, 1, 1).data].map(
                    x => x / 255 <= 0.04045 ? x / 255 / 12.92 : ((x / 255 + 0.055) / 1.055) ** 2.4);
                return 0.2126 * r + 0.7152 * g + 0.0722 * b;
            };
            const behind = x => x ? [...behind(x.parentElement), getComputedStyle(x).backgroundColor] : ["#808080"];
            const texts = "h1, h2, h3, p, a, td, th, code, dt, dd, figcaption, li, .badge, label span";
            return [...document.querySelectorAll(texts)].map(x => {
                    const back = behind(x), [a, b] = [light(back), light([...back, getComputedStyle(x).color])];
                    return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), x.tagName + "." + x.className];
                });
        })()"""
    )
    assert len(contrasts) > 80
    assert min(contrasts)[0] >= 4.5, min(contrasts)
