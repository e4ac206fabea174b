"""The classifier against a twin in PyTorch, its averages by hand, and the plain VGG that it is folded into."""

import numpy as np
import pytest
from helpers import TINY, assert_close, relative_error

import minifcn as mf
from minifcn import cpu, device
from minifcn.autograd import no_grad
from minifcn.models.classifier import VGGClassifier, fold_all

torch = pytest.importorskip("torch")
F = torch.nn.functional
LAYERS = [f"conv{block}_{i}" for block, convs in enumerate((2, 2, 3, 3, 3), 1) for i in range(1, convs + 1)]
LAYERS += ["fc6", "fc7"]


class Twin:
    """VGG with nn.BatchNorm2d after each convolution, its weight 1, and averaged scores; nothing here is minifcn's."""

    def __init__(self, arrays):
        self.arrays = {name: torch.tensor(x) for name, x in arrays.items()}
        self.w, self.norms, self.normalised = {}, {}, {}
        for name in (*LAYERS, "fc8"):
            weight = self.arrays[f"{name}.weight"].permute(3, 2, 0, 1).contiguous()
            self.w[f"{name}.weight"] = weight.requires_grad_()
        self.w["fc8.bias"] = self.arrays["fc8.bias"].requires_grad_()
        for name in LAYERS:
            norm = torch.nn.BatchNorm2d(len(self.arrays[f"{name}.bias"]), eps=1e-5, momentum=0.05, dtype=torch.float64)
            norm.weight.requires_grad_(False)  # 1
            norm.bias.data[:] = self.arrays[f"{name}.bias"]
            norm.running_mean[:], norm.running_var[:] = (self.arrays[f"{name}.{part}"] for part in ("mean", "var"))
            self.norms[name], self.w[f"{name}.bias"] = norm, norm.bias

    def train(self, training=True):
        for norm in self.norms.values():
            norm.train(training)
        return self

    def layer(self, name, x, padding):
        y = F.conv2d(x, self.w[f"{name}.weight"], padding=padding)
        self.normalised[name] = y.detach()
        return F.relu(self.norms[name](y))

    def features(self, x):
        """x: array (N,H,W,3) -> pool3, pool4, fc7 as (N,C,H,W)."""
        x, pools = torch.tensor(x).permute(0, 3, 1, 2), []
        for block in range(1, 6):
            for name in (layer for layer in LAYERS if layer.startswith(f"conv{block}")):
                x = self.layer(name, x, 1)
            pools.append(x := F.max_pool2d(x, 2, ceil_mode=True))
        return pools[2], pools[3], self.layer("fc7", self.layer("fc6", x, 3), 0)

    def __call__(self, x):
        """x: array (N,H,W,3) -> scores (N,L)."""
        scores = F.conv2d(self.features(x)[2], self.w["fc8.weight"], self.w["fc8.bias"])
        return torch.nn.AvgPool2d(scores.shape[2:])(scores)[:, :, 0, 0]

    def gradient(self, name):
        grad = self.w[name].grad
        return (grad.permute(2, 3, 1, 0) if name.endswith(".weight") else grad).numpy()


def build(classes=4, seed=0, dropout=0.0, dtype=np.float64):
    """A classifier with random values everywhere, fc8 and the averages too."""
    model, rng = VGGClassifier(classes, TINY, dtype, seed, dropout), np.random.default_rng(seed)
    for name, parameter in model.parameters().items():
        w, kind = parameter.data, name.rpartition(".")[2]
        if kind in ("bias", "mean"):
            w[:] = rng.uniform(-0.2, 0.4, w.shape)
        elif kind == "var":
            w[:] = rng.uniform(0.3, 3, w.shape)
        elif name == "fc8.weight":
            w[:] = rng.standard_normal(w.shape)
    return model


def arrays_of(model):
    return {name: device.asnumpy(p.data).copy() for name, p in model.parameters().items()}


def pictures(N, H, W, seed=1):
    return np.random.default_rng(seed).standard_normal((N, H, W, 3))


# --- the network ---


def test_what_it_is_made_of():
    model = VGGClassifier(7, TINY)
    expected = {f"{name}.{part}" for name in LAYERS for part in ("weight", "bias", "mean", "var")}
    parameters = model.parameters()
    assert parameters.keys() == expected | {"fc8.weight", "fc8.bias"}
    for name in LAYERS:
        assert not parameters[f"{name}.mean"].data.any() and (parameters[f"{name}.var"].data == 1).all()
        assert [parameters[f"{name}.{part}"].requires_grad for part in ("weight", "bias", "mean", "var")] == [
            1,
            1,
            0,
            0,
        ]
    assert parameters["fc8.weight"].shape == (1, 1, 8, 7) and not parameters["fc8.weight"].data.any()
    assert not model(pictures(2, 20, 33).astype(np.float32)).data.any()  # all classes alike at first
    fcn = mf.models.fcn32s(3, TINY, "same").parameters()  # starts alike
    for name in LAYERS:
        np.testing.assert_array_equal(parameters[f"{name}.weight"].data, fcn[f"{name}.weight"].data)
    for bad in (0, -1, 2.0, "3", True):
        with pytest.raises(ValueError, match=f"num_classes: expected an int, at least 1, received {bad!r}"):
            VGGClassifier(bad, TINY)


@pytest.mark.parametrize("size", [(4, 33, 47), (3, 64, 32)], ids=str)
def test_training_is_that_of_the_twin(size):
    assert_twin_trains(cpu, size)


def test_training_on_every_device(loops):
    assert_twin_trains(loops, (3, 18, 33))


