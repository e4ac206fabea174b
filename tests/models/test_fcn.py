"""The three networks: parameters, initial values, gradients, skip scales, upsampling, sizes, and what they refuse."""

import numpy as np
import pytest
from helpers import TINY, assert_all_gradients, assert_close, randomise, relative_error

import minifcn as mf
from minifcn.models import fcn

TRUNK = [f"conv{block}_{i}" for block, convs in enumerate((2, 2, 3, 3, 3), 1) for i in range(1, convs + 1)]
CLASSIFIER = ["fc6", "fc7", "score_fr"]
HEADS = {  # layers, with or without bias, in the order of the network
    "fcn32s": ["upscore32"],
    "fcn16s": ["score_pool4", "upscore2", "upscore16"],
    "fcn8s": ["score_pool4", "upscore2", "score_pool3", "upscore_pool4", "upscore8"],
}
LAST = {"fcn32s": "upscore32", "fcn16s": "upscore16", "fcn8s": "upscore8"}
each_network = pytest.mark.parametrize("name", HEADS)


def build(name, num_classes=3, trunk=TINY, pad="same", dtype=np.float64, **options):
    return getattr(mf.models, name)(num_classes, trunk=trunk, pad=pad, dtype=dtype, **options)


def picture(*size, seed=0, dtype=np.float64):
    return np.random.default_rng(seed).standard_normal((*size, 3)).astype(dtype)


def scores(model, x):
    with mf.no_grad():
        return model(x).data


# ---- parameters ----


@each_network
def test_names(name):
    expected = []
    for layer in TRUNK + CLASSIFIER + HEADS[name]:
        expected += [f"{layer}.weight"] + ([] if layer.startswith("upscore") else [f"{layer}.bias"])
    assert list(build(name).parameters()) == expected


def test_trunks():
    assert mf.models.TRUNKS == {
        "vgg16": mf.models.Widths((64, 128, 256, 512, 512), 4096),
        "vgg_quarter": mf.models.Widths((16, 32, 64, 128, 128), 256),
    }


def test_shapes():
    model, blocks, fc = mf.models.fcn8s(21, trunk="vgg_quarter"), (16, 32, 64, 128, 128), 256
    shapes = {name: p.shape for name, p in model.parameters().items()}
    before = 3
    for layer in TRUNK:
        width = blocks[int(layer[4]) - 1]
        assert shapes[f"{layer}.weight"] == (3, 3, before, width) and shapes[f"{layer}.bias"] == (width,)
        before = width
    assert shapes["fc6.weight"] == (7, 7, before, fc) and shapes["fc7.weight"] == (1, 1, fc, fc)
    assert shapes["score_fr.weight"] == (1, 1, fc, 21) and shapes["score_fr.bias"] == (21,)
    assert shapes["score_pool4.weight"] == (1, 1, blocks[3], 21)
    assert shapes["score_pool3.weight"] == (1, 1, blocks[2], 21)
    for upscore, kernel in (("upscore2", 4), ("upscore_pool4", 4), ("upscore8", 16)):
        assert shapes[f"{upscore}.weight"] == (kernel, kernel, 21, 21)
    assert all(p.dtype == np.float32 for p in model.parameters().values())


def test_initial_values():
    parameters = build("fcn8s", trunk="vgg_quarter").parameters()
    for name, parameter in parameters.items():
        w = parameter.data
        if name.endswith(".bias") or name.startswith("score"):
            assert not w.any(), name
        elif not name.startswith("upscore"):
            wanted = (2 / (w.shape[0] * w.shape[1] * w.shape[2])) ** 0.5
            spread = 4 / (2 * w.size) ** 0.5  # four standard deviations of an estimate of one
            assert abs(w.std() / wanted - 1) < spread, name
            assert abs(w.mean()) < 4 * wanted / w.size**0.5, name
    k = np.array([0.25, 0.75, 0.75, 0.25])
    for name in ("upscore2", "upscore_pool4"):
        w = parameters[f"{name}.weight"].data
        np.testing.assert_allclose(w, np.outer(k, k)[:, :, None, None] * np.eye(3), rtol=1e-15)


def test_the_seed_decides_and_layers_shared_start_alike():
    networks = {name: build(name).parameters() for name in HEADS}
    for layer in TRUNK + CLASSIFIER:
        first, *others = (parameters[f"{layer}.weight"].data for parameters in networks.values())
        assert all(np.array_equal(first, other) for other in others)
    again, other = build("fcn8s").parameters(), build("fcn8s", seed=1).parameters()
    assert all(np.array_equal(again[name].data, p.data) for name, p in networks["fcn8s"].items())
    assert not np.array_equal(other["fc6.weight"].data, again["fc6.weight"].data)
    assert not np.array_equal(again["conv3_2.weight"].data, again["conv3_3.weight"].data)


