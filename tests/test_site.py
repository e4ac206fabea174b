"""The site: it builds without a warning, no link is broken, and a browser shows every page, on a phone's width too."""

import functools
import os
import re
import subprocess
import sys
import threading
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urldefrag

import pytest

from docs import pages, site_hooks

TESTED = ["index", "api", "architecture", "results", "benchmarks", "performance", "walkthrough/index", "pad100_crop19"]
TESTED += [f"walkthrough/{page.stem}" for page in pages.chapters()]
TESTED += [f"source/{name}" for name in ("exercises/index", "kernels/index", "data/index", "minifcn/autograd.py")]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(pages.ROOT)}
    done = subprocess.run(command, cwd=pages.ROOT, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def url(site):
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=site)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


class Page(HTMLParser):
    """What a page links to, shows and loads, the names that links can lead to, and its text."""

    def __init__(self, path):
        super().__init__()
        self.links, self.names, self.words = [], {"", "__skip"}, ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.links += [attrs[key] for key in ("href", "src") if attrs.get(key)]
        self.names |= {attrs[key] for key in ("id", "name") if attrs.get(key)}

    def handle_data(self, data):
        self.words += data


@pytest.fixture(scope="module")
def parsed(site):
    return {path.resolve(): Page(path) for path in site.rglob("*.html")}


def broken(path, page, parsed):
    """Return the links of a page that lead nowhere; those to the web are not followed."""
    found = []
    for link in page.links:
        target, anchor = urldefrag(link)
        if not re.match(r"[a-z]+:", target):
            file = (path.parent / unquote(target)).resolve() if target else path
            if not file.exists() or (file in parsed and unquote(anchor) not in parsed[file].names):
                found.append(link)
    return found


def test_no_link_is_broken(parsed):
    for path, page in parsed.items():
        if path.name != "404.html":  # its links begin at the server's root
            assert not broken(path, page, parsed), path
    assert len(parsed) > 50


def test_nothing_is_loaded_from_elsewhere(site):
    loads = re.compile(r"<(?:script|img|iframe)[^>]+src=\"?https?:|<link(?![^>]+canonical)[^>]+href=\"?https?:")
    for path in site.rglob("*.html"):
        assert not loads.search(path.read_text(encoding="utf-8")), path


def test_a_broken_link_is_seen(tmp_path):
    (tmp_path / "a.html").write_text(
        '<a href="b.html#x">1</a><a href="b.html#y">2</a><img src="c.png"><a href="#z">3</a>'
    )
    (tmp_path / "b.html").write_text('<p id="x"></p>')
    parsed = {path.resolve(): Page(path) for path in tmp_path.glob("*.html")}
    path = (tmp_path / "a.html").resolve()
    assert broken(path, parsed[path], parsed) == ["b.html#y", "c.png", "#z"]


DIFFERS = {  # between GitHub and Python-Markdown
    "a line of text is followed by a list, or begins like one": r"^(?![-*>|#\s]|\d+\. ).+\n(?:[-*]|1\.) .*",
    "an empty line is missing after the paragraph of an item": r"\n\n {4}\S.*(?:\n {4}.*)*\n(?:[-*]|\d+\.) .*",
    "what belongs to an item of a list is indented by four": r"\n\n {1,3}\S.*|^ {1,3}(?:[-*]|\d+\.) .*",
}


@pytest.mark.parametrize("problem", DIFFERS)
def test_github_and_the_site_read_markdown_alike(problem):
    for folder in ("data", "docs", "exercises", "kernels"):
        for path in (pages.ROOT / folder).rglob("*.md"):
            found = re.search(DIFFERS[problem], pages.CODE.sub("x", path.read_text(encoding="utf-8")), re.MULTILINE)
            assert not found, f"{path}: {problem}: {found[0]}"


def test_no_markdown_is_left(parsed):
    for path, page in parsed.items():
        if "source/minifcn" not in path.as_posix():
            assert not re.search(r"^```|^:::|\\\(|^> \*\*", page.words, re.MULTILINE), path


