"""The gallery: one file that holds everything, written as the pictures come; what it says and shows of each."""

import base64
import io
import os
import re
import weakref
from pathlib import Path

import numpy as np
import pytest
from html_tree import parse
from PIL import Image

from minifcn import figures, gallery

PALETTE = np.array([[0, 0, 0], [200, 30, 40], [10, 220, 50]], np.uint8)
CLASSES = ["background", 'a <b> "c" & $d\ne', "знак"]
NASTY = "</h2><script>hit = 1</script> \"q\" 'r' & $name\n%s {0} \udcff.jpg"
H, W = 40, 60


def picture(height=H, width=W, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def truth():
    """Of 2400 pixels 600 are void, 200 are of class 1, and 1600 of the background."""
    labels = np.zeros((H, W), np.uint8)
    labels[:10], labels[20:30, :20] = 255, 1
    return labels


def wrong(columns):
    """The truth, with a class that it lacks instead of void, and in some columns instead of class 1."""
    labels = np.where(truth() == 255, 2, truth()).astype(np.uint8)
    labels[20:30, :columns] = 2
    return labels


ENTRIES = [
    ("good.jpg", picture(seed=1), {"FCN-32s": wrong(10), "FCN-8s": wrong(5)}, truth()),
    (NASTY, picture(seed=2), {"FCN-32s": wrong(0), "FCN-8s": wrong(0)}, None),
    ("all void.jpg", picture(seed=3), {"FCN-32s": wrong(0), "FCN-8s": wrong(0)}, np.full((H, W), 255, np.uint8)),
    ("bad.jpg", picture(seed=4), {"FCN-32s": wrong(5), "FCN-8s": wrong(15)}, truth()),
]


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("gallery") / "a gallery & more.html"
    gallery.write(path, iter(ENTRIES), CLASSES, PALETTE)
    return path


@pytest.fixture(scope="module")
def articles(path):
    return parse(path.read_text(encoding="utf-8")).all("article")


def image_of(node):
    kind, data = re.fullmatch(r"data:image/(\w+);base64,(\S+)", node.attrs["src"]).groups()
    return kind, Image.open(io.BytesIO(base64.b64decode(data)))


# --- the file ---


def test_it_names_no_other_file_and_no_server(path):
    text = re.sub(r"data:image/(jpeg|png);base64,[\w+/]+=*", "", path.read_text(encoding="utf-8"))
    assert len(text) < 20_000 and "base64" not in text
    for address in ("http:", "https:", "//", "url(", "@import", 'src="/', "href", "fetch(", "data:i"):
        assert address not in text, address


def test_names_are_text_and_not_html(path, articles):
    page = parse(path.read_text(encoding="utf-8"))
    assert len(page.all("script")) == 1 and "hit" not in page.all("script")[0].text
    titles = [article.all("h2")[0].text for article in articles]
    assert titles == ["good.jpg", NASTY.replace("\udcff", "?"), "all void.jpg", "bad.jpg"]
    assert [article.all("img")[0].attrs["alt"] for article in articles] == titles
    assert [x.text for x in page.all("ul", class_="legend")[0].all("bdi")] == CLASSES
    assert page.all("p", class_="count")[0].text == "4 pictures"


def test_no_placeholder_is_left(tmp_path):
    gallery.write(tmp_path / "a.html", [("a", *ENTRIES[0][1:])], ["x", "y", "z"], PALETTE)
    assert not re.findall(r"\$\w+|<!-- part", (tmp_path / "a.html").read_text(encoding="utf-8"))


def test_pictures_are_scaled_to_the_page(tmp_path):
    entries = [("big", picture(300, 2000), {"x": np.zeros((300, 2000), np.uint8)}, None)]
    entries += [("thin", picture(1, 5000), {"x": np.zeros((1, 5000), np.uint8)}, None), ENTRIES[0]]
    gallery.write(tmp_path / "a.html", entries, CLASSES, PALETTE)
    page = parse((tmp_path / "a.html").read_text(encoding="utf-8"))
    sizes = [[image_of(image)[1].size for image in article.all("img")] for article in page.all("article")]
    assert sizes == [[(900, 135)] * 2, [(900, 1)] * 2, [(W, H)] * 4]
    assert page.all("article")[0].attrs["style"] == "--shape: 2000 / 300"
    assert all(image.attrs["loading"] == "lazy" for image in page.all("img"))


def test_a_scaled_mask_holds_no_other_classes(tmp_path):
    labels = np.repeat(np.array([[0, 2]], np.uint8), (1, 1999), axis=1).repeat(300, 0)
    gallery.write(tmp_path / "a.html", [("a", picture(300, 2000), {"x": labels}, None)], CLASSES, PALETTE)
    mask = image_of(parse((tmp_path / "a.html").read_text(encoding="utf-8")).all("img", class_="mask")[0])[1]
    assert np.asarray(mask).shape == (135, 900) and set(np.unique(mask)) <= {0, 2}


def test_no_more_than_two_pictures_are_in_memory(tmp_path):
    alive = []

    def entries():
        for seed in range(6):
            x = picture(seed=seed)
            alive.append(weakref.ref(x))
            yield f"{seed}.png", x, {"x": wrong(0)}, None
            del x
            assert sum(ref() is not None for ref in alive) <= 2

    gallery.write(tmp_path / "a.html", entries(), CLASSES, PALETTE)
    assert len(alive) == 6


def test_what_breaks_off_leaves_the_old_page(tmp_path):
    def entries():
        yield ENTRIES[0]
        raise KeyboardInterrupt

    (tmp_path / "a.html").write_text("old")
    with pytest.raises(KeyboardInterrupt):
        gallery.write(tmp_path / "a.html", entries(), CLASSES, PALETTE)
    assert os.listdir(tmp_path) == ["a.html"] and (tmp_path / "a.html").read_text() == "old"
    with pytest.raises(FileNotFoundError) as caught:
        gallery.write(tmp_path / "no" / "a.html", ENTRIES, CLASSES, PALETTE)
    assert caught.value.filename == str(tmp_path / "no" / "a.html")


@pytest.mark.parametrize(
    "labels, true",
    [(np.full((H, W), 3, np.uint8), None), (wrong(0), np.full((H, W), 3, np.uint8)), (wrong(0), wrong(0)[1:])],
)
def test_labels_that_do_not_fit(tmp_path, labels, true):
    with pytest.raises(ValueError, match="received"):
        gallery.write(tmp_path / "a.html", [("a", picture(), {"x": labels}, true)], CLASSES, PALETTE)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("count, said", [(0, "0 pictures"), (1, "1 picture")])
def test_few_pictures(tmp_path, count, said):
    gallery.write(tmp_path / "a.html", ENTRIES[:count], CLASSES, PALETTE)
    page = parse((tmp_path / "a.html").read_text(encoding="utf-8"))
    assert page.all("p", class_="count")[0].text == said and len(page.all("article")) == count


def test_the_wheel_carries_the_page():
    root = Path(__file__).resolve().parents[1]
    others = {path.name for path in (root / "minifcn").iterdir() if path.is_file() and path.suffix != ".py"}
    assert others == {"gallery.html"}
    assert '"minifcn" = ["gallery.html"]' in (root / "pyproject.toml").read_text()


# --- what it says ---


def test_pictures_and_masks_are_as_given(articles):
    for (_, x, networks, true), article in zip(ENTRIES, articles, strict=True):
        (kind, shown), *masks = map(image_of, article.all("img"))
        assert kind == "jpeg" and shown.size == (W, H)
        assert np.abs(np.asarray(shown).mean((0, 1)) - x.mean((0, 1))).max() < 3
        layers = [true] * (true is not None) + list(networks.values())
        for (kind, mask), labels in zip(masks, layers, strict=True):
            assert kind == "png" and mask.mode == "P"
            np.testing.assert_array_equal(np.asarray(mask), labels)
            seen = np.asarray(mask.convert("RGBA"))
            np.testing.assert_array_equal(seen[..., :3], figures.colourise(labels, PALETTE))
            np.testing.assert_array_equal(seen[..., 3], np.where(np.isin(labels, (0, 255)), 0, 255))


def test_a_first_class_that_is_no_background_is_tinted(tmp_path):
    gallery.write(tmp_path / "a.html", ENTRIES[:1], ["road", "b", "c"], PALETTE)
    mask = image_of(parse((tmp_path / "a.html").read_text(encoding="utf-8")).all("img", class_="mask")[0])[1]
    np.testing.assert_array_equal(np.asarray(mask.convert("RGBA"))[..., 3] == 0, truth() == 255)


def test_buttons_name_the_truth_and_each_network(articles):
    names = [[label.text for label in article.all("label")] for article in articles]
    assert names == [["truth", "FCN-32s", "FCN-8s"], ["FCN-32s", "FCN-8s"], *[["truth", "FCN-32s", "FCN-8s"]] * 2]
    groups = [{radio.attrs["name"] for radio in article.all("input", type="radio")} for article in articles]
    assert all(len(group) == 1 for group in groups) and len(set.union(*groups)) == 4


def test_shares_of_the_classes_the_largest_first(articles):
    shares = [[li.text for li in facts.all("li")] for facts in articles[0].all("div", class_="facts")]
    assert shares[0] == ["background66.7 %", "void25.0 %", f"{CLASSES[1]}8.3 %"]
    assert shares[1] == ["background66.7 %", f"{CLASSES[2]}29.2 %", f"{CLASSES[1]}4.2 %"]
    colours = [span.attrs["style"] for span in articles[0].all("span", class_="swatch")[:3]]
    assert colours == ["background:rgb(0, 0, 0, 0)", "background:rgb(0, 0, 0, 0)", "background:rgb(200, 30, 40)"]


def test_the_jaccard_of_each_network_where_there_is_a_truth(articles):
    """Class 0 is all right; of class 1's 200 pixels 10 rows of `columns` are wrong; class 2 is only predicted."""
    said = [[facts.all("p")[0].text for facts in article.all("div", class_="facts")] for article in articles]
    assert said[0] == ["", f"Jaccard {100 * (1 + 0.5 + 0) / 3:.1f} %", f"Jaccard {100 * (1 + 0.75 + 0) / 3:.1f} %"]
    assert said[3] == ["", f"Jaccard {100 * (1 + 0.75 + 0) / 3:.1f} %", f"Jaccard {100 * (1 + 0.25 + 0) / 3:.1f} %"]
    assert said[1] == ["", ""] and said[2] == ["", "", ""]
    assert [article.attrs["data-jaccard"] for article in articles] == ["58.3 %", "", "", "41.7 %"]
