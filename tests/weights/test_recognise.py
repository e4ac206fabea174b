"""What a file is, its content says; what is no weight file is told by what it is instead."""

import os
import struct
import sys

import handmade as by
import numpy as np
import pytest
from safetensors.numpy import save_file

from minifcn import load_weights
from minifcn.datasets.transforms import Preprocessing
from minifcn.errors import InputError
from minifcn.models import Widths, fcn32s
from minifcn.weights import checkpoint, open_weights

ARRAYS = by.trunk()
PAGE = "<!DOCTYPE html>\n<html><head><title>Google Drive - Virus scan warning</title></head></html>"
CAFFE = b"\x0a\x14VGG_ILSVRC_16_layers\x12\x9f\x01\x22\x07conv1_1\x28\x04\x32\x80\x1b" + bytes(400)
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a21\nsize 553433881\n"


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "is empty. Get the file again"),
        (PAGE.encode(), "a web page was saved instead of the file"),
        (b"\n\n  <HTML>\n<BODY>404 Not Found", "a web page was saved"),
        (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "a web page was saved"),
        (POINTER.encode(), r"a pointer of Git LFS instead of the file. Get the file with: git lfs pull"),
        (b"name: VGG\nlayer {\n}\n", "not a weight file of any known kind. Known are"),
        (b"\xef\xbb\xbfStra\xc3\x9fe\n", "not a weight file of any known kind. Known are"),
        (b"\x89HDF\r\n\x1a\n" + bytes(600), "an HDF5 file, as of Keras, and not read. Convert"),
        (b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(512) + b"\x89HDF\r\n\x1a\n", "a MATLAB 7.3 file, .* with -v7"),
        (b"\x1f\x8b\x08\x00" + bytes(50), "not a weight file of any known kind"),
        (CAFFE, "truncated or damaged: its fields make no sense"),
        (b"\x0a\x14VGG", "not a weight file of any known kind"),
        (b"\x0a", "not a weight file of any known kind"),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "not a weight file of any known kind. Known are checkpoints of minifcn"),
        (bytes(1000), "not a weight file of any known kind"),
        (b"MATLAB 5.0 MAT-file".ljust(124) + b"\1\0MI", "not a MATLAB file of format 5, or of another byte order"),
        (b"MATLAB 5.0 MAT-file", "not a MATLAB file of format 5, or of another byte order"),
        (b"\x80\x02K\x07.", "a Python pickle, but not one of torch.save"),
        (b"\x80", "truncated, damaged"),
        (b"PK\x03\x04", "truncated, damaged .*zip"),
        (struct.pack("<Q", 50) + b"{}", "truncated, damaged .*SafetensorError"),
        (struct.pack("<Q", 2) + b"{}", "weights of another network: its arrays are none"),
        (struct.pack("<Q", 2**40) + b"{}", "not a weight file of any known kind"),
    ],
)
def test_files_given_by_mistake(content, message, tmp_path):
    path = tmp_path / "vgg16-397923af.pth"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        open_weights(path)
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)


def test_what_is_no_file(tmp_path):
    with pytest.raises(InputError, match=f"{tmp_path}: is a folder or a device. Give a file"):
        open_weights(tmp_path)
    with pytest.raises(InputError, match=r"nowhere: cannot be read \(No such file or directory\). Check the path"):
        open_weights(tmp_path / "nowhere")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")  # to open it would wait for ever
        with pytest.raises(InputError, match="pipe: is a folder or a device"):
            open_weights(tmp_path / "pipe")


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="needs permissions that bind")
def test_a_file_that_may_not_be_read(tmp_path):
    (tmp_path / "secret").write_bytes(b"x")
    (tmp_path / "secret").chmod(0)
    with pytest.raises(InputError, match=r"secret: cannot be read \(Permission denied\)"):
        open_weights(tmp_path / "secret")


@pytest.mark.parametrize("name", ["a.pth", "a.safetensors", "a.mat", "a.html", "a"])
def test_the_name_of_a_file_says_nothing(name, tmp_path):
    saved = by.state_dict(by.tensors(ARRAYS))
    writers = {
        "pytorch-fcn, legacy pickle": lambda path: path.write_bytes(by.legacy(saved, by.contents(ARRAYS))),
        "pytorch-fcn, zip": lambda path: path.write_bytes(by.zipped(saved, by.contents(ARRAYS))),
        "pytorch-fcn, safetensors": lambda path: save_file(ARRAYS, path),
        "minifcn checkpoint": lambda path: checkpoint.save(path, {"model/conv1_1.bias": np.zeros(3)}, {}),
    }
    for form, write in writers.items():
        write(tmp_path / name)
        assert open_weights(tmp_path / name).format == form


