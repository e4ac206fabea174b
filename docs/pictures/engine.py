"""The pictures of docs/walkthrough/engine.md: two graphs, as minifcn's own engine records them."""

import numpy as np

import minifcn as mf
from minifcn.autograd import Tensor, graph

from .svg import Svg, number

WIDTH, HEIGHT = 118, 34  # of a box


def box(picture, x, y, words, colour="blue", dashed=False):
    fill = None if dashed else (colour, 0.15)
    picture.rect(x - WIDTH / 2, y - HEIGHT / 2, WIDTH, HEIGHT, colour, fill, dashed, 1.5)
    picture.text(x, y, words)


def label(x, y, slanted: bool, shift: int) -> tuple[float, float]:
    """Where a gradient's number stands, beside the middle (x, y) of its arrow."""
    if slanted:
        return (x + 14, y - 8) if shift > 0 else (x - 14, y + 10 if shift else y - 8)
    return (x - 20, y) if shift < 0 else (x + 20, y)


def order() -> Svg:
    """The way back through x^6 at 3, with the gradient on every edge."""
    x = Tensor(np.array(3.0), requires_grad=True)
    first = x * x
    functions = list(graph(first * first * first))[::-1]  # the order of the way back
    places = [(214, 40), (86, 130), (214, 230)]
    titles = ["a b", "a b  (first · first)", "a b  (x · x)"]
    picture, leaf = Svg(400, 366), (214, 326)
    pending, sums = {functions[0]: [np.array(1.0)]}, []
    for turn, (function, (cx, cy)) in enumerate(zip(functions, places, strict=True)):
        dy = sum(pending[function])
        parents = [(places[functions.index(p)] if p in functions else leaf, p) for p in function.parents]
        for i, ((px, py), parent) in enumerate(parents):
            gradient = function.backward(dy.copy())[i]
            pending.setdefault(parent, []).append(gradient)
            twice = len({id(p) for _, p in parents}) < len(parents)
            shift = (22 if i else -22) if twice else 0
            start, end = (cx + shift, cy + HEIGHT / 2), (px + shift, py - HEIGHT / 2 - 2)
            picture.arrow(*start, *end, "orange", 2)
            slanted = px != cx
            middle = (start[0] + end[0]) / 2, (start[1] + end[1]) / 2
            picture.text(*label(*middle, slanted, shift), number(float(gradient)), "orange", bold=True)
        sums.append(" + ".join(number(float(g)) for g in pending[function]))
        box(picture, cx, cy, titles[turn])
        picture.text(cx - WIDTH / 2 - 14, cy, f"{turn + 1}.", bold=True)
    picture.text(214, 12, "gradient 1 arrives", "orange")
    picture.text(282, 216, sums[-1], "orange", "start")
    picture.text(282, 236, f"= {number(float(sum(pending[functions[-1]])))}, complete", "orange", "start")
    box(picture, *leaf, "x = 3", "ink", dashed=True)
    grads = pending[x]
    picture.text(282, 318, " + ".join(number(float(g)) for g in grads), "orange", "start")
    picture.text(282, 338, f"= {number(float(sum(grads)))}", "orange", "start")
    return picture


def network() -> Svg:
    """A convolution, a ReLU beside it, their sum, and the loss."""
    w, b = (Tensor(np.ones(shape), requires_grad=True) for shape in ((3, 3, 3, 2), (2,)))
    h = mf.conv2d(np.ones((1, 4, 4, 3)), w, b, padding=1)
    loss = mf.softmax_cross_entropy(mf.relu(h) + h, np.zeros((1, 4, 4), int))
    functions = list(graph(loss))
    names = [str(function) for function in functions]
    assert names == ["Conv2d", "ReLU", "Add", "SoftmaxCrossEntropy"], names
    picture = Svg(400, 386)
    places = dict(zip(functions, [(190, 130), (120, 206), (190, 282), (190, 360)], strict=True))
    leaves = {0: (64, 40, "picture"), 1: (190, 40, "weight"), 2: (316, 40, "bias")}
    for i, (x, y, words) in leaves.items():
        asked = functions[0].parents[i] is not None
        box(picture, x, y, words, "ink" if asked else "faint", dashed=True)
        picture.arrow(
            x, y + HEIGHT / 2, 190 + (x - 190) / 4, 130 - HEIGHT / 2 - 2, "ink" if asked else "faint", 1.5, not asked
        )
    picture.text(64, 12, "no gradient", "faint")
    picture.text(253, 12, "leaves: keep .grad", "ink")
    for function in functions:
        for parent in function.parents:
            if parent in places:
                (x0, y0), (x1, y1) = places[parent], places[function]
                aside = 24 if x0 == x1 and y1 - y0 > 100 else 0  # past the ReLU
                picture.arrow(x0 + aside, y0 + HEIGHT / 2, x1 + aside, y1 - HEIGHT / 2 - 2)
    for i, (x, y) in enumerate(places.values()):
        box(picture, x, y, {"SoftmaxCrossEntropy": "loss"}.get(names[i], names[i]))
        picture.text(330, y, f"back: {len(functions) - i}.", "orange", "start", bold=True)
    return picture


def pictures() -> dict[str, str]:
    return {"engine_order.svg": str(order()), "engine_graph.svg": str(network())}
