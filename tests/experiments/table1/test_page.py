"""The page in a real browser: what went in is read back from the DOM, and what is seen, from screenshots.

Needs a Chromium: MINIFCN_BROWSER or one on the PATH (.ci/browser gets one); without it only the errors are tested.
"""

import json
import socket

import numpy as np
import pytest
from made_up_report import (
    CELLS,
    CLAIMS,
    CLASSES,
    COLUMNS,
    DRAWING,
    EVIL,
    HEADER,
    LAYERS,
    LONG,
    PALETTE,
    REPORT,
    ROWS,
    SCENES,
    WIDE,
    blocks_of,
)
from PIL import Image

from experiments.table1.blocks import Report, Scenes, Table, Verdict
from experiments.table1.page import page
from minifcn.figures import VOID_COLOUR


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    file = tmp_path_factory.mktemp("page") / "a page & more.html"
    file.write_text(page(REPORT), encoding="utf-8")
    return file.as_uri()


def texts(tab, selector, of="document"):
    return tab.run(f"[...{of}.querySelectorAll({json.dumps(selector)})].map(e => e.textContent)")


def plain(text):
    return text.replace("`", "")


def seen(tab, k=0):
    """The colours in the middle of each block of the k-th scene, as they are on the screen, (3, 4, 3)."""
    left, top, width, height = tab.box(".stage", k)
    ys = top + (np.arange(ROWS) + 0.5) / ROWS * height
    xs = left + (np.arange(COLUMNS) + 0.5) / COLUMNS * width
    return tab.picture()[np.ix_(ys.astype(int), xs.astype(int))]


def assert_seen(tab, k, name, columns):
    """The k-th scene is its picture, but for the right columns: there it is the layer of this name."""
    expected = SCENES[k]["picture"].copy()
    expected[:, COLUMNS - columns :] = SCENES[k][name][:, COLUMNS - columns :]
    np.testing.assert_array_equal(seen(tab, k), expected, err_msg=f"scene {k}, {name} in {columns} columns")


def click_button(tab, k, layer):
    left, top, width, height = tab.box(".buttons label", k * len(LAYERS) + layer)
    tab.click(left + width / 2, top + height / 2)


def click_stage(tab, k, share):
    left, top, width, height = tab.box(".stage", k)
    tab.click(left + share * width, top + height / 3)


# --- what the page holds ---


def test_texts_come_back_as_they_went_in(browser, url):
    tab = browser.open(url)
    assert tab.run("document.title") == REPORT.title
    assert texts(tab, "h1") == [REPORT.title]
    assert texts(tab, "h2") == [f"Heading {EVIL}", LONG] and texts(tab, "h3") == ["Twice", "Twice"]
    assert texts(tab, "main > p") == [plain(part) for part in REPORT.blocks[0].text.split("\n\n")]
    assert texts(tab, "main > p code") == [f"code {EVIL}"]
    assert texts(tab, ".plot figcaption") == [f"Drawing {EVIL}"]
    assert texts(tab, ".scenes figcaption") == [f"Scenes {EVIL}", "One"]
    assert texts(tab, ".buttons label") == [*LAYERS, *LAYERS, "alone"] == texts(tab, ".tag")
    alts = [f"scene {n}: {name}" for n in (1, 2) for name in LAYERS] + ["scene 1: alone"]
    assert tab.run("[...document.images].map(x => x.alt)") == [f"Drawing {EVIL}", *alts]


def test_tables_come_back_cell_for_cell(browser, url):
    tab = browser.open(url)
    rows = (
        "[...document.querySelectorAll('table')].map(t => [...t.rows].map(r => [...r.cells].map(c => c.textContent)))"
    )
    expected = [[HEADER, *CELLS], [WIDE.header, *WIDE.rows]]
    assert tab.run(rows) == [[[plain(cell) for cell in row] for row in table] for table in expected]
    aligned = (
        "[...document.querySelectorAll('table')[0].rows].map(r => [...r.cells].map(c => getComputedStyle(c).textAlign))"
    )
    assert tab.run(aligned) == [["left", "right", "right", "left", "left"]] * 4


