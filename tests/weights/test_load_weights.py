"""Weights from a file into a network: which names are copied, which are not, and that nothing is lost on the way."""

import json
import tracemalloc

import numpy as np
import pytest
from helpers import randomise
from safetensors.numpy import load_file, save_file
from small_data import TINY

import minifcn as mf
from minifcn import load_weights
from minifcn.autograd import no_grad
from minifcn.datasets.transforms import Preprocessing
from minifcn.errors import InputError
from minifcn.models import MODELS, TRUNKS, Widths
from minifcn.models.fcn import is_bilinear
from minifcn.weights import checkpoint, load_model, open_weights

TRUNK_NAMES = [
    *(f"conv{block}_{i}" for block, convs in enumerate((2, 2, 3, 3, 3), 1) for i in range(1, convs + 1)),
    *("fc6", "fc7"),
]
PREPROCESSING = {"order": "RGB", "mean": [1.0, 2.0, 3.0], "std": [1.0, 1.0, 2.0]}


@pytest.fixture(scope="module", autouse=True)
def tiny_trunk():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(TRUNKS, "tiny", TINY)
        yield


def network(name, classes=3, trunk="tiny", seed=0, **options):
    return MODELS[name](classes, trunk, "same", seed=seed, **options)


def save(path, model):
    """Write a checkpoint of a network, with momenta as training has them."""
    tensors = {f"model/{name}": p.data for name, p in model.parameters().items()}
    tensors |= {f"momentum/{name}": 0 * p.data for name, p in model.parameters().items()}
    spec = {"name": model.name, "num_classes": model.num_classes, "trunk": "tiny", "pad": model.pad}
    spec |= {"skip_scale": [*model.skip_scale.values()], "upsampling": model.upsampling, "seed": model.seed}
    meta = {"model": spec, "classes": list("abcdef")[: model.num_classes], "palette": [[0, 0, 0]] * model.num_classes}
    checkpoint.save(path, tensors, meta | {"preprocessing": PREPROCESSING})
    return path


def both(*layers):
    return [f"{layer}.{kind}" for layer in layers for kind in ("weight", "bias")]


@pytest.mark.parametrize(
    "source, target, skipped, missing",
    [
        ("fcn32s", "fcn16s", ["upscore32.weight"], [*both("score_pool4"), "upscore2.weight", "upscore16.weight"]),
        ("fcn16s", "fcn8s", ["upscore16.weight"], [*both("score_pool3"), "upscore_pool4.weight", "upscore8.weight"]),
        ("fcn16s", "fcn32s", [*both("score_pool4"), "upscore2.weight", "upscore16.weight"], ["upscore32.weight"]),
        ("fcn8s", "fcn8s", [], []),
    ],
)
def test_from_one_network_to_another(source, target, skipped, missing, tmp_path):
    old, new = network(source), network(target, seed=1)
    randomise(old)
    before = {name: p.data.copy() for name, p in new.parameters().items()}
    report = load_weights(new, save(tmp_path / "old", old))
    assert sorted(report.skipped) == sorted(skipped) and sorted(report.missing) == sorted(missing)
    assert report.reinitialised == []
    assert sorted([*report.loaded, *missing]) == sorted(new.parameters())
    assert set(both(*TRUNK_NAMES, "score_fr")) <= set(report.loaded)
    for name, p in new.parameters().items():
        expected = before[name] if name in missing else old.parameters()[name].data
        np.testing.assert_array_equal(p.data, expected, err_msg=name)
    assert report.classes == ["a", "b", "c"] and report.preprocessing == Preprocessing.from_dict(PREPROCESSING)


def test_another_class_count(tmp_path):
    new = network("fcn16s", classes=5)
    report = load_weights(new, save(tmp_path / "old", network("fcn16s")))
    shaped_by_classes = [*both("score_fr", "score_pool4"), "upscore2.weight", "upscore16.weight"]
    assert sorted(report.reinitialised) == sorted(shaped_by_classes)
    assert sorted(report.loaded) == sorted(both(*TRUNK_NAMES))
    assert report.skipped == report.missing == []
    assert not new.parameters()["score_fr.weight"].data.any()


def test_table(tmp_path):
    report = load_weights(network("fcn16s"), save(tmp_path / "old", network("fcn32s")))
    loaded, skipped, missing = (line.split("  ")[1:] for line in report.table().splitlines())
    assert loaded[0] == "loaded" and loaded[-1].strip() == "32 arrays: conv1_1, conv1_2, conv2_1 ... fc7, score_fr"
    assert skipped[0] == "skipped (not in this network)" and skipped[-1].strip() == "1 arrays: upscore32"
    assert missing[0] == "initialised anew (not in the file)"
    assert missing[-1].strip() == "4 arrays: score_pool4, upscore2, upscore16"
    report = load_weights(network("fcn32s", classes=4), save(tmp_path / "old", network("fcn32s")))
    assert "REINITIALISED (other shape in the file)  3 arrays: score_fr, upscore32" in report.table()
    assert "skipped" not in report.table() and "anew" not in report.table()


