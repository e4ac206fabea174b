"""A page of HTML as a tree, for tests that have no browser."""

from html.parser import HTMLParser

EMPTY = {"meta", "img", "input", "br", "link", "hr"}  # elements that have no end


class Node:
    """An element: its tag, its attributes, and what is in it, texts and elements."""

    def __init__(self, tag: str, attrs: dict[str, str | None]):
        self.tag, self.attrs, self.inside = tag, attrs, []

    @property
    def text(self) -> str:
        return "".join(x if isinstance(x, str) else x.text for x in self.inside)

    def all(self, *tags: str, **attrs: str) -> list["Node"]:
        """The elements in it that have one of these tags (if any are given) and all of these attributes, in order.

        An attribute's value is one of the words of the element's: all("span", class_="badge").
        """
        found = []
        for x in (x for x in self.inside if isinstance(x, Node)):
            has = all(value in (x.attrs.get(name.rstrip("_")) or "").split() for name, value in attrs.items())
            found += [x] * (has and (not tags or x.tag in tags)) + x.all(*tags, **attrs)
        return found


class _Parser(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open = [Node("", {})]

    def handle_starttag(self, tag, attrs):
        node = Node(tag, dict(attrs))
        self.open[-1].inside.append(node)
        if tag not in EMPTY:
            self.open.append(node)

    def handle_endtag(self, tag):
        assert self.open.pop().tag == tag, f"</{tag}> ends another element, at line {self.getpos()[0]}"

    def handle_data(self, data):
        self.open[-1].inside.append(data)


def parse(text: str) -> Node:
    """The root of a page. Every element that is not EMPTY must be ended, in order."""
    parser = _Parser()
    parser.feed(text)
    parser.close()
    assert len(parser.open) == 1, f"never ended: {[node.tag for node in parser.open[1:]]}"
    return parser.open[0]
