"""Caffe's files, written here by the wire format and by Google's protobuf: every form that Caffe has had."""

import struct
import tracemalloc

import handmade as by
import numpy as np
import pytest

from minifcn import load_weights
from minifcn.inspect_weights import describe
from minifcn.models import Widths, fcn8s, fcn32s
from minifcn.weights import open_weights
from minifcn.weights.names import BGR

WIDTHS, CLASSES = Widths(by.BLOCKS, 3), 2


def arrays(network="fcn8s"):
    """Random values under Caffe's names, as (weight, bias or None), in its layout (K,C,KH,KW)."""
    rng, trunk, found = np.random.default_rng(1), by.trunk(), {}
    for layer in by.CONVS:
        found[layer] = trunk[f"{layer}.weight"], trunk[f"{layer}.bias"]
    shapes = {"fc6": (3, 2, 7, 7), "fc7": (3, 3, 1, 1), "score_fr": (CLASSES, 3, 1, 1)}
    ups = {"fcn32s": {"upscore": 64}, "fcn16s": {"upscore2": 4, "upscore16": 32}}
    ups["fcn8s"] = {"upscore2": 4, "upscore_pool4": 4, "upscore8": 16}
    skips = {"fcn32s": {}, "fcn16s": {"score_pool4": 4}, "fcn8s": {"score_pool4": 4, "score_pool3": 3}}[network]
    shapes |= {layer: (CLASSES, channels, 1, 1) for layer, channels in skips.items()}
    for layer, shape in shapes.items():
        found[layer] = rng.standard_normal(shape).astype("f"), rng.standard_normal(shape[0]).astype("f")
    for layer, size in ups[network].items():
        found[layer] = rng.standard_normal((CLASSES, CLASSES, size, size)).astype("f"), None
    return found


# --- the wire format ---


def varint(value):
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def number(field, value):
    return varint(field << 3) + varint(value)


def message(field, *content):
    content = b"".join(content)
    return varint(field << 3 | 2) + varint(len(content)) + content


def blob(x, form="new", packed=True, double=False, shape=None):
    """form: "new" with shape, "new, each size" with sizes that are not packed, "legacy" with num ... width."""
    shape = x.shape if shape is None else shape
    if form == "legacy":
        sizes = b"".join(number(i, size) for i, size in enumerate((1,) * (4 - len(shape)) + tuple(shape), 1))
    elif form == "new":
        sizes = message(7, message(1, *map(varint, shape)))
    else:
        sizes = message(7, *(number(1, size) for size in shape))
    field, code, kind = (8, "<d", 1) if double else (5, "<f", 5)
    each = [struct.pack(code, value) for value in x.ravel()]
    values = message(field, *each) if packed else b"".join(varint(field << 3 | kind) + value for value in each)
    return sizes + values


def layer_of(version, name, blobs, kind=b"Convolution"):
    """A layer with the fields beside name and blobs that Caffe writes, too."""
    name = name.encode()
    ends = message(3, b"data"), message(4, name)
    if version == "V2":
        content = [
            message(1, name),
            message(2, kind),
            *ends,
            *(message(7, x) for x in blobs),
            message(106, number(1, 3)),
        ]
        return message(100, *content)
    ends = message(2, b"data"), message(3, name)
    if version == "V1":
        return message(2, *ends, message(4, name), number(5, 4), *(message(6, x) for x in blobs), message(10, b""))
    inner = [message(1, name), message(2, b"conv"), number(3, 64), *(message(50, x) for x in blobs)]
    return message(2, message(1, *inner), *ends)


def network(layers, version="V2", inner_product=False, rename=str, **how):
    """A whole file. inner_product: fc6 and fc7 are matrices."""
    parts = [message(1, b"VGG_ILSVRC_16_layers"), message(3, b"data"), *(number(4, n) for n in (1, 3, 500, 500))]
    parts.append(layer_of(version, "input", [], b"Input"))
    for name, (w, b) in layers.items():
        if inner_product and name in ("fc6", "fc7"):
            w = w.reshape(len(w), -1)
        parts.append(layer_of(version, rename(name), [blob(x, **how) for x in (w, b) if x is not None]))
        parts.append(layer_of(version, f"relu_{name}", [], b"ReLU"))
    return b"".join(parts)


