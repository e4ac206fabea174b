"""Every kernel compiles for every architecture, without a spill; and nvrtc.py reports what is there."""

import shutil
from pathlib import Path

import emulator
import nvrtc
import pytest

KERNELS = sorted((Path(__file__).resolve().parents[2] / "kernels").glob("*.cu"))
ARCHITECTURES = sorted(nvrtc.LIMITS)
REALS = ["float", "double"]


@pytest.fixture(autouse=True, scope="module")
def _nvrtc():
    try:
        nvrtc.compile('extern "C" __global__ void nothing() {}', "nothing.cu", 80, {})
    except nvrtc.Unavailable as reason:
        pytest.skip(str(reason))


def kernel(body: str, parameters: str = "float* x", bounds: str = "") -> str:
    return f'extern "C" __global__ void {bounds} probe({parameters}) {{ {body} }}'


def resources(source: str, arch: int = 80) -> nvrtc.Resources:
    return nvrtc.compile(source, "probe.cu", arch, {}).kernels["probe"]


# ---------------------------------------------------------------- kernels/*.cu


def test_there_are_kernels():
    assert KERNELS


@pytest.mark.parametrize("real", REALS)
@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize("file", KERNELS, ids=lambda file: file.name)
def test_compiles_and_keeps_to_registers(file, arch, real):
    cubin = nvrtc.compile(file.read_text(), file.name, arch, {"REAL": real})
    assert cubin.kernels
    assert "warning" not in cubin.log, cubin.log
    for name, needs in cubin.kernels.items():
        assert (needs.spill_bytes, needs.stack_bytes) == (0, 0), f"{name}: {needs}"


@pytest.mark.skipif(not shutil.which("g++"), reason="g++ is not installed: the emulator cannot compile the kernels")
@pytest.mark.parametrize("real", REALS)
@pytest.mark.parametrize("file", KERNELS, ids=lambda file: file.name)
def test_parameters_are_as_wide_as_the_emulator_takes_them(file, real):
    source, defines = file.read_text(), {"REAL": real}
    emulated = emulator.Module(source, file.name, defines).signatures
    for arch in ARCHITECTURES:
        compiled = nvrtc.compile(source, file.name, arch, defines).kernels
        assert {name: needs.parameter_sizes for name, needs in compiled.items()} == {
            name: tuple(map(bytes_of, signature)) for name, signature in emulated.items()
        }


def bytes_of(parameter: str) -> int:
    return 8 if parameter.endswith("*") else emulator.DTYPES[parameter].itemsize


# ---------------------------------------------------------------- nvrtc.py: resources


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_parameters_and_shared_memory_are_those_of_the_source(arch):
    parameters = "const float* a, double* b, int n, long long m, double scale, unsigned char flag, float4* wide"
    body = (
        "__shared__ float tile[96]; tile[threadIdx.x] = a[n]; __syncthreads(); b[m] = tile[95 - threadIdx.x] * scale;"
    )
    needs = resources(kernel(body + "if (flag) wide[0].x = 1;", parameters), arch)
    assert needs.parameter_sizes == (8, 8, 4, 8, 8, 1, 8)
    assert needs.shared_bytes == 96 * 4
    assert 0 < needs.registers <= 255
    assert (needs.spill_bytes, needs.stack_bytes) == (0, 0)


def test_several_kernels_of_a_file_keep_their_own_figures():
    source = """
    extern "C" __global__ void one(float* x) { __shared__ float s[32]; s[threadIdx.x] = x[0]; x[1] = s[(int)x[2]]; }
    extern "C" __global__ void two(int n, float* x) { x[n] = 2; }
    extern "C" __global__ void none() {}
    """
    found = nvrtc.compile(source, "several.cu", 90, {}).kernels
    assert {name: (needs.parameter_sizes, needs.shared_bytes) for name, needs in found.items()} == {
        "one": ((8,), 128),
        "two": ((4, 8), 0),
        "none": ((), 0),
    }


def test_definitions_reach_the_source():
    source = "typedef REAL real;" + kernel("x[0] = scale;", "real* x, real scale")
    for real, size in {"float": 4, "double": 8}.items():
        assert nvrtc.compile(source, "probe.cu", 80, {"REAL": real}).kernels["probe"].parameter_sizes == (8, size)


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_a_spill_is_reported(arch):
    """64 doubles alive at once, and launch bounds that leave a thread 64 registers of 32 bits."""
    body = """
    double v[64];
    for (int k = 0; k < 64; ++k) v[k] = x[k * n];
    for (int j = 0; j < n; ++j)
        for (int k = 0; k < 64; ++k) v[k] = v[k] * v[(k + 7) % 64] + n;
    for (int k = 0; k < 64; ++k) x[k * n] = v[k];
    """.replace("for (int k", '_Pragma("unroll") for (int k')
    needs = resources(kernel(body, "double* x, int n", "__launch_bounds__(1024)"), arch)
    assert needs.spill_bytes > 0
    assert needs.stack_bytes > 0
    assert needs.registers <= 64


