"""What stands between Python and a kernel: the parameters read from the .cu files, and the check of every launch.

The parameters must be those that two compilers see, the check must refuse what would be read wrongly on a GPU.
"""

import shutil
from pathlib import Path
from types import SimpleNamespace

import emulator
import numpy as np
import nvrtc
import pytest

from minifcn.gpu.signatures import REALS, folder, kernels, parse

FILES = sorted(folder().glob("*.cu"))
every_file = pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
every_real = pytest.mark.parametrize("real", REALS, ids=REALS.get)

# ---------------------------------------------------------------------------------- parameters


def written(parameter, real):
    """The C type of a parameter, `real` replaced."""
    kind = REALS[real] if parameter.type == "real" else parameter.type
    return "const " * (parameter.array and parameter.const) + kind + "*" * parameter.array


@pytest.mark.skipif(shutil.which("g++") is None, reason="the emulator needs g++")
@every_real
@every_file
def test_parameters_are_what_the_emulator_s_compiler_sees(file, real):
    source = file.read_text(encoding="utf-8")
    parsed = {kernel.name: tuple(written(p, real) for p in kernel.parameters) for kernel in parse(source, file)}
    assert parsed == emulator.Module(source, file.name, {"REAL": REALS[real]}).signatures


@every_real
@every_file
def test_parameters_are_as_wide_as_in_the_machine_code(file, real):
    source = file.read_text(encoding="utf-8")
    try:
        cubin = nvrtc.compile(source, file.name, 80, {"REAL": REALS[real]})
    except nvrtc.Unavailable as reason:
        pytest.skip(str(reason))
    sizes = {
        kernel.name: tuple(8 if p.array else p.dtype(real).itemsize for p in kernel.parameters)
        for kernel in parse(source, file)
    }
    assert sizes == {name: needs.parameter_sizes for name, needs in cubin.kernels.items()}


def test_all_kernels_are_found():
    text = "".join(file.read_text(encoding="utf-8") for file in FILES)
    assert len(kernels()) == text.count("__global__") > 0
    assert all(kernel.name == name and kernel.file in FILES for name, kernel in kernels().items())


def parsed(parameters, before="", name="k"):
    (kernel,) = parse(f'extern "C" __global__ void {before}{name}({parameters}) {{}}', Path("k.cu"))
    return kernel


def test_names_types_and_const():
    kernel = parsed("const real* __restrict__ x, // the input, not y\n  unsigned   char *y,\n long long n, const int k")
    assert kernel.name == "k" and kernel.file == Path("k.cu")
    assert [(p.name, p.type, p.array, p.const) for p in kernel.parameters] == [
        ("x", "real", True, True),
        ("y", "unsigned char", True, False),
        ("n", "long long", False, False),
        ("k", "int", False, True),
    ]
    assert parsed("int k", "__launch_bounds__(256, 2) ").parameters == parsed("int k").parameters


def test_comments_and_other_functions_are_no_kernels():
    source = '// extern "C" __global__ void a(int n) {}\n__device__ void b(int n) {}\nextern "C" void c(int n) {}'
    assert parse(source, Path("k.cu")) == []


@pytest.mark.parametrize(
    "parameter",
    [
        "short n",
        "size_t n",
        "bool b",
        "char* x",
        "half* x",
        "float4* x",
        "float** x",
        "int n[4]",
        "unsigned n",
        "T x",
        "int",
    ],
)
def test_unknown_types_are_refused(parameter):
    with pytest.raises(ValueError, match=r"^k: .*: expected a number or array of real, int, long long, unsigned") as e:
        parsed(f"int first, {parameter}")
    assert repr(parameter) in str(e.value)


# ---------------------------------------------------------------------------------- checks of a launch

KERNEL = parsed(
    "const real* __restrict__ x, const real* __restrict__ w, real* __restrict__ y, const int* __restrict__ labels, "
    "long long n, int k, real lr",
    name="mix",
)
NAMES = [p.name for p in KERNEL.parameters]


class Array:
    """What the check looks at in an array on a device, of a NumPy array."""

    def __init__(self, host):
        self.host = host  # keeps the memory
        self.dtype, self.nbytes = host.dtype, host.nbytes
        self.flags = SimpleNamespace(c_contiguous=host.flags.c_contiguous)
        self.data = SimpleNamespace(ptr=host.__array_interface__["data"][0])


def zeros(shape, dtype=np.float32):
    return Array(np.zeros(shape, dtype))


def arguments(real=np.float32, **changed):
    args = dict(x=zeros(6, real), w=zeros(4, real), y=zeros((2, 3), real), labels=zeros(6, np.int32), n=6, k=3, lr=0.5)
    assert changed.keys() <= args.keys()
    return list((args | changed).values())