def assert_loaded(path, layers, build=fcn8s, learnt=True):
    report = load_weights(model := build(CLASSES, WIDTHS, "same"), path)
    assert report.missing == report.reinitialised == report.skipped == [] and report.preprocessing == BGR
    for name, (w, b) in layers.items():
        ours = "upscore32" if name == "upscore" else name
        np.testing.assert_array_equal(model.parameters()[f"{ours}.weight"].data, w.transpose(2, 3, 1, 0), err_msg=name)
        if b is not None:
            np.testing.assert_array_equal(model.parameters()[f"{ours}.bias"].data, b, err_msg=name)


FORMS = [
    {"version": "V2"},
    {"version": "V2", "packed": False},
    {"version": "V2", "form": "new, each size"},
    {"version": "V2", "double": True},
    {"version": "V2", "double": True, "packed": False},
    {"version": "V2", "inner_product": True},
    {"version": "V1", "form": "legacy"},
    {"version": "V1", "form": "legacy", "packed": False},
    {"version": "V1", "form": "legacy", "inner_product": True},
    {"version": "V0", "form": "legacy", "inner_product": True},
    {"version": "V1", "form": "new"},
]


@pytest.mark.parametrize("how", FORMS, ids=lambda how: " ".join(map(str, how.values())))
def test_every_form(how, tmp_path):
    path = by.write(tmp_path / "a", network(arrays(), **how))
    assert_loaded(path, arrays())
    assert open_weights(path).format == "Caffe FCN-8s, caffemodel"


def dashed(name):
    return name.replace("_", "-") if name.startswith("score") else name


OLDEST = {"score_fr": "score59", "upscore2": "score2", "upscore_pool4": "score4", "score_pool4": "score-pool4"}


@pytest.mark.parametrize("rename", [dashed, lambda name: OLDEST.get(name, name)])
def test_names_of_other_years(rename, tmp_path):
    assert_loaded(by.write(tmp_path / "a", network(arrays(), rename=rename)), arrays())


def test_fcn32s(tmp_path):
    path = by.write(tmp_path / "a", network(arrays("fcn32s")))
    assert_loaded(path, arrays("fcn32s"), fcn32s)
    assert open_weights(path).format == "Caffe FCN-32s, caffemodel"
    assert open_weights(by.write(tmp_path / "b", network(arrays("fcn16s")))).format == "Caffe FCN-16s, caffemodel"


def test_vgg_as_a_classifier(tmp_path):
    """VGG_ILSVRC_16_layers: fc6 to fc8 are inner products."""
    layers = {name: x for name, x in arrays().items() if not name.startswith(("score", "up"))}
    layers["fc8"] = np.ones((10, 3), "f"), np.ones(10, "f")
    path = by.write(tmp_path / "a", network(layers, "V1", inner_product=True, form="legacy"))
    report = load_weights(fcn32s(CLASSES, WIDTHS, "same"), path)
    assert report.skipped == ["fc8.blob0", "fc8.blob1"] and len(report.loaded) == 30
    told = describe(path, open_weights(path))
    assert "skipped: ImageNet's classes" in told and "BGR of 0..255, minus 104.007 116.669 122.679" in told


def test_numbers_are_views_of_the_file(tmp_path):
    layers = arrays() | {"huge": (np.ones((1, 1, 1000, 500), "f"), None)}
    for how in ({}, {"packed": False}):
        path = by.write(tmp_path / "a", network(layers, **how))
        tracemalloc.start()
        file = open_weights(path)
        (x,) = (array.stored.read() for array in file.arrays if array.stored.name.startswith("huge"))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert x.shape == (1, 1, 1000, 500) and (x == 1).all() and not x.flags.writeable and peak < 2**21


# --- damaged and hostile ---

CONV = arrays()["conv1_1"][0]
BAD = {
    "more numbers than there are": (blob(CONV, shape=(3, 3, 3, 4)), "conv1_1.blob0 has 81 numbers, not"),
    "fewer numbers": (blob(CONV, shape=(3, 3, 3, 2)), "has 81 numbers, not"),
    "2^60 numbers": (blob(CONV, shape=(2**30, 2**30)), "has 81 numbers, not"),
    "2^70 of a size": (blob(CONV, shape=(2**69,)), "has 81 numbers, not"),
    "a negative size": (blob(CONV, shape=(2**64 - 3, 3, 3, 3)), "has 81 numbers, not"),
    "no numbers": (message(7, message(1, b"\3\3\3\3")), "has 0 numbers, not"),
    "none, and no size": (b"", "has 0 numbers, not"),
    "none, and a huge size": (message(7, message(1, varint(0), varint(2**62))), "has 0 numbers, not"),
    "a hundred sizes": (blob(CONV[:1, :1, :1, :1], shape=(1,) * 100), "fields make no sense|cannot be a|numbers, not"),
    "numbers twice": (blob(CONV) + blob(CONV), "has 0 numbers, not"),
    "floats of eight bytes": (message(7, message(1, b"\1")) + b"\x29" + bytes(8), "has 0 numbers, not"),
    "a group, which ended in 2008": (b"\x0b", "fields make no sense"),
    "a kind that does not exist": (b"\x0f", "fields make no sense"),
    "beyond the end": (b"\x2a\xff\xff\x03", "fields make no sense"),
    "a length without end": (b"\x2a" + b"\xff" * 20, "a number has no end"),
    "a number without end": (b"\x08\xff", "a number has no end"),
    "a million fields": (b"\x08\x01" * 10**6, "fields make no sense"),
}


