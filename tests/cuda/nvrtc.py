"""NVRTC without a GPU: the machine code that CuPy's RawModule would make of a kernel, and what a kernel takes.

    cubin = nvrtc.compile(source, "max_pool.cu", 80, {"REAL": "float"})
    cubin.kernels["max_pool_forward"]        Resources(parameter_sizes=(8, 8, 4), registers=32, ...)
    nvrtc.occupancy(resources, 256, 80)      Occupancy(blocks=8, warps=64, fraction=1.0)

NVRTC is a library of its own (pip install nvidia-cuda-nvrtc) that needs neither a GPU nor a driver.
"""

import functools
import io
import re
import struct
from dataclasses import dataclass
from typing import NamedTuple

# What RawModule adds to the options that it is given (cupy/cuda/compiler.py), and the one that minifcn gives.
OPTIONS = ("-std=c++17", "-ftz=true", "--device-as-default-execution-space")

ENTRY = re.compile(r"Compiling entry function '(\w+)'(.*?)(?=Compiling entry function|\Z)", re.DOTALL)
STACK = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
REGISTERS = re.compile(r"Used (\d+) registers")
SHARED = re.compile(r"(\d+) bytes smem")

# A cubin's section ".nv.info.<kernel>" is a list of records (format, attribute, size): the format that has contents
# after it, and the attribute that describes a parameter.
LONG_RECORD, PARAMETER_INFO = 4, 0x17


class Unavailable(RuntimeError):
    """CuPy or NVRTC is not installed: a test skips."""


class CompileError(ValueError):
    """NVRTC refused the source; its text is the message."""


@dataclass(frozen=True)
class Resources:
    """What a kernel takes. Bytes are a block's for shared memory, else a thread's."""

    parameter_sizes: tuple[int, ...]
    registers: int
    shared_bytes: int
    spill_bytes: int
    stack_bytes: int


@dataclass(frozen=True)
class Cubin:
    """Compiled kernels by name, the machine code, and all that NVRTC and ptxas said."""

    kernels: dict[str, Resources]
    code: bytes
    log: str


@functools.cache
def _compiler():
    """CuPy's wrapper of NVRTC: private, so that it may move with a new CuPy, but its options are the real ones."""
    try:
        from cupy.cuda import compiler
        from cupy_backends.cuda.libs import nvrtc

        nvrtc.getVersion()
    except (ImportError, RuntimeError, OSError, AttributeError) as error:
        reason = " ".join(str(error).split())
        raise Unavailable(f"no NVRTC: {reason}; pip install cupy-cuda13x nvidia-cuda-nvrtc") from error
    return compiler


def version() -> tuple[int, int]:
    """NVRTC's version, such as (13, 0). Raises Unavailable without NVRTC."""
    _compiler()
    from cupy_backends.cuda.libs import nvrtc

    return nvrtc.getVersion()


def _run(source, name, arch, defines, method, *options) -> tuple[bytes, str]:
    compiler = _compiler()
    options = (*OPTIONS, *(f"-D{key}={value}" for key, value in defines.items()), *options)
    log = io.StringIO()
    try:
        program = compiler._NVRTCProgram(source, name, method=method)
        return program.compile(options, log)[0], log.getvalue()
    except compiler.CompileException as error:
        raise CompileError(f"{name} for {options[-1]}: {error}") from error


def compile(source: str, name: str, arch: int, defines: dict[str, str]) -> Cubin:
    """Compile for sm_<arch>. name is the one in messages. Raises CompileError, or Unavailable without NVRTC."""
    code, log = _run(source, name, arch, defines, "cubin", "--ptxas-options=-v", f"-arch=sm_{arch}")
    sizes = _parameter_sizes(code)
    kernels = {}
    for entry, report in ENTRY.findall(log):
        stack, stores, loads = map(int, STACK.search(report).groups())
        shared = SHARED.search(report)  # absent where there is none
        kernels[entry] = Resources(
            parameter_sizes=sizes[entry],
            registers=int(REGISTERS.search(report)[1]),
            shared_bytes=int(shared[1]) if shared else 0,
            spill_bytes=stores + loads,
            stack_bytes=stack,
        )
    if kernels.keys() != sizes.keys():
        raise RuntimeError(f"{name}: ptxas reports {sorted(kernels)}, the machine code has {sorted(sizes)}")
    return Cubin(kernels, code, log)


