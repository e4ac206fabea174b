"""Compiles kernel files for the CPU, and keeps what it compiled.

A kernel file becomes a library of its own: emulator/cuda_shim.h, which makes C++ out of CUDA, then the file, then a
table of its kernels; instrumented so that each access to memory calls the emulator. The emulator itself, the .cpp files
beside the shim, is one library, the runtime. Both stay in cache_folder() under names that hash all they depend on:
several processes may build at once, and what is outdated is never found again.
"""

import functools
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

SOURCES = Path(__file__).with_name("emulator")

COMMON_FLAGS = ("-std=c++17", "-fPIC", "-U_FORTIFY_SOURCE", "-fno-stack-protector", "-fno-exceptions", "-fno-rtti")
RUNTIME_FLAGS = ("-O2", "-g", "-Wall", "-Wextra", "-fvisibility=hidden")
KERNEL_FLAGS = (
    "-x",
    "c++",
    "-O1",
    "-g1",  # line numbers
    "-w",  # warnings about unused functions of the shim would drown errors
    "-include",
    "cuda_shim.h",
    "-fno-strict-aliasing",  # wide loads through casts
    "-ffp-contract=off",
    "-fno-tree-loop-distribute-patterns",  # loops turned into memset and memcpy would not be instrumented
    "-fno-gnu-unique",  # shared variables of templates belong to their own library
    "-fsanitize=thread",
    "-fsanitize=alignment,bounds-strict,signed-integer-overflow,shift",
    "-fsanitize=integer-divide-by-zero,float-cast-overflow,return",
    "-fno-sanitize-recover=all",
)


class KernelError(RuntimeError):
    """A kernel that does not compile, can not be launched, or did something wrong; the message says what and where."""


class LaunchError(KernelError):
    """A launch beyond a device's limits."""


def cache_folder() -> Path:
    """Where compiled libraries are kept: $MINIFCN_EMULATOR_CACHE, or build/emulator in the checkout."""
    folder = os.environ.get("MINIFCN_EMULATOR_CACHE")
    return Path(folder).absolute() if folder else Path(__file__).parents[2] / "build" / "emulator"


def _run_compiler(arguments: Sequence[str]) -> str:
    """The output of g++; KernelError with its messages if it fails or is not there."""
    if shutil.which("g++") is None:
        raise KernelError("the emulator needs g++, which is not installed")
    english = os.environ | {"LC_ALL": "C"}
    done = subprocess.run(["g++", *arguments], env=english, capture_output=True, text=True, check=False)
    if done.returncode:
        raise KernelError(f"g++ failed:\n{done.stderr}")
    return done.stdout


@functools.lru_cache(maxsize=1)
def _emulator_key() -> str:
    """All that a compiled library depends on besides the kernel file."""
    digest = hashlib.sha256(repr((COMMON_FLAGS, RUNTIME_FLAGS, KERNEL_FLAGS)).encode())
    digest.update(_run_compiler(["--version"]).encode())
    for path in sorted([*SOURCES.glob("*.h"), *SOURCES.glob("*.cpp")]):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _cached(file: str, build: Callable[[Path], Path]) -> Path:
    """The file in the cache. If it is not there, build makes it in the folder that it is given.

    It is moved from there, which is atomic: another process sees all of it or nothing. If both build, the later stays.
    """
    target = cache_folder() / file
    if not target.exists():
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=target.parent) as folder:
                os.replace(build(Path(folder)), target)
        except OSError as error:
            raise KernelError(
                f"the emulator can not keep compiled kernels in {target.parent} "
                f"(the variable MINIFCN_EMULATOR_CACHE may name another folder): {error}"
            ) from error
    return target


def runtime() -> Path:
    """The emulator's own library, compiled if it is not in the cache."""

    def build(folder: Path) -> Path:
        sources = [str(path) for path in sorted(SOURCES.glob("*.cpp"))]
        _run_compiler([*COMMON_FLAGS, *RUNTIME_FLAGS, "-shared", *sources, "-o", str(folder / "runtime.so"), "-lrt"])
        return folder / "runtime.so"

    return _cached(f"runtime-{_emulator_key()[:20]}.so", build)


def _registration(source: str, name: str) -> str:
    """C++ that goes after the kernel file: the table of its kernels and its extern __shared__ arrays."""
    code = re.sub(r"//[^\n]*|/\*.*?\*/", " ", source, flags=re.DOTALL)
    bounds = r"(?:__launch_bounds__\s*\(((?:[^()]|\([^()]*\))*)\)\s*)?"
    kernels = re.findall(rf'extern\s+"C"\s+__global__\s+{bounds}void\s+{bounds}(\w+)\s*\(', code)
    if len(kernels) != len(re.findall(r"\b__global__\b", code)) or not kernels:
        raise KernelError(f'{name}: each kernel has to be written `extern "C" __global__ void name(...)`, at least one')
    rows = ", ".join(f"EMU_KERNEL({kernel}, {before or after})" for before, after, kernel in kernels)
    dynamic = sorted(set(re.findall(r"extern\s+__shared__\s+[^;]*?(\w+)\s*\[\s*\]\s*;", code)))
    arrays = "\n".join(f"EMU_DYNAMIC_SHARED({array})" for array in dynamic)
    return f'\n#line 1 "registration"\n{arrays}\nEMU_MODULE("{name}", {rows})\n'


def library(source: str, name: str, defines: dict[str, str] | None) -> Path:
    """The compiled kernel file, from the cache or new."""
    defines = dict(sorted((defines or {}).items()))

    def build(folder: Path) -> Path:
        unit, compiled, linked = (folder / file for file in ("unit.cpp", "unit.o", "unit.so"))
        unit.write_text(f'#line 1 "{name}"\n{source}{_registration(source, name)}', encoding="utf-8")
        macros = [f"-D{macro}={value}" for macro, value in defines.items()]
        _run_compiler([*COMMON_FLAGS, *macros, *KERNEL_FLAGS, f"-I{SOURCES}", "-c", str(unit), "-o", str(compiled)])
        # Without -fsanitize: the runtime, not libtsan, defines what the instrumentation calls.
        _run_compiler(["-shared", "-Wl,-Bsymbolic", str(compiled), "-o", str(linked)])
        return linked

    key = hashlib.sha256(repr((source, name, defines, _emulator_key())).encode()).hexdigest()
    return _cached(f"{Path(name).stem}-{key[:20]}.so", build)


def prebuild(items: Iterable[tuple[str, str, dict[str, str] | None]]) -> None:
    """Compiles the (source, name, defines) that are not in the cache, several at a time."""
    runtime()
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # each thread waits for a compiler process
        list(pool.map(lambda item: library(*item), items))
