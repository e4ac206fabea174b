"""The containers that torch.save writes, legacy and zip: what is damaged or lies is refused, what may vary is read."""

import struct
import tracemalloc
import zipfile
import zlib

import handmade as by
import numpy as np
import pytest
from handmade import arrays_of, refused, write

ARRAYS = by.trunk()


def legacy(entries, arrays=ARRAYS):
    return by.legacy(by.state_dict(entries), by.contents(arrays))


def zipped(entries, arrays=ARRAYS, **options):
    return by.zipped(by.state_dict(entries), by.contents(arrays), **options)


@pytest.fixture
def state():
    """The arrays as tensors of PyTorch."""
    torch = pytest.importorskip("torch")
    return {name: torch.tensor(x) for name, x in ARRAYS.items()}


def test_every_flipped_bit_of_the_numbers_is_noticed_in_a_zip(state, tmp_path):
    torch = pytest.importorskip("torch")
    torch.save(state, tmp_path / "file")
    whole = (tmp_path / "file").read_bytes()
    start = whole.index(ARRAYS["conv3_2.weight"].tobytes())
    for position in range(start, start + ARRAYS["conv3_2.weight"].nbytes, 13):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << position % 8
        refused(write(tmp_path / "damaged", damaged), r"damaged: file/data/\d+ is elsewhere or has another checksum")


def test_a_zip_without_checksums(state, tmp_path):
    """PyTorch can leave them out, for speed; they are 0 then."""
    torch = pytest.importorskip("torch")
    torch.serialization.set_crc32_options(False)
    try:
        torch.save(state, tmp_path / "file")
    finally:
        torch.serialization.set_crc32_options(True)
    np.testing.assert_array_equal(arrays_of(tmp_path / "file")["conv1_1.bias"], ARRAYS["conv1_1.bias"])


def test_compressed_zips_are_refused_without_being_unpacked(tmp_path):
    bomb = {"0": np.zeros(2**22, np.float32)}
    saved = by.state_dict({"conv1_1.weight": by.tensor(by.storage("0", 2**22), 0, (2**22,), (1,))})
    path = write(tmp_path / "bomb.pth", by.zipped(saved, bomb, compression=zipfile.ZIP_DEFLATED))
    assert path.stat().st_size < 2**16
    refused(path, "a compressed or encrypted zip archive. Give the .pth as PyTorch saved it")


def test_other_zips(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("conv1_1.npy", b"x")
    refused(tmp_path / "a.npz", "a zip archive, but not of torch.save. Give")
    with zipfile.ZipFile(tmp_path / "empty.zip", "w"):
        pass
    refused(tmp_path / "empty.zip", "a zip archive, but not of torch.save")
    refused(
        write(tmp_path / "script", zipped(by.tensors(ARRAYS), extra=[("weights/constants.pkl", b"")])),
        "a zip archive, but not of torch.save",
    )
    with zipfile.ZipFile(write(tmp_path / "outer.zip", b""), "w") as archive:
        archive.writestr("vgg16.pth", zipped(by.tensors(ARRAYS)))
    refused(tmp_path / "outer.zip", "in no archive")


def directory_of(whole):
    """Where the directory of a zip archive starts, and where its end record does."""
    end = len(whole) - 22
    return struct.unpack_from("<I", whole, end + 16)[0], end


@pytest.mark.parametrize(
    "offset, form, value, message",
    [  # of the first entry, data.pkl, in the directory
        (20, "<I", 2**31, "a compressed"),
        (24, "<I", 2**31, "a compressed"),
        (16, "<I", 1, "data.pkl is elsewhere or has another checksum"),
        (42, "<I", 2**31, "weights/data.pkl is elsewhere"),
        (42, "<I", 7, "weights/data.pkl is elsewhere"),
        (8, "<H", 1, "a compressed or encrypted"),
        (10, "<H", 8, "a compressed or encrypted"),
        (28, "<H", 60_000, "a zip archive, but not of torch.save"),  # a longer name, of all that follows
        (0, "<I", 0, "truncated, damaged .*BadZipFile"),
    ],
)
def test_zip_directories_that_lie(offset, form, value, message, tmp_path):
    whole = bytearray(zipped(by.tensors(ARRAYS)))
    struct.pack_into(form, whole, directory_of(whole)[0] + offset, value)
    refused(write(tmp_path / "file", whole), message)


@pytest.mark.parametrize(
    "offset, form, value, message",
    [
        (12, "<I", 2**32 - 1, "truncated, damaged .*BadZipFile"),
        (16, "<I", 2**32 - 1, "is elsewhere or has another checksum|BadZipFile"),
        (16, "<I", 0, "weights/data.pkl is elsewhere"),
        (0, "<I", 0, "truncated, damaged .*BadZipFile"),
    ],
)
def test_zip_ends_that_lie(offset, form, value, message, tmp_path):
    whole = bytearray(zipped(by.tensors(ARRAYS)))
    struct.pack_into(form, whole, directory_of(whole)[1] + offset, value)
    refused(write(tmp_path / "file", whole), message)


def test_zip_entries_without_checksums_that_are_elsewhere(tmp_path):
    """Only the signature of the entry's own header tells."""
    whole = bytearray(zipped(by.tensors(ARRAYS)))
    entry = whole.rindex(b"PK\1\2")
    struct.pack_into("<I", whole, entry + 16, 0)
    offset = struct.unpack_from("<I", whole, entry + 42)[0]
    struct.pack_into("<I", whole, entry + 42, offset - 4)
    refused(write(tmp_path / "file", whole), "damaged: weights/data/25 is elsewhere")


def test_zip_entries_before_the_start_of_the_file(tmp_path):
    """The directory's place is too large by the file's length: counted from the end, all entries are where they are."""
    whole = bytearray(zipped(by.tensors(ARRAYS)))
    start, end = directory_of(whole)
    struct.pack_into("<I", whole, end + 16, start + len(whole))
    refused(write(tmp_path / "file", whole), "is elsewhere or has another checksum|BadZipFile")


def test_a_count_in_the_end_record_does_not_matter(tmp_path):
    """The directory's length says the same."""
    whole = bytearray(zipped(by.tensors(ARRAYS)))
    struct.pack_into("<H", whole, directory_of(whole)[1] + 10, 60_000)
    found = arrays_of(write(tmp_path / "file", whole))
    for name, x in ARRAYS.items():
        np.testing.assert_array_equal(found[name], x)


def test_a_zip_directory_as_long_as_its_file_is_not_read(tmp_path):
    """It would be read at once, and each of its entries takes ten times the memory that it takes in the file."""
    name = b"weights/" + b"x" * 70
    entry = b"PK\1\2" + bytes(24) + struct.pack("<H", len(name)) + bytes(16) + name
    directory = entry * 2**15
    end = b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, 2**15, 2**15, len(directory), 4, 0)
    path = write(tmp_path / "file", b"PK\3\4" + directory + end)
    tracemalloc.start()
    try:
        refused(path, "truncated, damaged .*a zip directory of more than 1,048,576 bytes")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2**20 < len(directory) / 2


