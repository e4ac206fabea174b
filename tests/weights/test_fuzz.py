"""Hundreds of damaged files of every format: a clear error, or a network whose arrays are whole. Never anything else.

Half of the damage is where the structure is, at both ends of a file. Numbers that change are seen where the format has
a checksum (zip, minifcn's checkpoints); elsewhere they load, unless NaN or infinity comes of it.
"""

import tracemalloc

import handmade as by
import numpy as np
import pytest
from safetensors.numpy import save_file

from minifcn import load_weights
from minifcn.errors import InputError
from minifcn.models import Widths, fcn16s
from minifcn.weights import checkpoint, open_weights

WIDTHS = Widths(by.BLOCKS, 3)
CASES = 200  # of each kind and format
LIMIT = 2**25  # bytes at any moment: 16 MiB of decompressed variable and the step that is one too many; files are small
EVIL = by.name("builtins", "exec") + by.text("open('canary', 'w').close()") + b"\x85R"


def network(seed=1):
    return fcn16s(2, WIDTHS, "same", seed=seed)


def write_checkpoint(path):
    tensors = {f"model/{name}": p.data for name, p in network(seed=0).parameters().items()}
    momenta = {f"momentum/{name}": 0 * p.data for name, p in network().parameters().items()}
    preprocessing = {"order": "RGB", "mean": [1.0, 2.0, 3.0], "std": [1.0, 1.0, 2.0]}
    checkpoint.save(path, tensors | momenta, {"classes": ["a", "b"], "preprocessing": preprocessing})


def write_torch(path, new):
    torch = pytest.importorskip("torch")
    state = {name: torch.tensor(x) for name, x in by.trunk().items()}
    torch.save(state, path, _use_new_zipfile_serialization=new)


def write_mat(path, compressed):
    written = pytest.importorskip("written")
    written.write_mat(path, {name: written.torch.tensor(x) for name, x in by.trunk().items()}, compressed=compressed)


def write_caffe(path, **how):
    import test_caffe

    path.write_bytes(test_caffe.network(test_caffe.arrays(), **how))


WRITERS = {
    "caffe": write_caffe,
    "old caffe": lambda path: write_caffe(path, version="V0", form="legacy", packed=False),
    "legacy": lambda path: write_torch(path, new=False),
    "zip": lambda path: write_torch(path, new=True),
    "safetensors": lambda path: save_file(by.trunk(), path),
    "checkpoint": write_checkpoint,
    "mat": lambda path: write_mat(path, compressed=False),
    "compressed mat": lambda path: write_mat(path, compressed=True),
    "legacy by hand": lambda path: path.write_bytes(
        by.legacy(by.state_dict(by.tensors(by.trunk())), by.contents(by.trunk()))
    ),
    "zip by hand": lambda path: path.write_bytes(
        by.zipped(by.state_dict(by.tensors(by.trunk())), by.contents(by.trunk()))
    ),
}


class Victim:
    """A network that damaged files are loaded into, and what must hold afterwards."""

    def __init__(self, folder):
        self.folder, self.path, self.model = folder, folder / "weights", network()
        self.keep()

    def keep(self):
        self.before = {name: p.data.copy() for name, p in self.model.parameters().items()}

    def load(self, content):
        """Load such a file; return whether it was accepted."""
        self.path.write_bytes(content)
        tracemalloc.reset_peak()
        memory, _ = tracemalloc.get_traced_memory()
        try:
            for array in open_weights(self.path).arrays:
                if array.name:
                    assert array.read().shape == array.shape
            load_weights(self.model, self.path)
            accepted = True
        except InputError as error:
            accepted = False
            message = str(error)
            assert message.startswith(f"{self.path}: ") and message.isprintable() and len(message) < 600
        assert tracemalloc.get_traced_memory()[1] - memory < LIMIT
        assert [file.name for file in self.folder.iterdir()] == ["weights"]  # no canary
        for name, p in self.model.parameters().items():
            assert p.data.dtype == np.float32 and np.isfinite(p.data).all()
            if not accepted:
                np.testing.assert_array_equal(p.data, self.before[name], err_msg=name)
        if accepted:
            self.keep()
        return accepted


