"""An FCN as an ONNX graph (https://onnx.ai/onnx/operators), from the bytes of pictures to scores or classes.

    pictures uint8 (N,H,W,3), RGB - preprocessing - models/vgg.py - models/fcn.py - scores float32 (N,H,W,L)
                                                                                  or labels uint8 (N,H,W)

N, H and W are free: where crops begin depends on no size and comes from models/geometry.py, where they end the graph
takes from the maps that it sees. In between, maps are (N,C,H,W), as ONNX has them. The import needs the package onnx.
"""

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper

from ..datasets.transforms import Preprocessing
from ..files import MARK
from ..models.fcn import UPSCORES, FCN32s
from ..models.geometry import Grid
from ..models.vgg import CONVS
from .names import oihw

OPSET, IR_VERSION = 17, 8  # of 2022, so that older runtimes read it, too
POOLING = {"kernel_shape": (2, 2), "strides": (2, 2), "ceil_mode": 1}
FLOAT, UINT8 = TensorProto.FLOAT, TensorProto.UINT8


class Graph:
    """Nodes and arrays so far. Its methods add nodes, and return the name of what these give."""

    def __init__(self, model: FCN32s):
        self.model, self.nodes, parameters = model, [], model.parameters()
        self.arrays = [numpy_helper.from_array(oihw(p.data).astype("f4"), name) for name, p in parameters.items()]

    def add(self, kind: str, name: str, *inputs, **attributes) -> str:
        """Add a node. inputs: names, or arrays of constants."""
        constants = {f"{name}.{i}": x for i, x in enumerate(inputs) if not isinstance(x, str)}
        self.arrays += [numpy_helper.from_array(x, own) for own, x in constants.items()]
        names = [x if isinstance(x, str) else f"{name}.{i}" for i, x in enumerate(inputs)]
        self.nodes.append(helper.make_node(kind, names, [name], name, **attributes))
        return name

    def conv(self, name: str, x: str, padding: int = 0, relu: bool = False) -> str:
        y = self.add("Conv", name, x, f"{name}.weight", f"{name}.bias", pads=[padding] * 4)
        return self.add("Relu", f"{name}.relu", y) if relu else y

    def crop(self, x: str, offset: int, like: str) -> str:
        """Cut out of x, from row and column `offset` on, what has the height and width of `like`."""
        start = np.int64([offset, offset])
        stop = self.add("Add", f"{x}.stop", self.add("Shape", f"{x}.size", like, start=2, end=4), start)
        return self.add("Slice", f"{x}.crop", x, start, stop, np.int64([2, 3]))

    def preprocess(self, x: str) -> str:
        """Preprocessing.apply: pictures (N,H,W,3) -> (N,3,H,W)."""
        p = Preprocessing.from_dict(self.model.meta["preprocessing"])
        x = self.add("Cast", "numbers", x, to=FLOAT)
        x = self.add("Gather", "ordered", x, np.int64([0, 1, 2] if p.order == "RGB" else [2, 1, 0]), axis=3)
        x = self.add("Div", "scaled", self.add("Sub", "centred", x, np.float32(p.mean)), np.float32(p.std))
        return self.add("Transpose", "preprocessed", x, perm=(0, 3, 1, 2))

    def features(self, x: str) -> dict[str, str]:
        """VGG.features: x (N,3,H,W) -> the pools and fc7."""
        found = {}
        for block, convs in enumerate(CONVS, 1):
            for i in range(1, convs + 1):
                x = self.conv(f"conv{block}_{i}", x, self.model.conv1_padding if block == i == 1 else 1, relu=True)
            found[f"pool{block}"] = x = self.add("MaxPool", f"pool{block}", x, **POOLING)
        return found | {"fc7": self.conv("fc7", self.conv("fc6", x, self.model.fc6_padding, relu=True), relu=True)}

    def scores(self, x: str) -> str:
        """FCN32s.forward: x (N,3,H,W) -> scores (N,L,H,W)."""
        features, grids = self.features(x), self.model.grids
        score, grid = self.conv("score_fr", features["fc7"]), grids["fc7"]
        for pool in self.model.skips:
            score, grid = self.upscore(UPSCORES[pool], score, grid)
            scaled = self.add("Mul", f"{pool}.scaled", features[pool], np.float32(self.model.skip_scale[pool]))
            skip, offset = self.conv(f"score_{pool}", scaled), grid.crop_to(grids[pool])
            if offset >= 0:
                score, grid = self.crop(score, offset, skip), grids[pool]
            else:
                skip = self.crop(skip, -offset, score)
            score = self.add("Add", f"{pool}.joined", score, skip)
        score, grid = self.upscore(self.model.last, score, grid)
        return self.crop(score, grid.crop_to(Grid()), x)

    def upscore(self, name: str, score: str, grid: Grid) -> tuple[str, Grid]:
        stride = self.model.parameters()[f"{name}.weight"].shape[0] // 2
        score = self.add("ConvTranspose", name, score, f"{name}.weight", strides=(stride, stride))
        return score, grid.conv_transpose(2 * stride, stride)


def onnx_model(model: FCN32s, metadata: dict[str, str], labels: bool = False) -> ModelProto:
    """Return a network as a model of ONNX; its preprocessing is in its meta. labels: classes come out, not scores."""
    graph, sides = Graph(model), ["N", "H", "W"]
    scores = graph.scores(graph.preprocess("pictures"))  # (N,L,H,W)
    if labels:
        best = graph.add("ArgMax", "best", scores, axis=1, keepdims=0)  # of equal ones the first, as everywhere
        out = graph.add("Cast", "labels", best, to=UINT8), UINT8, sides
    else:
        out = graph.add("Transpose", "scores", scores, perm=(0, 2, 3, 1)), FLOAT, [*sides, model.num_classes]
    ends = [[helper.make_tensor_value_info(*end)] for end in (("pictures", UINT8, [*sides, 3]), out)]
    body = helper.make_graph(graph.nodes, model.name, *ends, graph.arrays)
    opset = helper.make_opsetid("", OPSET)
    about = {"producer_name": "minifcn", "doc_string": MARK, "ir_version": IR_VERSION}
    made = helper.make_model(body, opset_imports=[opset], **about)
    helper.set_model_props(made, metadata)
    return made