def test_verdicts_come_back_with_their_claims(browser, url):
    tab = browser.open(url)
    cards = tab.run(
        """[...document.querySelectorAll(".verdict")].map(card => [
            card.querySelector(".badge").innerText, getComputedStyle(card.querySelector(".badge")).backgroundColor,
            getComputedStyle(card).borderLeftColor,
            card.querySelector("p > span:last-child").textContent, card.querySelector(".statement").textContent,
            [...card.querySelectorAll("dt")].map(x => x.textContent + ": " + x.nextElementSibling.textContent)])"""
    )
    signs = {"supported": "✓ supported", "refuted": "✗ refuted", "undecided": "? undecided"}
    colours = {"supported": "rgb(26, 127, 71)", "refuted": "rgb(179, 50, 43)", "undecided": "rgb(138, 97, 0)"}
    assert cards == [
        [
            signs[block.verdict],
            colours[block.verdict],
            colours[block.verdict],
            block.claim.name,
            block.claim.statement,
            [
                f"Supported if: {block.claim.supported_if}",
                f"Refuted if: {block.claim.refuted_if}",
                f"Found: {block.found}",
            ],
        ]
        for block in CLAIMS
    ]
    assert texts(tab, ".counts .badge") == ["✓ 1 supported", "✗ 2 refuted", "? 1 undecided"]


def test_legends_name_each_colour_and_void_only_where_it_is_shown(browser, url):
    tab = browser.open(url)
    legends = tab.run(
        """[...document.querySelectorAll(".legend")].map(legend => [...legend.children].map(
            x => [x.textContent, getComputedStyle(x.firstElementChild).backgroundColor]))"""
    )
    classes = [[plain(name), "rgb({}, {}, {})".format(*colour)] for name, colour in zip(CLASSES, PALETTE, strict=True)]
    assert legends == [[*classes, ["void", "rgb({}, {}, {})".format(*VOID_COLOUR)]], classes]


def test_pictures_arrive_pixel_for_pixel(browser, url):
    tab = browser.open(url)
    pictures = tab.run(
        """Promise.all([...document.images].map(async image => {
            await image.decode();
            const canvas = new OffscreenCanvas(image.naturalWidth, image.naturalHeight);
            const paint = canvas.getContext("2d");
            paint.drawImage(image, 0, 0);
            const data = paint.getImageData(0, 0, canvas.width, canvas.height).data;
            return [image.naturalHeight, image.naturalWidth, image.height, image.width, Array.from(data).join()];
        }))"""
    )
    expected = [DRAWING, *(blocks_of(x) for layers in SCENES for x in layers.values()), blocks_of(SCENES[1]["picture"])]
    assert len(pictures) == len(expected)
    for (H, W, height, width, data), x in zip(pictures, expected, strict=True):
        assert (H, W) == x.shape[:2]
        assert height == 0 or abs(width / height - W / H) < 0.02 * W / H  # as it stands on the page; 0: not chosen
        np.testing.assert_array_equal(np.fromstring(data, int, sep=",").reshape(H, W, 4)[..., :3], x)


def test_contents_lead_to_the_headings(browser, url):
    tab = browser.open(url)
    assert texts(tab, "nav a") == [f"Heading {EVIL}", "Twice", "Twice", LONG]
    targets = "[...document.querySelectorAll('nav a')].map(a => document.querySelector(':target')?.textContent)"
    assert tab.run(targets) == [None] * 4
    for k, text in enumerate(texts(tab, "nav a")):
        left, top, _, height = tab.box("nav a", k)
        tab.click(left + 20, top + height / 2)
        assert tab.run("document.querySelector(':target').textContent") == text
        headings = "[...document.querySelectorAll('h2, h3')]"
        assert tab.run(f"{headings}.indexOf(document.querySelector(':target'))") == k