def test_zip_entries_that_are_larger_than_the_file_or_overlap(tmp_path):
    whole = bytearray(zipped(by.tensors(ARRAYS)))
    start, _ = directory_of(whole)
    for size, message in (
        (2**31, "data.pkl is elsewhere or has another checksum"),
        (len(whole) - 200, "data.pkl is elsewhere or has another checksum"),
    ):
        struct.pack_into("<II", whole, start + 20, size, size)
        refused(write(tmp_path / "file", whole), message)


def test_zip_content_beyond_the_end_of_a_file_without_checksums(tmp_path):
    """The last entry's own header says that its content starts 60,000 bytes later."""
    whole = bytearray(zipped(by.tensors(ARRAYS)))
    entry = whole.rindex(b"PK\1\2")
    struct.pack_into("<I", whole, entry + 16, 0)
    struct.pack_into("<H", whole, struct.unpack_from("<I", whole, entry + 42)[0] + 28, 60_000)
    refused(write(tmp_path / "file", whole), "damaged: weights/data/25 is elsewhere")


def test_storages_of_another_size_than_their_tensors(tmp_path):
    short = {**ARRAYS, "conv2_1.weight": ARRAYS["conv2_1.weight"][:-1]}
    for whole in (legacy(by.tensors(ARRAYS), short), zipped(by.tensors(ARRAYS), short)):
        refused(write(tmp_path / "file", whole), r"damaged: storage 4 is")


def test_legacy_storages_that_do_not_match(tmp_path):
    saved = by.state_dict(by.tensors(ARRAYS))
    contents = by.contents(ARRAYS)
    missing = dict(list(contents.items())[:-1])
    others = "it lists other storages than its tensors use"
    refused(write(tmp_path / "file", by.legacy(saved, missing)), others)
    refused(write(tmp_path / "file", by.legacy(saved, {**contents, "99": contents["0"]})), others)
    whole = by.legacy(saved, contents)
    twice = whole.replace(by.text("1") + b"q\x02", by.text("3") + b"q\x02")  # in the list of keys; of one size
    assert twice != whole
    refused(write(tmp_path / "file", twice), others)
    refused(write(tmp_path / "file", whole[:-1]), "truncated or damaged: storage 25 is of another size")
    swapped = whole.replace(b"little_endian\x71\x02\x88", b"little_endian\x71\x02\x89")
    assert swapped != whole
    refused(write(tmp_path / "file", swapped), "another byte order")


def test_crc_of_the_format_is_zlibs():
    """Pinned: what the directory has is the CRC-32 of zlib."""
    whole = zipped(by.tensors(ARRAYS))
    start, _ = directory_of(whole)
    assert struct.unpack_from("<I", whole, start + 16)[0] == zlib.crc32(by.state_dict(by.tensors(ARRAYS)))
