"""Checkpoints that cannot be loaded: each is told in one clear line."""

import json
import zlib

import numpy as np
import pytest
from handmade import META, example
from safetensors import safe_open
from safetensors.numpy import save_file

from minifcn.errors import InputError
from minifcn.weights import checkpoint


def assert_one_clear_line(path, message):
    with pytest.raises(InputError, match=message) as caught:
        checkpoint.load(path)
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)


def test_every_truncation_is_noticed(tmp_path):
    path = tmp_path / "a"
    checkpoint.save(path, example(), META)
    whole = path.read_bytes()
    for length in [0, 1, 7, 8, 9, 100, len(whole) // 2, len(whole) - 1]:
        path.write_bytes(whole[:length])
        assert_one_clear_line(path, "truncated")


def test_every_flipped_bit_is_noticed(tmp_path):
    """Wherever a bit flips (the padding of the header aside), loading raises an InputError and nothing else."""
    path = tmp_path / "a"
    tensors = {"w": np.arange(6, dtype=np.float32), "n": np.array(3)}
    checkpoint.save(path, tensors, {"num_classes": 21, "best": 0.5})
    whole = path.read_bytes()
    header_end = 8 + int.from_bytes(whole[:8], "little")
    padding = range(len(whole[:header_end].rstrip()), header_end)
    for position in range(len(whole)):
        if position in padding:
            continue
        damaged = bytearray(whole)
        damaged[position] ^= 1 << (position % 8)
        path.write_bytes(damaged)
        assert_one_clear_line(path, "Use|Get|Give|Install")


def test_not_safetensors(tmp_path):
    for content in (b"", b"hello, this is a text file\n", b"\x80\x02}q\x00.", b"\xff" * 64, b"\0" * 64):
        (tmp_path / "a").write_bytes(content)
        assert_one_clear_line(tmp_path / "a", "truncated, damaged .*SafetensorError")


def test_missing_file_and_folder(tmp_path):
    assert_one_clear_line(tmp_path / "nowhere", "No such file")
    assert_one_clear_line(tmp_path, "is a folder")


def test_plain_weights_are_not_a_checkpoint(tmp_path):
    save_file({"conv1_1.weight": np.zeros(3)}, tmp_path / "a")
    assert_one_clear_line(tmp_path / "a", "no minifcn metadata")
    save_file({"conv1_1.weight": np.zeros(3)}, tmp_path / "a", metadata={"format": "np"})
    assert_one_clear_line(tmp_path / "a", "no minifcn metadata")


@pytest.mark.parametrize(
    "document, message",
    [
        (json.dumps({"format": checkpoint.FORMAT + 1, "meta": {}}), "format 2, expected 1"),
        (json.dumps({"format": checkpoint.FORMAT}), "damaged"),
        (json.dumps([1, 2]), "damaged"),
        ("[" * 100_000, "damaged"),
        ("{not json", "damaged"),
        (json.dumps({"format": checkpoint.FORMAT, "meta": {}}), "checksum"),  # for want of one
    ],
)
def test_other_documents(tmp_path, document, message):
    save_file({"w": np.zeros(3)}, tmp_path / "a", metadata={"minifcn": document})
    assert_one_clear_line(tmp_path / "a", message)


def test_checksum_is_a_crc32_of_document_and_tensors(tmp_path):
    """Pinned, so that checkpoints of earlier versions stay readable."""
    x, y = np.arange(3, dtype=np.float32), np.array([[7]])
    checkpoint.save(tmp_path / "a", {"w": x, "b": y}, {"best": 1})
    with safe_open(tmp_path / "a", framework="np") as file:
        metadata = file.metadata()
    document = b'{"format": 1, "meta": {"best": 1}}'
    assert metadata["minifcn"].encode() == document
    expected = zlib.crc32(document + b"b int64 (1, 1)" + y.tobytes() + b"w float32 (3,)" + x.tobytes())
    assert metadata["crc32"] == f"{expected:08x}"