# --- that it keeps to itself ---


@pytest.mark.parametrize("dark", [False, True])
def test_nothing_goes_wrong_and_nothing_is_fetched(browser, url, dark):
    tab = browser.open(url, dark=dark)
    click_button(tab, 0, 2)
    click_stage(tab, 0, 0.3)
    assert tab.problems == []
    assert tab.requests[0] == url and all(request.startswith("data:image/png;") for request in tab.requests[1:])
    assert tab.run("document.scripts.length") == 1 and tab.run("typeof hit") == "undefined"
    assert tab.run("document.images.length") == 10
    places = tab.run(
        "[...document.querySelectorAll('[src], [href]')].map(x => (x.attributes.src ?? x.attributes.href).value)"
    )
    assert all(place.startswith(("data:image/png;base64,", "#")) for place in places)


def test_a_script_that_got_in_would_not_run_and_could_fetch_nothing(browser, url):
    tab = browser.open(url)
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        address = f"http://127.0.0.1:{server.getsockname()[1]}/x.png"
        tab.run("{ const x = document.createElement('script'); x.textContent = 'hit = 1'; document.body.append(x); }")
        tab.run(f"{{ const x = new Image(); x.src = '{address}'; document.body.append(x); }}")
        assert tab.run(f"fetch('{address}').then(() => 'fetched', () => 'stopped')") == "stopped"
        with pytest.raises(BlockingIOError):
            server.accept()
    assert tab.run("typeof hit") == "undefined"
    assert sum("Content Security Policy" in problem for problem in tab.problems) >= 3


# --- the scenes, as they are seen ---


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
            np.testing.assert_array_equal(found[rows], SCENES[0][shown][rows])
    assert tab.run("getComputedStyle(document.querySelector('.wipe')).display") == "none"


# --- how it looks ---


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


@pytest.mark.parametrize("dark", [False, True])
def test_texts_stand_out_in_light_and_dark(browser, url, dark):
    tab = browser.open(url, dark=dark)
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
                    return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), x.tagName + "." + x.className, a];
                });
        })()"""
    )
    assert len(contrasts) > 80
    assert min(contrasts)[0] >= 4.5, min(contrasts)
    assert all((background < 0.05) == dark for _, name, background in contrasts if name in ("P.", "TD.", "DD."))
    left, top, _, _ = tab.box(".plot > div")
    assert (tab.picture()[int(top) + 6, int(left) + 40] == 255).all(), "plots stand on white"


def test_a_screenshot(browser, url, tmp_path):
    for name, width, dark in [("light", 1280, False), ("dark", 1280, True), ("narrow", 400, False)]:
        whole = browser.open(url, width=width, dark=dark).picture(whole=True)
        Image.fromarray(whole).save(tmp_path / f"{name}.png")
        assert whole.shape[1] == width and whole.shape[0] > 2000


# --- without a browser ---


@pytest.mark.parametrize(
    ("block", "message"),
    [
        (Table(["a", "b"], [["1"]]), "expected 2 cells"),
        (Verdict(CLAIMS[0].claim, "true", ""), "expected one of"),
        (Scenes("s", "", [{"picture": np.zeros((4, 5))}], [], PALETTE[:0]), "uint8"),
        (
            Scenes(
                "s", "", [{"a": np.zeros((4, 5, 3), np.uint8), "b": np.zeros((5, 5, 3), np.uint8)}], [], PALETTE[:0]
            ),
            "'b'",
        ),
        (Scenes("s", "", [], ["a class too many"], PALETTE[:0]), "zip"),
    ],
)
def test_what_cannot_be_shown_is_refused(block, message):
    with pytest.raises(ValueError, match=message):
        page(Report("", [block]))


def test_an_empty_report_is_a_page():
    text = page(Report(""))
    assert "<title>Report</title>" in text and "<nav" not in text and "<h1" not in text