def test_a_file_that_fits_nothing_is_refused_and_changes_nothing(tmp_path):
    path, other = save(tmp_path / "old", network("fcn32s")), network("fcn32s", trunk=Widths((3, 5, 5, 5, 5), 7))
    before = {name: p.data.copy() for name, p in other.parameters().items()}
    message = (
        rf"{path}: none of its weights fit this trunk, as conv1_1.weight is \(3, 3, 3, 4\) there and \(3, 3, 3, 3\)"
    )
    with pytest.raises(InputError, match=message):
        load_weights(other, path)
    checkpoint.save(tmp_path / "strange", {"model/conv9.weight": np.zeros(3), "score_fr.bias": np.zeros(3)}, {})
    with pytest.raises(InputError, match=f"{tmp_path / 'strange'}: holds none of the network's convolutions"):
        load_weights(other, tmp_path / "strange")
    for name, p in other.parameters().items():
        if name.startswith(("conv", "fc")):
            np.testing.assert_array_equal(p.data, before[name], err_msg=name)


def test_weights_take_the_dtype_of_the_network_and_are_its_own(tmp_path):
    old, new = network("fcn32s", seed=1), network("fcn32s", dtype=np.float64)
    load_weights(new, save(tmp_path / "old", old))
    for name, p in new.parameters().items():
        assert p.data.dtype == np.float64 and p.data.flags.writeable
        np.testing.assert_array_equal(p.data, old.parameters()[name].data)
    x = np.random.default_rng(0).standard_normal((1, 9, 11, 3))
    new(x).data.sum()  # runs in float64 throughout


@pytest.mark.parametrize("name", [*MODELS])
@pytest.mark.parametrize("upsampling", ["learnt", "fixed"])
def test_load_model_gives_the_same_scores(name, upsampling, tmp_path):
    model = network(name, seed=3, upsampling=upsampling, skip_scale=(0.5, 0.25))
    randomise(model, last_upscore=False)
    again, meta = load_model(save(tmp_path / "model", model))
    assert type(again) is type(model) and again.skip_scale == {"pool4": 0.5, "pool3": 0.25}
    assert again.upsampling == upsampling and meta["classes"] == ["a", "b", "c"]
    x = np.random.default_rng(0).standard_normal((2, 33, 41, 3)).astype(np.float32)
    with no_grad():
        scores = model.eval()(x).data
        np.testing.assert_array_equal(again.eval()(x).data, scores)
    assert np.abs(scores).max() > 0.01


def test_load_model_wants_every_array(tmp_path):
    path = save(tmp_path / "model", network("fcn16s"))
    tensors, meta = checkpoint.load(path)
    for change, complaint in (
        (lambda t: t.pop("model/fc6.bias"), "checkpoint of another network: fc6.bias is missing there"),
        (lambda t: t.pop("model/score_fr.bias"), "checkpoint of another network: score_fr.bias is missing there"),
        (lambda t: t.update({"model/fc6.bias": np.zeros(7)}), "fc6.bias is missing there, or of another shape"),
        (
            lambda t: t.update({"model/score_fr.bias": np.zeros(7)}),
            "score_fr.bias is missing there, or of another shape",
        ),
    ):
        changed = dict(tensors)
        change(changed)
        checkpoint.save(path, changed, meta)
        with pytest.raises(InputError, match=f"{path}: .*{complaint}"):
            load_model(path)


def test_the_plain_library_reads_the_same_arrays(tmp_path):
    model = network("fcn8s")
    randomise(model)
    arrays = load_file(save(tmp_path / "model", model))
    assert {name for name in arrays if name.startswith("model/")} == {f"model/{name}" for name in model.parameters()}
    for name, p in model.parameters().items():
        assert arrays[f"model/{name}"].dtype == np.float32
        np.testing.assert_array_equal(arrays[f"model/{name}"], p.data)


# --- checkpoints as one of several formats ---


def test_a_checkpoint_brings_its_preprocessing_and_classes(tmp_path):
    path = save(tmp_path / "old", network("fcn16s"))
    report = load_weights(network("fcn16s"), path)
    assert report.preprocessing == Preprocessing("RGB", (1, 2, 3), (1, 1, 2)) and report.classes == ["a", "b", "c"]
    file = open_weights(path)
    assert file.format == "minifcn checkpoint" and file.meta["preprocessing"] == PREPROCESSING
    assert {array.name for array in file.arrays if array.name} == set(network("fcn16s").parameters())
    tensors, _ = checkpoint.load(path)
    checkpoint.save(path, tensors, {})
    report = load_weights(network("fcn16s"), path)
    assert report.preprocessing is report.classes is None and report.skipped == []