def assert_twin_trains(loops, size):
    """Scores, loss and every gradient."""
    model = build().train()
    twin, labels = Twin(arrays_of(model)).train(), np.arange(size[0]) % 4
    model.to("cpu" if loops is cpu else "gpu")
    scores, expected = model(pictures(*size)), twin(pictures(*size))
    assert scores.shape == (size[0], 1, 1, 4) and device.of(scores.data) is loops
    assert np.ptp(device.asnumpy(scores.data), axis=0).max() > 0.1  # it tells pictures apart
    assert_close(scores.data[:, 0, 0], expected.detach().numpy(), "network", "scores")
    loss = mf.softmax_cross_entropy(scores, labels.reshape(-1, 1, 1), ignore_label=-1)
    expected = F.cross_entropy(expected, torch.tensor(labels))
    assert float(loss.data) == pytest.approx(expected.item(), rel=1e-9)
    loss.backward()
    expected.backward()
    learnt = {name: p for name, p in model.parameters().items() if p.requires_grad}
    assert learnt.keys() == twin.w.keys()
    sizes = {name: np.linalg.norm(twin.gradient(name)) for name in learnt}
    for name, parameter in learnt.items():
        assert sizes[name] > 1e-6, name
        assert_close(parameter.grad, twin.gradient(name), "network", name)
    for name, parameter in model.parameters().items():
        assert parameter.requires_grad or parameter.grad is None, name


def test_gradients_against_finite_differences():
    model = build(seed=3).train()
    checked = ("conv1_1.bias", "conv2_1.weight", "conv4_3.weight", "fc6.bias", "fc7.weight", "fc8")
    parameters = [p for name, p in model.parameters().items() if name.startswith(checked) and p.requires_grad]
    x = mf.Tensor(pictures(4, 18, 33), requires_grad=True)
    mf.gradcheck(lambda *_: model(x), [x, *parameters])


def test_dropout_in_training_alone():
    model, x = build(dropout=0.5), pictures(3, 32, 33)

    def scores(step):
        model.start_step(step)
        return model(x).data

    model.train()
    np.testing.assert_array_equal(scores(0), scores(0))
    assert relative_error(scores(1), scores(0)) > 1e-2
    model.eval()
    np.testing.assert_array_equal(scores(1), scores(0))


# --- averages ---


def test_averages_by_hand(loops):
    """Each step keeps 0.95 of an average and takes 0.05 of the batch's; the variance is divided by the count less one,
    as nn.BatchNorm2d's is."""
    model = VGGClassifier(4, TINY, np.float64, dropout=0.0)
    twin = Twin(arrays_of(model)).train()
    model.to("cpu" if loops is cpu else "gpu").train()
    expected = {name: np.float64(name.endswith(".var")) for name in model.parameters()}
    for step in range(4):
        x = pictures(3, 18, 20, seed=step)
        model(x)
        twin(x)
        for name, y in twin.normalised.items():
            y = y.numpy().transpose(1, 0, 2, 3).reshape(y.shape[1], -1)  # (K, M)
            for part, now in (("mean", y.mean(1)), ("var", ((y - y.mean(1)[:, None]) ** 2).sum(1) / (y.shape[1] - 1))):
                expected[f"{name}.{part}"] = 0.95 * expected[f"{name}.{part}"] + 0.05 * now
    found = arrays_of(model)
    for name in LAYERS:
        for part in ("mean", "var"):
            assert_close(found[f"{name}.{part}"], expected[f"{name}.{part}"], "network", f"{name}.{part}")
        assert_close(found[f"{name}.var"], twin.norms[name].running_var.numpy(), "network", f"{name}.var of PyTorch")


def test_evaluation_uses_the_averages_and_leaves_them(loops):
    """One picture's scores do not depend on the others."""
    model, x = build(), pictures(3, 18, 33)
    before = arrays_of(model)
    expected = Twin(before).train(False)(x).detach().numpy()
    model.to("cpu" if loops is cpu else "gpu").eval()
    with no_grad():
        assert_close(model(x).data[:, 0, 0], expected, "network")
        assert_close(model(x[1:2]).data[:, 0, 0], expected[1:2], "network")
    for name, w in arrays_of(model).items():
        np.testing.assert_array_equal(w, before[name], err_msg=name)


# --- folded ---


def test_folded_it_is_the_trunk_of_an_fcn():
    """A plain VGG computes the same pool3, pool4 and fc7 as the twin with its averages."""
    model, x = build(), pictures(2, 45, 70)
    folded = fold_all(arrays_of(model))
    assert folded.keys() == {f"{name}.{part}" for name in (*LAYERS, "fc8") for part in ("weight", "bias")}
    fcn = mf.models.fcn32s(4, TINY, "same", dtype=np.float64).eval()
    for name, parameter in fcn.parameters().items():
        if not name.startswith(("score", "upscore")):
            parameter.data[...] = folded.pop(name)
    assert folded.keys() == {"fc8.weight", "fc8.bias"}
    with no_grad():
        ours, theirs = fcn.features(mf.Tensor(x)), Twin(arrays_of(model)).train(False).features(x)
        for name, pool, expected in zip(("pool3", "pool4", "fc7"), ours, theirs, strict=True):
            expected = expected.permute(0, 2, 3, 1).detach().numpy()
            assert (expected > 0).mean() > 0.1
            assert_close(pool.data, expected, "network", name)
        for pool, own in zip(ours, model.eval().features(mf.Tensor(x)), strict=True):
            assert_close(pool.data, own.data, "network")


def test_folding_leaves_the_classifier_as_it_was():
    before = arrays_of(build())
    after = {name: x.copy() for name, x in before.items()}
    fold_all(after)
    for name, x in before.items():
        np.testing.assert_array_equal(after[name], x)
    np.testing.assert_array_equal(fold_all(after)["fc8.weight"], before["fc8.weight"])
