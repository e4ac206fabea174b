"""What the exercises say of an answer whose formulas are not at fault: its types, its file, what it does to Python."""

import os
import shutil

import pytest

from exercises.__main__ import HERE, check, file_of, main, state
from exercises.checking import Wrong
from exercises.checks import kernel

HEADS = {
    "conv_forward": "def conv_forward(x, w, b, stride, padding):\n    ",
    "pool_backward": "def pool_backward(dy, x, k, stride):\n    ",
    "softmax_cross_entropy": "def softmax_cross_entropy(scores, labels, ignore):\n    ",
}


def said_of(name, text, folder, capsys) -> str:
    """What the check prints of an answer that is not right, in one line."""
    file_of(name, folder).write_text(text, encoding="utf-8")
    assert check(name, folder) == 1
    return " ".join(capsys.readouterr().out.split())


def changed(name, *changes) -> str:
    """The text of a worked solution, with pieces of it replaced."""
    text = file_of(name, HERE / "solutions").read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    return text


@pytest.mark.parametrize(
    "name, old, new, said",
    [
        ("conv_forward", "np.zeros((N, OH, OW, K))", "np.zeros((N, OH, OW, K), 'f4')", "an array of float32"),
        ("conv_forward", "np.zeros((N, OH, OW, K))", "np.zeros((N, OH, OW, K), int)", "an array of int64"),
        ("conv_forward", "np.zeros((N, OH, OW, K))", "np.zeros((N, OH, OW, K), complex)", "an array of complex128"),
        ("conv_forward", "return y", "return y.tolist()", "y is of type list"),
        ("conv_forward", "return y", "return None", "conv_forward returns None"),
        ("pool_backward", "np.zeros(x.shape)", "np.zeros(x.shape, int)", "an array of int64"),
        ("bilinear_upsampling", "    return y", "    return y.astype('f4')", "an array of float32"),
        ("sgd_momentum", "return w - lr * v, v", "return (w - lr * v).astype('f4'), v", "an array of float32"),
    ],
)
def test_a_type_is_explained_by_no_slip(name, old, new, said, tmp_path, capsys):
    message = said_of(name, changed(name, (old, new)), tmp_path, capsys)
    assert said in message and message.endswith((", as the input is.", ").", "its end?"))


@pytest.mark.parametrize("end", ["exit(0)", "import sys; sys.exit()", "raise SystemExit"])
def test_an_answer_that_ends_python(end, tmp_path, capsys, monkeypatch):
    for text in (f"{HEADS['conv_forward']}{end}", f"x = 1\n{end}\n"):
        message = said_of("conv_forward", text, tmp_path, capsys)
        assert f"conv_forward.py, line 2: {end}" in message and "with nothing checked" in message
    monkeypatch.setattr("exercises.__main__.HERE", tmp_path)
    assert main([]) == 0
    assert "conv_forward          begun" in capsys.readouterr().out


needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="the emulator needs g++")
LOOPS = [("c += 32", "c += 0"), ("sum += x[p * C + c] * w[c]", "sum += 1")]  # it touches no memory


@needs_compiler
def test_a_kernel_without_end(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(kernel, "LIMIT", 2)
    message = said_of("kernel", changed("kernel", *LOOPS), tmp_path, capsys)
    assert "After 2 seconds your kernel still runs. The loop has no end" in message


def test_a_kernel_that_crashes():
    with pytest.raises(Wrong, match="Your kernel has crashed"):
        list(kernel.in_time(os._exit(1) for _ in range(1)))


@needs_compiler
def test_a_kernel_in_another_encoding(tmp_path):
    for start in (b"\xef\xbb\xbf", b"// \xe9\n"):  # Notepad's mark; Latin-1
        file_of("kernel", tmp_path).write_bytes(start + changed("kernel").encode())
        assert state("kernel", tmp_path) == "done"
