"""The tables of kernels/README.md: PYTHONPATH=. python tests/cuda/kernel_table.py

What each file computes and how it is launched stands in its header. Traffic is counted in the emulator, registers and
shared memory come from NVRTC, occupancy from both and the limits of each architecture. Without a GPU.
"""

import re
import subprocess
import sys
from pathlib import Path

import nvrtc
import standin

from experiments.speed import gpu as timings
from minifcn import gpu
from minifcn.gpu import signatures

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "kernels" / "README.md"
MARKS = "<!-- tables: PYTHONPATH=. python tests/cuda/kernel_table.py -->", "<!-- end of tables -->"
NUMBERS, PICTURE, CLASSES = 4096, (36, 64, 16), 21  # small enough for the emulator


def headers() -> list[str]:
    """A row for each file: its kernels, NumPy equivalent and launch shape, from the header of the file."""
    rows = ["| file | kernels | NumPy | launch |", "|---|---|---|---|"]
    for file in sorted(signatures.folder().glob("*.cu")):
        source = file.read_text(encoding="utf-8")
        names = ", ".join(kernel.name for kernel in signatures.parse(source, file))
        numpy = "<br>".join(" ".join([f"`{code}`", *words]) for code, *words in section(source, "NumPy"))
        launch = " ".join(" ".join(line) for line in section(source, "Launch"))
        rows.append(f"| {file.name} | {names} | {numpy} | {launch} |")
    return rows


def section(source: str, name: str) -> list[list[str]]:
    """The lines of one section of a file's header, such as "NumPy", each cut where it has a gap of several blanks."""
    found = re.search(rf"// {name} +(.*(?:\n//  +.*)*)", source)
    lines = (line.removeprefix("//").strip().replace("|", r"\|") for line in found[1].splitlines())
    return [re.split(r" {3,}", line) for line in lines]


def traffic() -> list[str]:
    """A row for each kernel: bytes that its threads read and write for each number of the result, and the least."""
    rows = [
        "| kernel | block | read | written | read and written | least possible |",
        "|---|---|---|---|---|---|",
    ]
    for job, launches in launched():
        read = sum(t.read for *_, t in launches) / job.elements
        written = sum(t.written for *_, t in launches) / job.elements
        block = " and ".join(str(block) for _, _, block, _ in launches)
        least = job.moved / job.elements
        rows.append(f"| {job.kernel} | {block} | {read:.2f} | {written:.2f} | {read + written:.2f} | {least:.2f} |")
    return rows


def launched() -> list[tuple[timings.Job, list]]:
    """Each job of experiments/speed/gpu.py on small arrays, with its launches in the emulator."""
    before, gpu.cuda.xp = gpu.cuda.xp, None
    xp = standin.CuPy()
    gpu.cuda.use(xp)
    try:
        found = []
        for job in timings.jobs(NUMBERS, PICTURE, 1, CLASSES):
            if job.kernel.startswith(timings.PRODUCT):
                continue
            start = len(xp.launches)
            job.work()
            found.append((job, xp.launches[start:]))
        return found
    finally:
        gpu.cuda.xp = before


def resources(real: str) -> list[str]:
    """A row for each kernel, for float or double: registers, shared memory, occupancy in per cent, by architecture."""
    archs = list(nvrtc.LIMITS)
    names = " | ".join(f"sm_{arch}" for arch in archs)
    rows = [f"| kernel ({real}) | threads | shared bytes | {names} |", "|---|---|---|" + "---|" * len(archs)]
    for file in sorted(signatures.folder().glob("*.cu")):
        source = file.read_text(encoding="utf-8")
        compiled = {arch: nvrtc.compile(source, file.name, arch, {"REAL": real}).kernels for arch in archs}
        for kernel in signatures.parse(source, file):
            cells = []
            for arch in archs:
                found = compiled[arch][kernel.name]
                full = nvrtc.occupancy(found, gpu.cuda.THREADS, arch).fraction
                cells.append(f"{found.registers}: {100 * full:.0f} %")
            shared = compiled[archs[0]][kernel.name].shared_bytes
            rows.append(f"| {kernel.name} | {gpu.cuda.THREADS} | {shared} | {' | '.join(cells)} |")
    return rows


def tools() -> str:
    """The compilers that the figures come from; others may give others."""
    gcc = (
        subprocess.run(["g++", "-dumpversion"], capture_output=True, text=True, check=True).stdout.split(".")[0].strip()
    )
    return f"Made with NVRTC {'.'.join(map(str, nvrtc.version()))} and g++ {gcc}."


def tables() -> str:
    """All of it, as it stands between the marks of the page."""
    return f"""
{tools()} What each file computes, and how it is launched:

{NEWLINE.join(headers())}

Bytes that the threads of a launch read and write in global memory, for each number of the result, in float: counted in
the emulator, as if there were no cache. "Least possible" moves every byte of the arguments once. Flat arrays of
{NUMBERS:,}, pictures {PICTURE}, {CLASSES} classes.

{NEWLINE.join(traffic())}

Registers a thread and theoretical occupancy (resident warps of the most possible), from NVRTC's machine code. No kernel
spills.

{NEWLINE.join(resources("float"))}

{NEWLINE.join(resources("double"))}

"""


NEWLINE = "\n"


def page(text: str) -> str:
    """The page with its tables made anew."""
    before, rest = text.split(MARKS[0])
    _, after = rest.split(MARKS[1])
    return f"{before}{MARKS[0]}\n{tables()}{MARKS[1]}{after}"


if __name__ == "__main__":
    README.write_text(page(README.read_text(encoding="utf-8")), encoding="utf-8")
    print(f"wrote {README}", file=sys.stderr)