@every_real
def test_arguments_become_what_the_kernel_takes(real):
    """Arrays stay themselves, numbers get the parameter's type: CuPy passes a scalar as wide as it is."""
    args = arguments(real)
    checked = KERNEL.check(args, Array)
    assert all(a is b for a, b in zip(checked[:4], args[:4], strict=True))
    assert [(type(a), a) for a in checked[4:]] == [(np.int64, 6), (np.int32, 3), (real.type, 0.5)]
    assert KERNEL.real(args) == real
    assert [type(a) for a in KERNEL.check(arguments(real, lr=2), Array)] == [
        *[Array] * 4,
        np.int64,
        np.int32,
        real.type,
    ]


@pytest.mark.parametrize("name, limits", [("k", np.iinfo(np.int32)), ("n", np.iinfo(np.int64))])
def test_largest_and_smallest_integers(name, limits):
    for number in (limits.min, limits.max):
        assert KERNEL.check(arguments(**{name: number}), Array)[NAMES.index(name)] == number
    for number in (limits.min - 1, limits.max + 1):
        with pytest.raises(
            ValueError, match=rf"^mix: {name}: expected a number that fits {limits.dtype}, received {number}$"
        ):
            KERNEL.check(arguments(**{name: number}), Array)


def view(real=np.float32):
    return Array(np.zeros((2, 6), real)[:, ::2])


WRONG = [  # the arguments; the beginning of the message after the kernel's name
    (arguments()[:-1], TypeError, "expected 7 arguments, received 6"),
    ([*arguments(), 1], TypeError, "expected 7 arguments, received 8"),
    (arguments(x=np.zeros(6, np.float32)), TypeError, "x: expected an array on the device, received ndarray"),
    (arguments(y=0), TypeError, "y: expected an array on the device, received int"),
    (arguments(w=None), TypeError, "w: expected an array on the device, received NoneType"),
    (arguments(labels=zeros(6, np.int64)), TypeError, "labels: expected int32, received int64"),
    (arguments(labels=zeros(6, np.uint32)), TypeError, "labels: expected int32, received uint32"),
    (arguments(y=zeros(6, np.float64)), TypeError, "y: expected float32, received float64"),
    (arguments(np.float64, w=zeros(6)), TypeError, "w: expected float64, received float32"),
    (arguments(np.float16), TypeError, "x: expected float32, received float16"),
    (arguments(x=view()), ValueError, "x: expected a C-contiguous array, received strides"),
    (arguments(y=view()), ValueError, "y: expected a C-contiguous array, received strides"),
    (arguments(n=6.0), TypeError, "n: expected int, received 6.0"),
    (arguments(k=True), TypeError, "k: expected int, received True"),
    (arguments(k=np.int32(3)), TypeError, "k: expected int, received np.int32(3)"),
    (arguments(n=zeros(1, np.int64)), TypeError, "n: expected int, received "),
    (arguments(lr="0.5"), TypeError, "lr: expected float, received '0.5'"),
    (arguments(lr=False), TypeError, "lr: expected float, received False"),
    (arguments(lr=np.float32(0.5)), TypeError, "lr: expected float, received np.float32(0.5)"),
    (arguments(lr=np.float64(0.5)), TypeError, "lr: expected float, received np.float64(0.5)"),  # is a float
]


@pytest.mark.parametrize("args, error, message", WRONG, ids=[message for *_, message in WRONG])
def test_wrong_arguments_are_refused(args, error, message):
    """With the kernel's and the parameter's name, what was expected and what was received."""
    with pytest.raises(error) as caught:
        KERNEL.check(args, Array)
    assert type(caught.value) is error
    assert str(caught.value).startswith(f"mix: {message}")


# ---------------------------------------------------------------------------------- memory that arguments share

HOST = np.zeros(24, np.float32)


@pytest.mark.parametrize(
    "changed",
    [
        dict(x=Array(HOST[:6]), w=Array(HOST[:6])),
        dict(x=Array(HOST[:6]), w=Array(HOST[3:9])),
        dict(x=Array(HOST[:6]), w=Array(HOST[:6]), labels=Array(HOST[:6].view(np.int32))),
        dict(x=Array(HOST[:6]), w=Array(HOST[12:18]), y=Array(HOST[6:12])),  # neighbours
    ],
    ids=["the same", "overlapping", "as another type", "side by side"],
)
def test_arrays_that_are_only_read_may_share_memory(changed):
    KERNEL.check(arguments(**changed), Array)


@pytest.mark.parametrize(
    "changed, names",
    [
        (dict(x=Array(HOST[:6]), y=Array(HOST[:6])), "x and y"),
        (dict(w=Array(HOST[5:9]), y=Array(HOST[:6])), "w and y"),  # by one element
        (dict(w=Array(HOST[:6]), y=Array(HOST[5:11])), "w and y"),
        (dict(w=Array(HOST[2:4]), y=Array(HOST)), "w and y"),  # inside
        (dict(y=Array(HOST), labels=Array(HOST[2:8].view(np.int32))), "y and labels"),
    ],
)
def test_an_output_shares_memory_with_nothing(changed, names):
    with pytest.raises(ValueError, match=f"^mix: {names} share memory, and not both are only read$"):
        KERNEL.check(arguments(**changed), Array)