def ptx(source: str, name: str, arch: int, defines: dict[str, str]) -> str:
    """The PTX of the same program: to see which loads are ld.global.v4. Machine code comes from it and may differ."""
    code, _ = _run(source, name, arch, defines, "ptx", f"-arch=compute_{arch}")
    return code.decode()


def _sections(elf: bytes):
    """(name, contents) of the sections of an ELF file of 64 bits."""
    (table,) = struct.unpack_from("<Q", elf, 0x28)
    entry_size, count, names = struct.unpack_from("<HHH", elf, 0x3A)
    headers = [struct.unpack_from("<IIQQQQ", elf, table + i * entry_size) for i in range(count)]
    strings = headers[names][4]
    for name, _, _, _, offset, size in headers:
        start = strings + name
        yield elf[start : elf.index(b"\0", start)].decode(), elf[offset : offset + size]


def _parameter_sizes(cubin: bytes) -> dict[str, tuple[int, ...]]:
    """Bytes of each parameter of each kernel, from the records that tell the driver how to copy them."""
    sizes = {}
    for name, contents in _sections(cubin):
        if not name.startswith(".nv.info."):
            continue
        parameters, at = {}, 0
        while at < len(contents):
            record, attribute, size = struct.unpack_from("<BBH", contents, at)
            at += 4
            if record != LONG_RECORD:
                continue  # its value stood in the place of the size
            if attribute == PARAMETER_INFO:
                _, ordinal, _, packed = struct.unpack_from("<IHHI", contents, at)
                parameters[ordinal] = packed >> 18
            at += size
        sizes[name.removeprefix(".nv.info.")] = tuple(parameters[i] for i in sorted(parameters))
    return sizes


class Limits(NamedTuple):
    """One multiprocessor (SM)."""

    warps: int
    blocks: int
    shared_bytes: int
    shared_reserved: int  # of a block, for the system
    shared_unit: int
    registers: int = 65536
    register_unit: int = 256  # a warp's registers are rounded up to it
    partitions: int = 4  # a quarter of the registers and warps each; a warp lives in one


# Warps, blocks, registers, shared memory: CUDA C++ Programming Guide, "Compute Capabilities", table "Technical
# Specifications per Compute Capability". Units and partitions: cuda_occupancy.h of the CUDA toolkit.
LIMITS = {
    75: Limits(warps=32, blocks=16, shared_bytes=64 << 10, shared_reserved=0, shared_unit=256),
    80: Limits(warps=64, blocks=32, shared_bytes=164 << 10, shared_reserved=1024, shared_unit=128),
    90: Limits(warps=64, blocks=32, shared_bytes=228 << 10, shared_reserved=1024, shared_unit=128),
    100: Limits(warps=64, blocks=32, shared_bytes=228 << 10, shared_reserved=1024, shared_unit=128),
    120: Limits(warps=48, blocks=24, shared_bytes=100 << 10, shared_reserved=1024, shared_unit=128),
}


class Occupancy(NamedTuple):
    blocks: int  # resident on one multiprocessor
    warps: int
    fraction: float  # of the warps that could be resident


def occupancy(resources: Resources, block_size: int, arch: int, dynamic_shared: int = 0) -> Occupancy:
    """How many warps of a kernel fit on one multiprocessor at a time, in theory.

    Neglected: that the grid may be too small to fill the GPU; that L1 and shared memory are one store, of which the
    driver may give the shared memory less than the largest share; a block's own limits (1024 threads, 48 KB of shared
    memory unless the launch asks for more); barriers, clusters. And a full multiprocessor is not yet a fast kernel.
    """
    limits = LIMITS[arch]
    warps = -(-block_size // 32)
    fit = [limits.blocks, limits.warps // warps]
    if resources.registers:
        per_warp = _round_up(resources.registers * 32, limits.register_unit)
        fit.append(limits.registers // limits.partitions // per_warp * limits.partitions // warps)
    shared = _round_up(resources.shared_bytes + dynamic_shared + limits.shared_reserved, limits.shared_unit)
    if shared:
        fit.append(limits.shared_bytes // shared)
    blocks = min(fit)
    return Occupancy(blocks, blocks * warps, blocks * warps / limits.warps)


def _round_up(n, unit):
    return -(-n // unit) * unit