@each_network
def test_a_new_network_scores_zero_and_can_learn(name):
    """Zero score layers give zero scores, yet their own gradient is not zero, so the first step moves them."""
    model = build(name, trunk="vgg_quarter", dtype=np.float32)
    x = picture(1, 33, 47, dtype=np.float32)
    loss = mf.softmax_cross_entropy(model(x), np.random.default_rng(0).integers(0, 3, (1, 33, 47)))
    assert float(loss.data) == pytest.approx(np.log(3), rel=1e-5)
    loss.backward()
    for layer, parameter in model.parameters().items():
        if layer.startswith("score"):
            assert np.abs(parameter.grad).max() > 0, layer


# ---- gradients ----


@each_network
@pytest.mark.parametrize("pad", ["same", 100])
def test_every_gradient_is_there(name, pad):
    model = build(name, pad=pad).eval()
    parameters = randomise(model)
    y = model(picture(1, 35, 9))
    y.backward(np.random.default_rng(1).standard_normal(y.shape))
    assert_all_gradients(parameters)


@each_network
def test_gradients_of_the_whole_network(name):
    """The picture and layers of every kind; the comparison with PyTorch has all parameters."""
    model = build(name).eval()
    checked = ("conv1_1.bias", "conv3_2.bias", "conv5_1.weight", "fc6.bias", "score", "upscore2", "upscore_pool4")
    parameters = [p for layer, p in randomise(model).items() if layer.startswith(checked)]
    x = mf.Tensor(picture(1, 33, 18), requires_grad=True)
    mf.gradcheck(lambda *_: model(x), [x, *parameters], name=name)


# ---- skips and upsampling ----


def test_at_once_is_the_references():
    assert mf.models.AT_ONCE == (0.01, 0.0001)


@pytest.mark.parametrize("a, b", [mf.models.AT_ONCE, (2, 2)])
def test_skip_scale_multiplies_the_pools(a, b):
    """Scaling pool4 by a is scaling score_pool4's weight by a (its bias stays)."""
    scaled, plain = build("fcn8s", skip_scale=(a, b)).eval(), build("fcn8s").eval()
    randomise(scaled)
    parameters = randomise(plain)
    x = picture(1, 40, 23)
    without = scores(plain, x)
    parameters["score_pool4.weight"].data *= a
    parameters["score_pool3.weight"].data *= b
    assert_close(scores(scaled, x), scores(plain, x))
    assert relative_error(scores(scaled, x), without) > 1e-2


def test_one_skip_scale_serves_both():
    one, two = build("fcn8s", skip_scale=0.5).eval(), build("fcn8s", skip_scale=(0.5, 0.5)).eval()
    randomise(one)
    randomise(two)
    x = picture(1, 9, 12)
    assert np.array_equal(scores(one, x), scores(two, x))


@each_network
@pytest.mark.parametrize("upsampling", ["learnt", "fixed"])
def test_which_upsampling_learns(name, upsampling):
    model = build(name, upsampling=upsampling).eval()
    parameters = randomise(model, last_upscore=False)
    y = model(picture(1, 20, 11))
    y.backward(np.ones(y.shape))
    for layer in HEADS[name]:
        if layer.startswith("upscore"):
            learns = upsampling == "learnt" and layer != LAST[name]
            assert (parameters[f"{layer}.weight"].grad is not None) == learns, layer


@each_network
def test_the_last_upsampling_is_left_alone_by_sgd(name):
    model = build(name).eval()
    parameters = randomise(model)
    before = {layer: p.data.copy() for layer, p in parameters.items()}
    y = model(picture(1, 20, 35))
    y.backward(np.random.default_rng(1).standard_normal(y.shape))
    mf.optim.SGD(parameters, lr=1e-3, weight_decay=0.5).step()
    for layer, parameter in parameters.items():
        assert np.array_equal(parameter.data, before[layer]) == (layer == f"{LAST[name]}.weight"), layer


@each_network
def test_other_values_of_the_last_upsampling_are_used(name, monkeypatch):
    """Bilinear values take the cheap path; any others run as the transposed convolution that they are."""
    model = build(name).eval()
    parameters = randomise(model, last_upscore=False)
    x = picture(1, 20, 11)
    cheap = scores(model, x)
    used = []
    monkeypatch.setattr(fcn, "bilinear_upsample", lambda *args: used.append(args) or mf.bilinear_upsample(*args))
    scores(model, x)
    assert len(used) == 1  # the upsampling layers that learn never take it
    last = parameters[f"{LAST[name]}.weight"].data
    last *= 2
    assert_close(scores(model, x), 2 * cheap)
    last /= 2
    last[:, :, 0, 1] = last[:, :, 0, 0]  # class 0 now also sees the scores of class 1
    mixed = scores(model, x)
    assert_close(mixed[..., 0], cheap[..., 0] + cheap[..., 1])
    assert_close(mixed[..., 1:], cheap[..., 1:])
    assert len(used) == 1


