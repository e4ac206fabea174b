"""What the exercises say of an answer whose formulas are not at fault: its types, its file, what it does to Python."""

import shutil
import signal
import subprocess
import sys
import time

import pytest

from exercises.__main__ import HERE, check, file_of, main, state

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
def test_a_kernel_without_end(tmp_path, capsys):
    message = said_of("kernel", changed("kernel", *LOOPS), tmp_path, capsys)
    assert "an endless loop?" in message and "The loop has no end" in message


@needs_compiler
def test_a_kernel_in_another_encoding(tmp_path):
    for start in (b"\xef\xbb\xbf", b"// \xe9\n"):  # Notepad's mark; Latin-1
        file_of("kernel", tmp_path).write_bytes(start + changed("kernel").encode())
        assert state("kernel", tmp_path) == "done"


@pytest.mark.parametrize("name", ["conv_dx", "pool_backward", "softmax_cross_entropy", "bilinear_upsampling"])
@pytest.mark.parametrize(
    "line, said",
    {"return None": "returns None", "1 / 0": ": if late(): 1 / 0 ZeroDivisionError", "exit()": "SystemExit"}.items(),
)
def test_an_answer_that_fails_in_the_gradient_check(name, line, said, tmp_path, capsys):
    """There alone."""
    text = changed(name)
    body = text.rindex('"""\n') + 4  # of its last function
    late = "import inspect\nlate = lambda: 'gradients' in [frame.function for frame in inspect.stack()]\n"
    message = said_of(name, f"{late}{text[:body]}    if late(): {line}\n{text[body:]}", tmp_path, capsys)
    assert said in message and "wrong gradient check" in message


def interrupted(folder, *arguments) -> tuple[int, str]:
    """The status and the output of the exercises, which answer Ctrl-C."""
    program = f"import sys, exercises.__main__ as e; e.HERE = e.Path({str(folder)!r}); sys.exit(e.main())"
    command = [sys.executable, "-c", program, *arguments]
    with subprocess.Popen(
        command, cwd=HERE.parent, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            while not (folder / "begun").exists():
                assert process.poll() is None
                time.sleep(0.05)
            process.send_signal(signal.SIGINT)
            return process.wait(20), process.stdout.read()
        finally:
            process.kill()


@pytest.mark.parametrize("arguments", [[], ["conv_forward"]])
def test_ctrl_c_names_the_line_of_an_endless_loop(arguments, tmp_path):
    begun = f"open({str(tmp_path / 'begun')!r}, 'w')"
    file_of("conv_forward", tmp_path).write_text(f"{HEADS['conv_forward']}while True:\n        {begun}.close()\n")
    status, out = interrupted(tmp_path, *arguments)
    assert status == 130 and "Traceback" not in out
    assert out.endswith("\nstopped in conv_forward.py, line 3: an endless loop?\n")


def test_a_reader_that_leaves():
    done = subprocess.run(f"{sys.executable} -m exercises | head -1", shell=True, cwd=HERE.parent, capture_output=True)
    assert done.stdout.startswith(b"1  conv_forward") and not done.stderr


def test_an_answer_in_another_encoding(tmp_path, capsys):
    file, text = file_of("sgd_momentum", tmp_path), changed("sgd_momentum").encode()
    file.write_bytes(b"\xef\xbb\xbf" + text)  # Notepad's mark
    assert state("sgd_momentum", tmp_path) == "done"
    for more, said in ((b"x = '\xe9'\n", "'utf-8' codec can't decode"), (b"\0", "null bytes")):
        file.write_bytes(text + more)
        assert check("sgd_momentum", tmp_path) == 1
        out = capsys.readouterr().out
        assert "Python cannot read sgd_momentum.py" in out and said in out and "None" not in out


def test_numbers_that_hardly_differ_are_told_apart(tmp_path, capsys):
    for old, new, said in (
        ("return loss, dscores", "return loss + 1e-8, dscores", "loss expected 1.38629436, but yours is 1.38629437"),
        ("= ds / n", "= ds / n + 1e-7", "dscores[0, 0, 0, 0] expected 0.125, but yours is 0.1250001; 3 of 3 numbers"),
    ):
        assert said in said_of("softmax_cross_entropy", changed("softmax_cross_entropy", (old, new)), tmp_path, capsys)


@pytest.mark.parametrize(
    "text, said",
    {
        HEADS["conv_forward"].replace(
            "stride", "s"
        ): "names. The check calls conv_forward(x=..., w=..., b=..., stride=..., padding=...)",
        f"{HEADS['conv_forward']}return x[len(x) / 2]": "are whole numbers",
        f"{HEADS['conv_forward']}return range(len(x) / 2)": "are whole numbers",
        f"{HEADS['conv_forward']}return x + None": "TypeError: unsupported operand type",
        f"{HEADS['conv_forward']}return x[7]": "Think of the first and of the last window",
    }.items(),
)
def test_the_hint_fits_the_exception(text, said, tmp_path, capsys):
    message = said_of("conv_forward", f"{text}\n    pass\n", tmp_path, capsys)
    assert said in message and ("are whole numbers" in message) == ("whole" in said)


def test_a_void_label_that_is_looked_up(tmp_path, capsys):
    text = changed("softmax_cross_entropy", ("labelled = labels != ignore", "labelled = labels != -1"))
    assert "255 is the label of void pixels" in said_of("softmax_cross_entropy", text, tmp_path, capsys)