def test_safetensors_whose_first_bytes_look_like_others(tmp_path):
    """The file begins with the length of its header: it may well begin as a pickle (80) or a zip archive (PK) does."""
    for length in (0x80 + 256 * 16, 0x4B50):
        header = length - 8 * 0
        save_file(ARRAYS, tmp_path / "a", metadata={"filler": ""})
        whole = (tmp_path / "a").read_bytes()
        old = int.from_bytes(whole[:8], "little")
        assert old < header
        padded = whole[8 : 8 + old] + b" " * (header - old)
        (tmp_path / "a").write_bytes(struct.pack("<Q", header) + padded + whole[8 + old :])
        assert open_weights(tmp_path / "a").format == "pytorch-fcn, safetensors"


def as_torchvision(arrays):
    """The same trunk under torchvision's names."""
    numbers = dict(zip(by.CONVS, (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28), strict=True))
    return {f"features.{numbers[name.split('.')[0]]}.{name.split('.')[1]}": x for name, x in arrays.items()}


@pytest.mark.parametrize(
    "arrays, preprocessing",
    [
        (as_torchvision(ARRAYS), Preprocessing()),
        (ARRAYS, Preprocessing("BGR", (104.00699, 116.66877, 122.67892), (1, 1, 1))),
    ],
)
def test_preprocessing_goes_with_the_names(arrays, preprocessing, tmp_path):
    save_file(arrays, tmp_path / "a")
    assert open_weights(tmp_path / "a").preprocessing == preprocessing


def without(arrays, *names):
    return {name: x for name, x in arrays.items() if name not in names}


VGG = as_torchvision(ARRAYS)


@pytest.mark.parametrize(
    "arrays, message",
    [
        (
            {"layer1.0.conv1.weight": np.zeros(3)},
            "weights of another network: its arrays are layer1.0.conv1.weight, ...",
        ),
        (without(VGG, "features.17.weight", "features.17.bias"), "names of torchvision VGG-16, but lacks features.17"),
        (without(VGG, "features.28.bias"), "but lacks features.28.bias. Give VGG-16"),
        (without(ARRAYS, "conv4_2.weight"), "names of pytorch-fcn, but lacks conv4_2.weight"),
        ({**ARRAYS, "conv1_1.bias": np.zeros(3, np.int32)}, "conv1_1.bias is of type int32"),
        (
            {**VGG, "classifier.0.weight": np.zeros((4, 50), np.float32)},
            r"cannot be a fc6.weight with its shape \(4, 50\)",
        ),
        ({**ARRAYS, "conv2_1.weight": np.zeros((4, 5, 3), np.float32)}, "cannot be a conv2_1.weight with its shape"),
    ],
)
def test_other_networks(arrays, message, tmp_path):
    save_file(arrays, tmp_path / "a")
    with pytest.raises(InputError, match=message):
        open_weights(tmp_path / "a")


def test_bfloat16_safetensors_say_what_to_do(tmp_path):
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file as save_tensors

    save_tensors({name: torch.tensor(x).bfloat16() for name, x in ARRAYS.items()}, tmp_path / "a")
    with pytest.raises(InputError, match=r"is of type BF16, which is not read\. Save it as float32"):
        open_weights(tmp_path / "a")


def tiny(**options):
    return fcn32s(2, Widths(by.BLOCKS, 3), "same", **options)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_none(bad, tmp_path):
    """As in torchvision's VGG-16 without a classifier, which has NaN in its place. Nothing is copied."""
    arrays = as_torchvision(ARRAYS) | {
        "classifier.3.weight": np.ones((3, 3), np.float32),
        "classifier.3.bias": np.ones(3, np.float32),
    }
    arrays["classifier.3.weight"][1, 2] = bad
    save_file(arrays, tmp_path / "a")
    model = tiny()
    before = {name: p.data.copy() for name, p in model.parameters().items()}
    with pytest.raises(InputError, match=f"{tmp_path / 'a'}: classifier.3.weight holds NaN or infinity"):
        load_weights(model, tmp_path / "a")
    for name, p in model.parameters().items():
        np.testing.assert_array_equal(p.data, before[name], err_msg=name)


@pytest.mark.parametrize("layer", ["conv1_1.weight", "conv5_3.bias"])
def test_a_trunk_of_another_width_is_refused_and_changes_nothing(layer, tmp_path):
    arrays = {name: p.data for name, p in tiny().parameters().items()}
    arrays[layer] = arrays[layer][..., :-1]
    checkpoint.save(tmp_path / "a", {f"model/{name}": x for name, x in arrays.items()}, {})
    model = tiny(seed=1)
    before = {name: p.data.copy() for name, p in model.parameters().items()}
    with pytest.raises(InputError, match=f"none of its weights fit this trunk, as {layer} is .* Choose its --trunk"):
        load_weights(model, tmp_path / "a")
    for name, p in model.parameters().items():
        np.testing.assert_array_equal(p.data, before[name], err_msg=name)
