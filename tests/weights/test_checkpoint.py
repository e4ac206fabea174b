"""Checkpoints come back bit for bit, survive failed saves of every kind, and a bad file is told in one line."""

import errno
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
import tracemalloc

import numpy as np
import pytest
from handmade import META, example
from safetensors.numpy import load_file

from minifcn.errors import InputError
from minifcn.weights import checkpoint


def assert_same(loaded, expected):
    assert set(loaded) == set(expected)
    for name, x in expected.items():
        assert (loaded[name].dtype, loaded[name].shape) == (x.dtype, x.shape), name
        assert loaded[name].tobytes() == x.tobytes(), name


def only_file(path):
    """Whether `path` is alone in its folder: no temporary file stayed behind."""
    return os.listdir(path.parent) == [path.name]


def run_child(source, *arguments):
    """Start `source` in another Python process that can import minifcn."""
    command = [sys.executable, "-c", textwrap.dedent(source), *map(str, arguments)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=os.getcwd())


# --- round trips ---


@pytest.mark.parametrize("tensors, meta", [(example(), META), ({}, {})])
def test_round_trip_is_bitwise(tmp_path, tensors, meta):
    path = tmp_path / "a.safetensors"
    checkpoint.save(path, tensors, meta)
    loaded, loaded_meta = checkpoint.load(path)
    assert_same(loaded, tensors)
    assert loaded_meta == meta
    assert only_file(path)


def test_other_readers_open_it_and_find_aligned_tensors(tmp_path):
    path = tmp_path / "a.safetensors"
    checkpoint.save(path, example(), META)
    assert_same(load_file(path), example())
    size = int.from_bytes(path.read_bytes()[:8], "little")
    header = json.loads(path.read_bytes()[8 : 8 + size])
    assert size % 8 == 0
    assert all(header[name]["data_offsets"][0] % x.itemsize == 0 for name, x in example().items())


def test_nans_infinities_and_negative_zeros_keep_their_bits(tmp_path):
    bits = np.array([0x7FC00001, 0xFFC12345, 0x7F800000, 0xFF800000, 0x80000000, 1], np.uint32)
    checkpoint.save(tmp_path / "a", {"x": bits.view(np.float32)}, {"best": float("nan"), "low": float("-inf")})
    tensors, meta = checkpoint.load(tmp_path / "a")
    np.testing.assert_array_equal(tensors["x"].view(np.uint32), bits)
    assert np.isnan(meta["best"]) and meta["low"] == float("-inf")


def test_strided_and_big_endian_arrays(tmp_path):
    x = np.arange(60, dtype=np.float32).reshape(3, 4, 5)
    views = {"t": x.T, "step": x[::2, :, 1:4], "back": x[:, ::-1], "big endian": x.astype(">f4")}
    checkpoint.save(tmp_path / "a", views, {})
    tensors, _ = checkpoint.load(tmp_path / "a")
    for name, view in views.items():
        np.testing.assert_array_equal(tensors[name], view, err_msg=name)


def test_loaded_arrays_are_writable_and_independent_of_the_file(tmp_path):
    checkpoint.save(tmp_path / "a", example(), {})
    tensors, _ = checkpoint.load(tmp_path / "a")
    tensors["model/conv1_1.weight"][...] = 7
    checkpoint.save(tmp_path / "a", example(1), {})
    assert (tensors["model/conv1_1.weight"] == 7).all()
    assert_same(checkpoint.load(tmp_path / "a")[0], example(1))


@pytest.mark.skipif(sys.platform == "win32", reason="links need privileges")
def test_symbolic_link_is_followed(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "real")
    checkpoint.save(tmp_path / "link", example(), META)
    assert (tmp_path / "link").is_symlink()
    assert_same(checkpoint.load(tmp_path / "real")[0], example())


def test_saving_needs_no_second_copy_of_the_weights(tmp_path):
    weights = {f"model/w{k}": np.ones((256, 1024), np.float32) for k in range(8)}  # 8 x 1 MiB
    tracemalloc.start()
    checkpoint.save(tmp_path / "a", weights, {})
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**19


@pytest.mark.parametrize(
    "tensors, meta, message",
    [
        ({"w": [1.0, 2.0]}, {}, "w: expected a NumPy array .* received .*list"),
        ({"w": np.array([None])}, {}, "received object"),
        ({"w": np.zeros(2, complex)}, {}, "received complex128"),
        ({"w": np.zeros(2)}, {"score": np.zeros(2)}, "not JSON serializable"),
    ],
)
def test_what_cannot_be_stored_raises_before_anything_is_written(tmp_path, tensors, meta, message):
    with pytest.raises(TypeError, match=message):
        checkpoint.save(tmp_path / "a", tensors, meta)
    assert os.listdir(tmp_path) == []


# --- saves that fail ---


@pytest.mark.parametrize("call", ["replace", "fsync"])
@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_failed_save_keeps_the_old_checkpoint(tmp_path, monkeypatch, call, error):
    def fail(*_):
        raise error

    path = tmp_path / "a.safetensors"
    checkpoint.save(path, example(0), META)
    monkeypatch.setattr(os, call, fail)
    with pytest.raises((InputError, KeyboardInterrupt)) as caught:
        checkpoint.save(path, example(1), {})
    assert_same(checkpoint.load(path)[0], example(0))
    assert only_file(path)
    if isinstance(error, OSError):
        assert caught.type is InputError
        assert str(caught.value).startswith(f"{path}: cannot write the checkpoint (No space left on device);")