@pytest.fixture
def victim(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tracemalloc.start()
    yield Victim(tmp_path)
    tracemalloc.stop()


@pytest.fixture(params=[*WRITERS])
def whole(request, tmp_path):
    WRITERS[request.param](tmp_path / "weights")
    return (tmp_path / "weights").read_bytes()


def position(rng, size):
    """A place in a file; half of the time one near its ends."""
    near = min(size, 2000)
    return [rng.integers(near), size - 1 - rng.integers(near), rng.integers(size), rng.integers(size)][rng.integers(4)]


def test_truncated(whole, victim):
    rng = np.random.default_rng(0)
    assert victim.load(whole)
    for length in {*range(0, 64, 3), len(whole) - 1, *(int(position(rng, len(whole))) for _ in range(CASES))}:
        assert not victim.load(whole[:length]), f"{length} bytes of {len(whole)} were accepted"


def test_mutated(whole, victim):
    """One to four bytes are changed: flipped bits, 0, 255, any."""
    rng = np.random.default_rng(1)
    refused = 0
    for _ in range(CASES):
        damaged = bytearray(whole)
        for _ in range(rng.integers(1, 5)):
            at = position(rng, len(damaged))
            damaged[at] = [damaged[at] ^ 1 << rng.integers(8), 0, 255, rng.integers(256)][rng.integers(4)]
        refused += not victim.load(damaged)
    assert refused > CASES // 10


def test_pieces_moved(whole, victim):
    """Pieces are taken out, doubled, or put elsewhere, so that lengths and places no longer agree."""
    rng = np.random.default_rng(2)
    for _ in range(CASES):
        start, target = int(position(rng, len(whole))), int(position(rng, len(whole)))
        piece = whole[start : start + int(rng.integers(1, 60))]
        rest = [whole[:start] + whole[start + len(piece) :], whole][rng.integers(2)]
        victim.load(rest[:target] + [b"", piece, piece * 2][rng.integers(3)] + rest[target:])


def opcodes_of(saved):
    """The positions at which an instruction of a pickle begins."""
    import pickletools

    return [at for _, _, at in pickletools.genops(saved)]


@pytest.mark.parametrize("container", ["legacy", "zip"])
def test_pickles_with_instructions_put_in(container, victim):
    """A good pickle, and between any two of its instructions some others, of which some run code in Python's own
    unpickler."""
    arrays = by.trunk()
    saved = by.state_dict(by.tensors(arrays))
    places, rng = opcodes_of(saved), np.random.default_rng(3)
    inserts = [
        EVIL,
        EVIL + b"0",
        b"0",
        b"(",
        b"t",
        b"]",
        b"}",
        b"R",
        b"b",
        b"Q",
        b"\x81",
        b"u",
        b"s",
        b"e",
        b"a",
        b")",
        b"N",
    ]
    inserts += [
        b"h\x00",
        b"q\x00",
        b"r\xff\xff\xff\x7f",
        b"K\x00",
        by.integer(-1),
        by.integer(2**62),
        by.text("x"),
        b".",
        b"2",
    ]
    inserts += [
        by.name("torch._utils", "_rebuild_tensor_v2"),
        by.name("collections", "OrderedDict"),
        by.storage("0", 81),
    ]
    for _ in range(2 * CASES):
        at = places[rng.integers(len(places))]
        chosen = b"".join(inserts[rng.integers(len(inserts))] for _ in range(rng.integers(1, 4)))
        changed = saved[:at] + chosen + saved[at + int(rng.integers(0, 3)) :]
        make = by.legacy if container == "legacy" else by.zipped
        victim.load(make(changed, by.contents(arrays)))
