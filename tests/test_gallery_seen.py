"""The gallery in a real browser: the slider, the buttons, the order, and what is seen, on a phone's width too.

Needs a Chromium: MINIFCN_BROWSER or one on the PATH (.ci/browser gets one).
"""

import numpy as np
import pytest

from minifcn import gallery

CLASSES = ["road", "car", "a class with quite a long name and_without_any_place_to_break_it_anywhere"]
PALETTE = np.array([[230, 159, 0], [0, 0, 255], [0, 158, 115]], np.uint8)
GREY = 200
H, W = 90, 120


def grey():
    return np.full((H, W, 3), GREY, np.uint8)


def plain(label):
    return np.full((H, W), label, np.uint8)


ENTRIES = [
    ("better.jpg", grey(), {"FCN-32s": plain(1), "FCN-8s": plain(0)}, plain(0)),
    ("unlabelled </h2><script>hit = 1</script>.jpg", grey(), {"FCN-32s": plain(1), "FCN-8s": plain(2)}, None),
    ("worst_" * 30 + ".jpg", grey(), {"FCN-32s": plain(0), "FCN-8s": plain(1)}, plain(0)),
    ("alone.jpg", grey(), {"FCN-8s": plain(1)}, None),
]


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    path = tmp_path_factory.mktemp("gallery") / "a gallery & more.html"
    gallery.write(path, ENTRIES, CLASSES, PALETTE)
    return path.as_uri()


def seen(tab, k):
    """The colours of the k-th picture at 3, 7, ..., 98 per cent of its width, and a quarter of its height."""
    left, top, width, height = tab.box(".stage", k)
    shown = f"[...document.querySelectorAll('article')[{k}].querySelectorAll('img')].filter(x => x.checkVisibility())"
    tab.run(f"Promise.all({shown}.map(x => x.decode()))")  # the others never load
    xs = left + np.linspace(0.03, 0.98, 20) * width
    return tab.picture()[int(top + height / 4), xs.astype(int)].astype(int)


def blend(label, opacity=0.6):
    return np.round((1 - opacity) * GREY + opacity * PALETTE[label])


def assert_seen(tab, k, label, share, opacity=0.6):
    """In the k-th picture a mask of this class is uncovered up to a share of the width."""
    for at, colour in zip(np.linspace(0.03, 0.98, 20), seen(tab, k), strict=True):
        if abs(at - share) > 0.03:
            expected = blend(label, opacity) if at < share else np.full(3, GREY)
            assert np.abs(colour - expected).max() <= 3, (at, colour, expected)


def middle(tab, selector, k=0):
    left, top, width, height = tab.box(selector, k)
    return left + width / 2, top + height / 2


def mouse(tab, kind, x, y, buttons, button="left"):
    tab.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button=button, buttons=buttons, clickCount=1)


def test_nothing_goes_wrong_and_nothing_is_fetched(browser, url):
    tab = browser.open(url)
    tab.click(*middle(tab, ".stage"))
    tab.click(*middle(tab, "article label"))
    assert tab.problems == [] and tab.run("typeof hit") == "undefined"
    assert tab.requests[0] == url and all(request.startswith("data:image/") for request in tab.requests[1:])


def test_the_worst_is_first_and_those_without_a_truth_are_last(browser, url):
    tab = browser.open(url)
    order = tab.run("[...document.querySelectorAll('h2')].map(x => x.textContent)")
    assert order == [ENTRIES[i][0] for i in (2, 0, 1, 3)]
    assert tab.run("document.querySelector('.count').textContent") == "4 pictures, the worst first"


def test_without_any_truth_the_order_stays(browser, tmp_path):
    gallery.write(tmp_path / "a.html", ENTRIES[1::2], CLASSES, PALETTE)
    tab = browser.open((tmp_path / "a.html").as_uri())
    order = tab.run("[...document.querySelectorAll('h2')].map(x => x.textContent)")
    assert order == [ENTRIES[1][0], ENTRIES[3][0]]
    assert tab.run("document.querySelector('.count').textContent") == "2 pictures"