# ---- the trunk ----


@each_network
def test_each_network_is_the_one_before_plus_one_skip(name):
    before = {"fcn16s": "fcn32s", "fcn8s": "fcn16s"}.get(name)
    skips = getattr(mf.models, name).skips
    assert skips == (() if before is None else (*getattr(mf.models, before).skips, skips[-1]))
    assert [*build(name).parameters()][-1] == f"{LAST[name]}.weight"


@pytest.mark.parametrize("pad", ["same", 100])
def test_sizes_of_the_maps(pad, monkeypatch):
    """Padding 100 comes at conv1_1 and nowhere later; "same" keeps every size up to the pools, which round up."""
    model, sizes, conv = build("fcn32s", pad=pad).eval(), {}, fcn.FCN32s.conv

    def watched(self, name, x, *args, **options):
        y = conv(self, name, x, *args, **options)
        sizes[name] = y.shape[1:3]
        return y

    monkeypatch.setattr(fcn.FCN32s, "conv", watched)
    model(picture(1, 21, 38))
    height, width = (21, 38) if pad == "same" else (21 + 198, 38 + 198)
    for block, convs in enumerate((2, 2, 3, 3, 3), 1):
        for i in range(1, convs + 1):
            assert sizes[f"conv{block}_{i}"] == (height, width), (block, i)
        height, width = -(-height // 2), -(-width // 2)
    fc6 = (height, width) if pad == "same" else (height - 6, width - 6)
    assert sizes["fc6"] == sizes["fc7"] == sizes["score_fr"] == fc6


# ---- what goes in ----


def test_dtypes():
    single, double = build("fcn32s", dtype=np.float32), build("fcn32s")
    for name, parameter in single.parameters().items():
        assert parameter.dtype == np.float32
        assert double.parameters()[name].dtype == np.float64
        assert np.array_equal(parameter.data, double.parameters()[name].data.astype(np.float32))
    assert scores(single, picture(1, 5, 4, dtype=np.float32)).dtype == np.float32
    with pytest.raises(TypeError, match=r"Conv2d: all inputs must .*, received .*float32.*float64"):
        single(picture(1, 5, 4))


@pytest.mark.parametrize("shape", [(5, 4, 3), (1, 5, 4, 1), (1, 0, 4, 3)])
def test_refuses_pictures(shape):
    with pytest.raises(ValueError, match="conv2d"):
        build("fcn16s")(np.zeros(shape))


@pytest.mark.parametrize(
    "options, match",
    [
        ({"num_classes": 0}, "num_classes: expected an int, at least 1 and at most 255, received 0"),
        ({"num_classes": 2.0}, "num_classes: expected an int, at least 1 and at most 255, received 2.0"),
        ({"num_classes": True}, "num_classes: expected an int, at least 1 and at most 255, received True"),
        ({"trunk": "resnet"}, "trunk: expected 'vgg16' or 'vgg_quarter', received 'resnet'"),
        ({"trunk": None}, "trunk: expected 'vgg16' or 'vgg_quarter', received None"),
        ({"pad": 1}, "pad: expected 100 or 'same', received 1"),
        ({"pad": "valid"}, "pad: expected 100 or 'same', received 'valid'"),
        ({"upsampling": "nearest"}, "upsampling: expected 'learnt' or 'fixed', received 'nearest'"),
        ({"skip_scale": (1, 2, 3)}, r"skip_scale: expected a finite number or a pair of them, received \(1, 2, 3\)"),
        ({"skip_scale": (1,)}, r"skip_scale: .*received \(1,\)"),
        ({"skip_scale": (np.nan, 1.0)}, r"skip_scale: .*received \(nan, 1.0\)"),
        ({"skip_scale": np.nan}, "skip_scale: .*received nan"),
        ({"skip_scale": "a"}, "skip_scale: .*received 'a'"),
        ({"skip_scale": None}, "skip_scale: .*received None"),
        ({"seed": -1}, "seed: expected an int, at least 0, received -1"),
        ({"seed": None}, "seed: expected an int, at least 0, received None"),
        ({"dropout": 1.0}, r"dropout: expected a number in \[0, 1\), received 1.0"),
        ({"dropout": "a"}, "dropout: expected a number, received str"),
    ],
)
@each_network
def test_refuses(name, options, match):
    error = TypeError if options == {"dropout": "a"} else ValueError
    with pytest.raises(error, match=match):
        build(name, **options)


def test_integers_of_numpy_are_ints():
    model = build("fcn32s", np.int64(3), seed=np.uint8(5))
    assert (model.num_classes, model.seed) == (3, 5) and type(model.num_classes) is type(model.seed) is int


@pytest.mark.parametrize("dtype", [np.float16, np.int32])
def test_refuses_dtypes(dtype):
    with pytest.raises(TypeError, match="expected float32 or float64, received"):
        build("fcn32s", dtype=dtype)