@pytest.mark.parametrize(
    "meta", [{"preprocessing": {"order": "XYZ"}}, {"preprocessing": 3}, {"classes": 3}, [], "text"]
)
def test_a_checkpoint_that_says_strange_things(meta, tmp_path):
    tensors = {f"model/{name}": p.data for name, p in network("fcn32s").parameters().items()}
    checkpoint.save(tmp_path / "a", tensors, meta)
    with pytest.raises(InputError, match=f"{tmp_path / 'a'}: damaged, or not of this minifcn: its .* cannot be"):
        load_weights(network("fcn32s"), tmp_path / "a")


def test_flipped_bits_of_a_checkpoint_are_noticed(tmp_path):
    """Wherever among the numbers, the momenta's too, and before anything is copied."""
    whole = save(tmp_path / "old", network("fcn32s", seed=1)).read_bytes()
    model = network("fcn32s")
    before = {name: p.data.copy() for name, p in model.parameters().items()}
    start = 8 + int.from_bytes(whole[:8], "little")
    for position in range(start, len(whole), len(whole) // 40):
        damaged = bytearray(whole)
        damaged[position] ^= 1
        (tmp_path / "damaged").write_bytes(damaged)
        with pytest.raises(InputError, match="damaged, its checksum does not match"):
            load_weights(model, tmp_path / "damaged")
    for name, p in model.parameters().items():
        np.testing.assert_array_equal(p.data, before[name], err_msg=name)


def test_a_checkpoint_of_a_later_version(tmp_path):
    document = json.dumps({"format": checkpoint.FORMAT + 1, "meta": {}})
    save_file({"model/conv1_1.bias": np.zeros(3, np.float32)}, tmp_path / "a", metadata={"minifcn": document})
    with pytest.raises(InputError, match=f"^{tmp_path / 'a'}: checkpoint of format 2, expected 1"):
        load_weights(network("fcn32s"), tmp_path / "a")


def test_half_precision(tmp_path):
    """A checkpoint of half the size, as an exhibit is: read by the same entry, computed with in float32."""
    old, new = network("fcn8s"), network("fcn8s", seed=1)
    randomise(old)
    tensors = {f"model/{name}": p.data.astype(np.float16) for name, p in old.parameters().items()}
    checkpoint.save(tmp_path / "half", tensors, {"classes": ["a", "b", "c"], "preprocessing": PREPROCESSING})
    report = load_weights(new, tmp_path / "half")
    assert sorted(report.loaded) == sorted(new.parameters())
    for name, p in new.parameters().items():
        assert p.data.dtype == np.float32
        np.testing.assert_array_equal(p.data, tensors[f"model/{name}"].astype(np.float32), err_msg=name)


def test_a_checkpoint_is_read_one_array_at_a_time(tmp_path):
    """Neither momenta nor all weights at once are in memory beside the network's own."""
    model = network("fcn32s", trunk=Widths((8, 8, 16, 32, 64), 192))
    path = save(tmp_path / "old", model)
    largest = max(p.data.nbytes for p in model.parameters().values())
    tracemalloc.start()
    report = load_weights(model, path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(report.loaded) == 33 and peak < largest + 2**18 < path.stat().st_size / 2


def test_pytorch_reads_a_network_that_was_trained_here(tmp_path):
    """Trained a little, saved as a checkpoint, read in PyTorch through safetensors, turned to its layout, and run."""
    torch = pytest.importorskip("torch")
    from safetensors.torch import load_file as load_tensors
    from twin import Twin

    model = network("fcn8s", dropout=0)
    randomise(model, last_upscore=False)
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (2, 37, 45, 3), dtype=np.uint8)
    preprocessing = Preprocessing.from_dict(PREPROCESSING)
    x = np.stack([preprocessing.apply(picture) / 100 for picture in pictures])
    labels = np.zeros((2, 37, 45), np.uint8)
    labels[:, 12:], labels[:, :, 30:] = 1, 2
    optimiser, losses = mf.optim.SGD(model.parameters(), 0.02), []
    for step in range(8):
        optimiser.zero_grad()
        model.start_step(step)
        loss = mf.softmax_cross_entropy(model(x), labels)
        loss.backward()
        optimiser.step()
        losses.append(float(loss.data))
    assert losses[-1] < 0.9 * losses[0]
    with no_grad():
        expected = model.eval()(x).data
    arrays = load_tensors(save(tmp_path / "trained.safetensors", model))
    twin = Twin("fcn8s", "same", {})
    for name, tensor in arrays.items():
        if name.startswith("model/"):
            moved = tensor.permute(3, 2, 0, 1).contiguous() if name.endswith(".weight") else tensor
            twin.w[name.removeprefix("model/")] = moved
    with torch.no_grad():
        scores = twin(x).numpy()
    assert np.ptp(expected) > 1 and not is_bilinear(model.parameters()["upscore2.weight"].data)
    assert np.linalg.norm(scores - expected) < 1e-5 * np.linalg.norm(expected)