@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="needs /proc to tell which file is synced")
def test_order_of_the_file_system_calls(tmp_path, monkeypatch):
    """The bytes reach the disk before the name does, and the folder is synced last."""
    calls = []

    def spy(name, describe):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *arguments: (calls.append(describe(*arguments)), real(*arguments))[1])

    path = tmp_path / "a"
    spy("fsync", lambda handle: ("fsync", os.path.basename(os.readlink(f"/proc/self/fd/{handle}"))))
    spy("replace", lambda source, target: ("replace", os.path.basename(source), os.path.basename(target)))
    checkpoint.save(path, example(), META)
    assert calls == [("fsync", ".a.tmp"), ("replace", ".a.tmp", "a"), ("fsync", tmp_path.name)]


def test_folder_that_cannot_be_synced_is_no_failure(tmp_path, monkeypatch):
    real = os.open

    def refuse_folders(path, *arguments, **options):
        if os.path.isdir(path):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return real(path, *arguments, **options)

    monkeypatch.setattr(os, "open", refuse_folders)
    checkpoint.save(tmp_path / "a", example(), META)
    assert_same(checkpoint.load(tmp_path / "a")[0], example())


@pytest.mark.parametrize("where", ["missing folder", "file as folder", "folder as file"])
def test_unwritable_places(tmp_path, where):
    (tmp_path / "file").write_text("keep me")
    (tmp_path / "folder").mkdir()
    path = {"missing folder": "no/a", "file as folder": "file/a", "folder as file": "folder"}[where]
    with pytest.raises(InputError, match=f"{path}: cannot write the checkpoint"):
        checkpoint.save(tmp_path / path, example(), META)
    assert sorted(os.listdir(tmp_path)) == ["file", "folder"]
    assert (tmp_path / "file").read_text() == "keep me"


@pytest.mark.skipif(sys.platform == "win32", reason="no permission bits on folders")
def test_read_only_folder(tmp_path):
    checkpoint.save(tmp_path / "a", example(), META)
    tmp_path.chmod(0o555)
    user = os.geteuid()
    try:
        if user == 0:  # permission bits do not bind root: be another user for a moment
            os.seteuid(65534)
        with pytest.raises(InputError, match="Permission denied"):
            checkpoint.save(tmp_path / "a", example(1), META)
    finally:
        os.seteuid(user)
        tmp_path.chmod(0o755)
    assert_same(checkpoint.load(tmp_path / "a")[0], example())
    assert only_file(tmp_path / "a")


@pytest.mark.skipif(sys.platform == "win32", reason="no file-size limits")
def test_file_size_limit(tmp_path):
    path = tmp_path / "a.safetensors"
    checkpoint.save(path, example(), META)
    child = run_child(
        """
        import resource, sys
        import numpy as np
        from minifcn.weights import checkpoint
        from minifcn.errors import InputError
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        try:
            checkpoint.save(sys.argv[1], {"w": np.zeros(50_000)}, {})
        except InputError as error:
            print(error)
        """,
        path,
    )
    output, errors = child.communicate(timeout=60)
    assert child.returncode == 0, errors
    assert f"{path}: cannot write the checkpoint (File too large)" in output
    assert_same(checkpoint.load(path)[0], example())
    assert only_file(path)


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
@pytest.mark.parametrize("call, survivor", [("fsync", 0), ("replace", 0), ("close", 1)])
def test_killed_at_the_worst_moments(tmp_path, call, survivor):
    """SIGKILL in place of a system call: with the bytes not safe yet, before the rename, after it (close)."""
    path = tmp_path / "a"
    checkpoint.save(path, {"w": np.full(1000, 0)}, {"content": 0})
    child = run_child(
        """
        import os, signal, sys
        import numpy as np
        from minifcn.weights import checkpoint
        setattr(os, sys.argv[2], lambda *_: os.kill(os.getpid(), signal.SIGKILL))
        checkpoint.save(sys.argv[1], {"w": np.full(1000, 1)}, {"content": 1})
        """,
        path,
        call,
    )
    _, errors = child.communicate(timeout=60)
    assert child.returncode == -signal.SIGKILL, errors
    tensors, meta = checkpoint.load(path)
    assert meta == {"content": survivor}
    assert (tensors["w"] == survivor).all()
    checkpoint.save(path, {"w": np.full(1000, 2)}, {"content": 2})  # also clears what the killed process left
    assert only_file(path)


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_killed_at_any_moment(tmp_path):
    """Two contents saved in turn without a pause: whenever the process dies, the file is one of the two."""
    path = tmp_path / "a"
    for delay in (0.01, 0.05, 0.13):
        child = run_child(
            """
            import sys
            import numpy as np
            from minifcn.weights import checkpoint
            contents = [{f"w{k}": np.full(100_000, value) for k in range(4)} for value in (0, 1)]
            value = 0
            while True:
                checkpoint.save(sys.argv[1], contents[value], {"content": value})
                if value == 0:
                    print("saved", flush=True)
                value = 1 - value
            """,
            path,
        )
        assert child.stdout.readline() == "saved\n", child.stderr.read()
        time.sleep(delay)
        child.kill()
        child.communicate(timeout=60)
        tensors, meta = checkpoint.load(path)
        assert len(tensors) == 4
        assert all((w == meta["content"]).all() for w in tensors.values())