def test_a_stack_without_a_spill_is_reported():
    """An array that is indexed at run time cannot lie in registers."""
    body = "float v[64]; for (int i = 0; i < n; ++i) v[(i * n) & 63] = x[i]; x[0] = v[n & 63] + v[(int)x[1] & 63];"
    needs = resources(kernel(body, "float* x, int n"))
    assert needs.stack_bytes == 64 * 4
    assert needs.spill_bytes == 0


def test_ptx_is_for_the_architecture():
    assert ".target sm_75" in nvrtc.ptx(kernel("x[0] = 1;"), "probe.cu", 75, {})


def test_ptx_shows_wide_loads():
    copy = kernel("b[threadIdx.x] = a[threadIdx.x];", "const {0}* a, {0}* b")
    assert "ld.global.v4" in nvrtc.ptx(copy.replace("{0}", "float4"), "probe.cu", 80, {})
    assert "ld.global.v4" not in nvrtc.ptx(copy.replace("{0}", "float"), "probe.cu", 80, {})


# ---------------------------------------------------------------- nvrtc.py: errors


@pytest.mark.parametrize(
    "source, message",
    [
        (kernel("const char* text = x;"), r"wrong\.cu\(1\).*float \*"),
        (kernel("x[0] = scale;"), r'wrong\.cu\(1\).*identifier "scale" is undefined'),
        ("#include <math.h>\n" + kernel("x[0] = 1;"), r'wrong\.cu\(1\).*could not open source file "math.h"'),
        ("typedef REAL real;" + kernel("x[0] = 1;"), r'identifier "REAL" is undefined'),
        (
            kernel("__shared__ float tile[65536]; tile[threadIdx.x] = 1; __syncthreads(); x[0] = tile[9];"),
            "too much shared data",
        ),
    ],
    ids=["type", "name", "include", "no REAL", "shared memory"],
)
def test_errors_carry_nvrtc_s_text(source, message):
    with pytest.raises(nvrtc.CompileError, match=r"(?s)^wrong\.cu for -arch=sm_80: .*" + message):
        nvrtc.compile(source, "wrong.cu", 80, {})


def test_an_unknown_architecture_is_an_error():
    with pytest.raises(nvrtc.CompileError, match=r"sm_60.*gpu-architecture"):
        nvrtc.compile(kernel("x[0] = 1;"), "probe.cu", 60, {})


# ---------------------------------------------------------------- nvrtc.py: occupancy


def needs(registers=16, shared_bytes=0):
    return nvrtc.Resources((), registers, shared_bytes, 0, 0)


@pytest.mark.parametrize(
    "registers, shared, block, arch, blocks",
    [
        (32, 0, 256, 80, 8),  # 32 * 32 = 1024 a warp, 16 warps a partition, 64 warps: full
        (33, 0, 256, 80, 6),  # 1056 -> 1280 a warp: 12 of 16384 a partition, 48 warps
        (64, 0, 256, 80, 4),  # 2048 a warp: 8 a partition, 32 warps
        (96, 0, 32, 80, 20),  # 3072 a warp: 5 a partition, though 21 would go into the whole
        (255, 0, 256, 90, 1),  # 8160 -> 8192 a warp: 2 a partition, 8 warps
        (255, 0, 288, 90, 0),  # 9 warps, and 8 fit: the launch fails
        (16, 0, 32, 80, 32),  # as many blocks as may be
        (16, 0, 33, 80, 32),  # two warps a block
        (16, 0, 32, 75, 16),
        (16, 0, 1024, 75, 1),  # 32 warps are all that Turing has
        (16, 0, 1024, 120, 1),  # a second block would make 64 of 48 warps
        (16, 0, 768, 120, 2),
        (16, 0, 64, 120, 24),
        (16, 48 << 10, 128, 80, 3),  # 49 KB with the reserved one: 147 of 164
        (16, 48 << 10, 128, 90, 4),  # 196 of 228
        (16, 48 << 10, 128, 75, 1),  # 48 of 64, nothing reserved
        (16, 48 << 10, 128, 120, 2),  # 98 of 100
        (16, 1, 64, 75, 16),  # 256 bytes each: the blocks are the limit
        (16, (164 << 10) // 31 - 1024, 32, 80, 30),  # 5417 -> 5504 bytes: 30.5 fit
    ],
)
def test_occupancy_by_hand(registers, shared, block, arch, blocks):
    found = nvrtc.occupancy(needs(registers, shared), block, arch)
    warps = blocks * -(-block // 32)
    assert found == (blocks, warps, warps / nvrtc.LIMITS[arch].warps)


def test_dynamic_shared_memory_counts_too():
    assert nvrtc.occupancy(needs(16, 1 << 10), 64, 80, dynamic_shared=80 << 10).blocks == 2
    assert nvrtc.occupancy(needs(16, 1 << 10), 64, 80, dynamic_shared=81 << 10).blocks == 1


@pytest.mark.parametrize("real, width", [("float", "v4.f32"), ("double", "v2.f64")])  # 16 bytes, the widest there is
@pytest.mark.parametrize("name", ["im2col", "bias_relu", "sgd"])
def test_kernels_move_quads_in_wide_accesses(name, real, width):
    file = next(file for file in KERNELS if file.stem == name)
    code = nvrtc.ptx(file.read_text(encoding="utf-8"), file.name, 80, {"REAL": real})
    assert f"ld.global.nc.{width}" in code and f"st.global.{width}" in code