@pytest.mark.parametrize("width", [390, 1200])
def test_the_mouse_moves_the_slider(browser, url, width):
    tab = browser.open(url, width=width)
    assert_seen(tab, 0, 1, 0.5)
    left, top, wide, high = tab.box(".stage", 0)
    tab.click(left + 0.8 * wide, top + 0.7 * high)
    assert_seen(tab, 0, 1, 0.8)
    assert_seen(tab, 1, 0, 0.5)  # its neighbour's stays
    left, top, wide, high = tab.box(".stage", 0)
    mouse(tab, "mousePressed", left + 0.8 * wide, top + 0.7 * high, 1)
    mouse(tab, "mouseMoved", left + 0.2 * wide, top + 0.7 * high, 1)
    assert_seen(tab, 0, 1, 0.2)
    mouse(tab, "mouseMoved", left + 0.6 * wide, top + high + 30, 1)  # below the picture, still pressed
    assert_seen(tab, 0, 1, 0.6)
    mouse(tab, "mouseReleased", left + 0.6 * wide, top + high + 30, 0)
    mouse(tab, "mouseMoved", left + 0.9 * wide, top + 0.7 * high, 0, "none")
    assert_seen(tab, 0, 1, 0.6)


def test_a_finger_moves_the_slider(browser, url):
    tab = browser.open(url, width=390)
    tab.call("Emulation.setTouchEmulationEnabled", enabled=True)
    left, top, width, height = tab.box(".stage", 0)
    y = top + 0.7 * height
    tab.call("Input.dispatchTouchEvent", type="touchStart", touchPoints=[{"x": left + 0.5 * width, "y": y}])
    for share in (0.55, 0.65, 0.75, 0.85):
        tab.call("Input.dispatchTouchEvent", type="touchMove", touchPoints=[{"x": left + share * width, "y": y}])
    tab.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])
    assert_seen(tab, 0, 1, 0.85)


def test_the_keyboard_moves_the_slider_and_a_click_hands_it_over(browser, url):
    tab = browser.open(url)
    left, top, width, height = tab.box(".stage", 0)
    tab.click(left + 0.3 * width, top + height / 2)
    for _ in range(20):
        tab.press("ArrowRight")
    assert tab.run("document.querySelector('.slider').value") == "50"
    assert_seen(tab, 0, 1, 0.5)


def test_buttons_choose_the_mask_of_their_picture(browser, url):
    tab = browser.open(url)
    articles = "[...document.querySelectorAll('article')]"
    assert tab.run(f"{articles}.map(x => x.querySelectorAll(':checked').length)") == [1] * 4
    facts = f"[...{articles}[0].querySelectorAll('.facts')].map(x => x.checkVisibility())"
    for k, label in ((0, 0), (1, 0), (2, 1)):  # truth, FCN-32s, FCN-8s
        tab.click(*middle(tab, "article label", k))
        assert_seen(tab, 0, label, 0.5)
        assert tab.run(facts) == [i == k for i in range(3)]
    assert_seen(tab, 1, 0, 0.5)
    assert not tab.run(f"{articles}[3].querySelector('label').checkVisibility()")  # only one


def test_opacity(browser, url):
    tab = browser.open(url)
    left, top, width, height = tab.box(".opacity input")
    tab.click(left + width - 2, top + height / 2)
    assert_seen(tab, 0, 1, 0.5, opacity=1)
    assert_seen(tab, 2, 2, 0.5, opacity=1)


def test_without_its_script_masks_are_whole_and_buttons_work(browser, url):
    tab = browser.open(url, script=False)
    assert_seen(tab, 0, 0, 1)  # in the order of the file
    tab.click(*middle(tab, "article label", 1))
    assert_seen(tab, 0, 1, 1)


@pytest.mark.parametrize("width", [320, 390, 1200])
def test_nothing_is_wider_than_the_window(browser, url, width):
    tab = browser.open(url, width=width)
    assert tab.run("document.documentElement.scrollWidth") <= width
    boxes = tab.run(
        "[...document.querySelectorAll('main *, .legend *')].filter(x => x.checkVisibility())"
        ".map(x => x.getBoundingClientRect()).map(x => [x.left, x.right])"
    )
    assert len(boxes) > 50 and all(left >= 0 and right <= width for left, right in boxes)


def luminance(colour):
    x = np.array(colour) / 255
    return np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4) @ (0.2126, 0.7152, 0.0722)


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_light_and_dark(browser, url, mode):
    tab = browser.open(url)
    tab.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": mode}])
    background = tab.picture()[2, 2]
    assert (background.mean() > 240) == (mode == "light") and (background.mean() < 40) == (mode == "dark")
    for selector in ("h1", ".count", ".legend bdi", "h2", ".facts b", "label span", ":checked + span"):
        style = f"getComputedStyle(document.querySelector({selector!r}))"
        ink = tab.run(f"{style}.color.match(/\\d+/g).map(Number)")[:3]
        paper = background
        if selector.endswith("span"):
            box = middle(tab, selector)
            paper = tab.picture()[int(box[1]) - 11, int(box[0])]  # above the letters
        low, high = sorted((luminance(ink), luminance(paper)))
        assert (high + 0.05) / (low + 0.05) > 4.5, selector