def test_the_course_comes_in_order(site):
    html = (site / "walkthrough" / "index.html").read_text(encoding="utf-8")
    menu = html[html.index("md-nav--primary") :]
    places = [menu.index(f'href="{page.stem}.html"') for page in pages.chapters()]
    assert places == sorted(places) and "12. Many processes" in menu


def test_the_reference_has_every_name(parsed, site):
    names = parsed[(site / "api.html").resolve()].names
    here = ("autograd.Tensor.backward", "ops.crop.crop", "training.evaluation.predict", "models.fcn.FCN32s")
    assert {f"minifcn.{name}" for name in (*here, "optim.SGD.step", "metrics.ConfusionMatrix.jaccard")} <= names


@pytest.mark.parametrize("name", TESTED)
def test_a_page_on_a_phone(browser, url, name):
    tab = browser.open(f"{url}/{name}.html", width=390)
    tab.run("Promise.all([...document.images].map(x => { x.loading = 'eager'; return x.decode() }))")  # none is missing
    assert tab.problems == [] and all(request.startswith((url, "data:", "blob:")) for request in tab.requests)
    assert tab.run("document.documentElement.scrollWidth") <= 390
    words = (
        "[...document.querySelectorAll('article :is(p, li, h1, h2, h3, img)')].filter(x => !x.closest('table, pre'))"
    )
    assert tab.run(f"{words}.filter(x => x.getBoundingClientRect().right > 390).map(x => x.outerHTML)") == []


def brightness(tab, selector):
    """Return the brightness of a picture's darkest and brightest pixel, and of the page beside it, 0 to 255."""
    left, top, width, height = (int(x) for x in tab.box(selector))
    seen = tab.picture().mean(axis=2)
    inside = seen[max(top, 60) : top + height, left : left + width]
    return inside.min(), inside.max(), seen[max(top, 60), max(left - 6, 2)]


def test_pictures_and_pages_are_dark_by_night_and_on_demand(browser, url):
    name = next(page.stem for page in pages.chapters() if ".svg)" in page.read_text(encoding="utf-8"))
    address, picture = f"{url}/walkthrough/{name}.html", "article img[src$='.svg']"
    for mode, other in (("light", "dark"), ("dark", "light")):
        tab = browser.open(address, width=390, mode=mode)
        tab.run(f"document.querySelector({picture!r}).decode()")
        for shown in (mode, other):
            darkest, brightest, page = brightness(tab, picture)
            assert (page < 60, page > 240) == ((True, False) if shown == "dark" else (False, True))
            assert darkest < 70 and brightest > 190, (mode, shown)  # the letters, on the page
            tab.run("document.querySelector('.md-header__button[for^=__palette]:not([hidden])').click()")
            tab.run("new Promise(done => setTimeout(done, 500))")  # it fades
        tab.run("localStorage.clear()")  # the site keeps what was chosen


def test_search_finds_a_chapter(browser, url):
    tab = browser.open(f"{url}/index.html")
    tab.run("document.querySelector('.md-search__input').focus()")
    tab.call("Input.insertText", text="checkerboard")
    found = """new Promise((done, fail) => {
        const look = n => {
            const link = document.querySelector(".md-search-result__link");
            link ? done(link.href) : n ? setTimeout(look, 50, n - 1) : fail("no result");
        };
        look(400);
    })"""
    assert "/walkthrough/" in tab.run(found)


def test_mathematics_needs_no_script():
    text = site_hooks.on_page_content(
        r'<span class="arithmatex">\(x^2 &lt; 4\)</span> <div class="arithmatex">\[y\]</div>'
    )
    assert text.count("<math") == 2 and "<msup>" in text and 'display="block"' in text and "arithmatex" not in text


def test_formulas_of_the_chapters_are_mathematics(site):
    for name in ("one_picture", "winograd"):
        html = (site / "walkthrough" / f"{name}.html").read_text(encoding="utf-8")
        assert 'display="block"' in html and "$$" not in html and "\\frac" not in html, name
