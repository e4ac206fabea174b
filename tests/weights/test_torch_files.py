"""What torch.save wrote in its ten years, as PyTorch itself reads it."""

import zipfile
from collections import OrderedDict

import handmade as by
import numpy as np
import pytest
from handmade import arrays_of, refused, write

from minifcn import load_weights
from minifcn.models import Widths, fcn32s
from minifcn.weights import open_weights

ARRAYS = by.trunk()


def legacy(entries, arrays=ARRAYS):
    return by.legacy(by.state_dict(entries), by.contents(arrays))


# --- how a tensor was said over the years ---


def rebuild_tensor(key, x):
    """2017: torch._utils._rebuild_tensor, without gradient and hooks."""
    strides = [stride // 4 for stride in x.strides]
    parts = (by.storage(key, x.size), by.integer(0), *(by.tuple_of(*map(by.integer, n)) for n in (x.shape, strides)))
    return by.name("torch._utils", "_rebuild_tensor") + by.tuple_of(*parts) + b"R"


def parameter(key, x):
    """2017: a Parameter called with its tensor; then its state."""
    state = by.tuple_of(b"\x88", b"\x89", by.name("collections", "OrderedDict") + b")R")
    return by.name("torch.nn.parameter", "Parameter") + rebuild_tensor(key, x) + b"\x85R" + state + b"b"


def empty_parameter(key, x):
    """2016: a Parameter made empty; its state is data, gradient, hooks, requires_grad, volatile."""
    state = by.tuple_of(rebuild_tensor(key, x), b"N", b"N", b"\x88", b"\x89")
    return by.name("torch.nn.parameter", "Parameter") + b")\x81" + state + b"b"


def float_tensor(key, x):
    """2016: a FloatTensor made empty; its state is storage, offset, shape, strides."""
    strides = [stride // 4 for stride in x.strides]
    sizes = (by.tuple_of(*map(by.integer, numbers)) for numbers in (x.shape, strides))
    state = by.tuple_of(by.storage(key, x.size), by.integer(0), *sizes)
    return by.name("torch", "FloatTensor") + b")\x81" + state + b"b"


def rebuild_parameter(key, x):
    """Today: a Parameter."""
    hooks = by.name("collections", "OrderedDict") + b")R"
    strides = [stride // 4 for stride in x.strides]
    data = by.tensor(by.storage(key, x.size), 0, x.shape, strides)
    return by.name("torch._utils", "_rebuild_parameter") + by.tuple_of(data, b"\x88", hooks) + b"R"


def on_a_gpu(key, x):
    """Until 2020, a tensor that was on a GPU."""
    strides = [stride // 4 for stride in x.strides]
    return by.tensor(by.storage(key, x.size), 0, x.shape, strides).replace(b"ctorch\nFloat", b"ctorch.cuda\nFloat")


WAYS = [rebuild_tensor, parameter, empty_parameter, float_tensor, rebuild_parameter, on_a_gpu]


@pytest.mark.parametrize("way", WAYS, ids=[way.__name__ for way in WAYS])
def test_tensors_as_they_were_said_over_the_years(way, tmp_path):
    entries = {name: way(str(i), x) for i, (name, x) in enumerate(ARRAYS.items())}
    path = write(tmp_path / "old.pth", legacy(entries))
    found = arrays_of(path)
    assert found.keys() == ARRAYS.keys()
    for name, x in ARRAYS.items():
        np.testing.assert_array_equal(found[name], x)
    torch = pytest.importorskip("torch")
    if way is on_a_gpu:
        return
    theirs = torch.load(path, weights_only=True)  # it still knows all of them
    np.testing.assert_array_equal(theirs["conv3_2.weight"].detach().numpy(), ARRAYS["conv3_2.weight"])


def test_a_file_from_python_2(tmp_path):
    """Its strings are bytes, and an ordered dictionary is given its pairs at once."""

    def string(value):
        return b"U" + bytes([len(value)]) + value.encode()

    def tensor(key, x):
        sizes = (by.tuple_of(*map(by.integer, n)) for n in (x.shape, [stride // 4 for stride in x.strides]))
        stored = by.tuple_of(
            string("storage"), by.name("torch", "FloatStorage"), string(key), string("cpu"), by.integer(x.size), b"N"
        )
        return by.name("torch._utils", "_rebuild_tensor") + by.tuple_of(stored + b"Q", b"K\0", *sizes) + b"R"

    pairs = b"".join(b"](" + string(name) + tensor(str(i), x) + b"e" for i, (name, x) in enumerate(ARRAYS.items()))
    saved = b"\x80\x02" + by.name("collections", "OrderedDict") + b"](" + pairs + b"e\x85R."
    found = arrays_of(write(tmp_path / "old.pth", by.legacy(saved, by.contents(ARRAYS))))
    for name, x in ARRAYS.items():
        np.testing.assert_array_equal(found[name], x)


# --- what torch.save writes today ---


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


FORMATS = pytest.mark.parametrize("new", [False, True], ids=["legacy", "zip"])


def state_of(torch, arrays=ARRAYS):
    return OrderedDict((name, torch.tensor(x)) for name, x in arrays.items())


@FORMATS
def test_views_that_share_a_storage(torch, new, tmp_path):
    """Transposed, strided and shifted tensors are written as views of storages that others use as well."""
    state, pool = state_of(torch), torch.arange(4000.0)
    state["conv1_1.bias"] = pool[7:10]
    state["conv1_2.bias"] = pool[100:115:5]
    state["conv1_2.weight"] = pool[:81].view(3, 3, 3, 3).permute(3, 2, 0, 1)
    state["conv2_1.weight"] = pool[60:168].view(3, 3, 3, 4).permute(3, 2, 1, 0)[1:3]
    state["conv2_1.bias"] = pool[1000:1002]
    torch.save(state, tmp_path / "views.pth", _use_new_zipfile_serialization=new)
    assert (tmp_path / "views.pth").stat().st_size < 16_000 + sum(x.nbytes for x in ARRAYS.values()) + 16_000
    found = arrays_of(tmp_path / "views.pth")
    for name, x in state.items():
        np.testing.assert_array_equal(found[name], x.numpy(), err_msg=name)
    model = fcn32s(2, Widths(by.BLOCKS, 3), "same")
    load_weights(model, tmp_path / "views.pth")
    expected = state["conv1_2.weight"].numpy().transpose(2, 3, 1, 0)
    np.testing.assert_array_equal(model.parameters()["conv1_2.weight"].data, expected)


@FORMATS
@pytest.mark.parametrize("wrapper", ["model_state_dict", "state_dict", "model"])
def test_checkpoints_of_training_scripts(torch, wrapper, new, tmp_path):
    """Weights under a key, names with DataParallel's prefix, an optimiser with its momenta and step numbers."""
    state = state_of(torch)
    momenta = {i: {"momentum_buffer": torch.full_like(x, 9)} for i, x in enumerate(state.values())}
    optimiser = {"state": momenta, "param_groups": [{"lr": 1e-10, "params": [0, 1], "nesterov": False}]}
    wrapped = OrderedDict((f"module.{name}", x) for name, x in state.items())
    saved = {"epoch": 12, "arch": "FCN32s", "optim_state_dict": optimiser, wrapper: wrapped, "best_mean_iu": 0.63}
    torch.save(saved, tmp_path / "file", _use_new_zipfile_serialization=new)
    file = open_weights(tmp_path / "file")
    assert [array.name for array in file.arrays] == [*ARRAYS]
    assert file.arrays[0].stored.name == "module.conv1_1.weight"
    np.testing.assert_array_equal(arrays_of(tmp_path / "file")["conv2_1.bias"], ARRAYS["conv2_1.bias"])


@FORMATS
def test_modules_state_dicts_carry_metadata(torch, new, tmp_path):
    """OrderedDict._metadata is set by BUILD; it is dropped."""
    layers = torch.nn.ModuleDict({layer: torch.nn.Conv2d(3, 3, 3) for layer in by.CONVS})
    assert layers.state_dict()._metadata
    torch.save(layers.state_dict(), tmp_path / "file", _use_new_zipfile_serialization=new)
    assert len(open_weights(tmp_path / "file").arrays) == 26


@FORMATS
def test_a_whole_module_is_refused(torch, new, tmp_path, recwarn):
    torch.save(torch.nn.Conv2d(3, 3, 3), tmp_path / "file", _use_new_zipfile_serialization=new)
    refused(tmp_path / "file", r"asks for torch.nn.modules.conv.Conv2d; .* Save its state_dict\(\) alone")


@FORMATS
@pytest.mark.parametrize("saved", [{}, [], {"epoch": 3}, {"state_dict": {"lr": 0.1}}, 7])
def test_nothing_but_numbers(torch, saved, new, tmp_path):
    torch.save(saved, tmp_path / "file", _use_new_zipfile_serialization=new)
    refused(tmp_path / "file", "holds no dictionary of tensors")


def test_integers_are_no_weights(torch, tmp_path):
    torch.save(state_of(torch) | {"conv1_1.bias": torch.arange(3)}, tmp_path / "file")
    refused(tmp_path / "file", "conv1_1.bias is of type int64; expected one of float32")


def test_numbers_of_a_big_endian_machine(tmp_path):
    swapped = {str(i): x.byteswap() for i, x in enumerate(ARRAYS.values())}
    saved = by.state_dict(by.tensors(ARRAYS))
    whole = by.zipped(saved, swapped).replace(b"little", b"big\0\0\0")  # in place: lengths and checksum follow
    with zipfile.ZipFile(tmp_path / "big.pth", "w") as archive:
        archive.writestr("weights/data.pkl", saved)
        archive.writestr("weights/byteorder", "big")
        for key, x in swapped.items():
            archive.writestr(f"weights/data/{key}", x.tobytes())
    found = arrays_of(tmp_path / "big.pth")
    for name, x in ARRAYS.items():
        np.testing.assert_array_equal(found[name], x)
        assert found[name].dtype.isnative
    (tmp_path / "damaged.pth").write_bytes(whole)
    refused(tmp_path / "damaged.pth", "weights/byteorder is elsewhere or has another checksum")
