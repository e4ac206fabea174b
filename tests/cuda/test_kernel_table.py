"""kernels/README.md: its tables are those that its command makes."""

import shutil

import pytest

nvrtc = pytest.importorskip("nvrtc")
pytest.importorskip("cupy", reason="the stand-in for CuPy checks its names against the real one")


@pytest.mark.skipif(shutil.which("g++") is None, reason="the emulator needs g++")
def test_the_tables_are_up_to_date():
    import kernel_table

    text = kernel_table.README.read_text(encoding="utf-8")
    try:
        tools = kernel_table.tools()
    except nvrtc.Unavailable as missing:
        pytest.skip(str(missing))
    if tools not in text:
        pytest.skip(f"the tables were made with other compilers than these: {tools}")
    assert kernel_table.page(text) == text, "run: PYTHONPATH=. python tests/cuda/kernel_table.py"