@pytest.mark.parametrize("what", [*BAD])
def test_hostile(what, tmp_path):
    content, told = BAD[what]
    rest = {name: x for name, x in arrays().items() if name != "conv1_1"}
    bias = blob(arrays()["conv1_1"][1])
    tracemalloc.start()
    by.refused(by.write(tmp_path / "a", layer_of("V2", "conv1_1", [content, bias]) + network(rest)), told)
    assert tracemalloc.get_traced_memory()[1] < 2**25
    tracemalloc.stop()


def test_layers_within_layers(tmp_path):
    """V0 in V1 in V1 ...: only one level is looked at."""
    content = b""
    for _ in range(20_000):
        content = message(1, content)
    by.refused(by.write(tmp_path / "a", message(2, content)), "weights of another network|make no sense")


JUNK = [
    b"\n\n\n\n",
    b"\nHello, world; this is text. Is it?" * 20,
    b"\n\x05hello" * 100,
    bytes(100),
    b"\n\x01x\x12\x02\0\0",
]


@pytest.mark.parametrize("junk", JUNK)
def test_other_files_are_told_as_before(junk, tmp_path):
    by.refused(by.write(tmp_path / "a", junk), "not a weight file of any known kind")


# --- by Google's library ---


def caffe_messages():
    """Classes of the parts of caffe.proto that matter here, without its compiler."""
    descriptor_pb2 = pytest.importorskip("google.protobuf.descriptor_pb2")
    from google.protobuf import descriptor_pool, message_factory

    file = descriptor_pb2.FileDescriptorProto(name="caffe_part.proto", package="caffe")
    parts = {
        "BlobShape": [("dim", 1, "int64 packed")],
        "BlobProto": [("num", 1, "int32"), ("channels", 2, "int32"), ("height", 3, "int32"), ("width", 4, "int32"),
                      ("data", 5, "float packed"), ("shape", 7, "BlobShape"), ("double_data", 8, "double packed")],
        "Layer": [("name", 1, "string"), ("type", 2, "string"), ("blobs", 7, "BlobProto repeated")],
        "V0": [("name", 1, "string"), ("type", 2, "string"), ("blobs", 50, "BlobProto repeated")],
        "V1": [("layer", 1, "V0"), ("name", 4, "string"), ("type", 5, "int32"), ("blobs", 6, "BlobProto repeated")],
        "Net": [("name", 1, "string"), ("layers", 2, "V1 repeated"), ("input_dim", 4, "int32 repeated"),
                ("layer", 100, "Layer repeated")],
    }  # fmt: skip
    kinds = {"int64": 3, "int32": 5, "float": 2, "double": 1, "string": 9}
    for called, fields in parts.items():
        part = file.message_type.add(name=called)
        for name, field, kind in fields:
            kind, *how = kind.split()
            f = part.field.add(name=name, number=field, type=kinds.get(kind, 11), label=3 if how else 1)
            if kind not in kinds:
                f.type_name = f".caffe.{kind}"
            f.options.packed = how == ["packed"]
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"caffe.{name}")) for name in parts}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("version", ["V2", "V1", "V0"])
def test_files_by_google_s_library(version, tmp_path):
    made = caffe_messages()
    net = made["Net"](name="VGG", input_dim=[1, 3, 8, 8])
    for name, values in arrays().items():
        layer = net.layer.add() if version == "V2" else net.layers.add()
        layer = layer.layer if version == "V0" else layer
        layer.name = name
        for x in values:
            if x is not None:
                blob = layer.blobs.add(data=x.ravel().tolist())
                if version == "V2":
                    blob.shape.dim.extend(x.shape)
                else:
                    blob.num, blob.channels, blob.height, blob.width = (1,) * (4 - x.ndim) + x.shape
    assert_loaded(by.write(tmp_path / "a", net.SerializeToString()), arrays())
