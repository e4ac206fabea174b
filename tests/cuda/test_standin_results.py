"""The stand-in for CuPy computes what NumPy computes, and shares memory where CuPy does."""

import emulator
import numpy as np
import pytest
from standin_helpers import HOST, evaluate, every_expression

pytest.importorskip("cupy", reason="cupy is not installed: the stand-in checks its names against it")


@every_expression(
    """
    a + b;  a - b;  a * b;  a / b;  a // b;  a % b;  (a * a) ** 2;  -a;  abs(a);  a @ b.T;  2 - a;  1 / a;  2 ** a
    2 // a;  a % 2;  np.float32(2) * a;  np.float64(2) * a;  a - np.float32(1);  np.float32(0.5) < a;  np.exp(a)
    np.sum(a, axis=0);  a > b;  a >= 0;  a < b;  a <= 0;  a == b;  a != b;  (a > 0) & (b > 0);  (a > 0) | (b > 0)
    (a > 0) ^ (b > 0);  ~(a > 0);  a.sum();  a.sum(axis=0);  a.sum(axis=(0, 1), keepdims=True)
    a.sum(dtype=np.float64);  a.mean(axis=1);  a.max();  a.min(axis=0);  a.argmax();  a.argmax(axis=1)
    (a > 0).all();  (a > 5).any(axis=0);  i.sum();  i / 2;  i * a.T;  (a > 0).sum();  i.mean();  a[1];  a[1, 2]
    a[:, ::2];  a[..., None];  a[-1, 1:];  a[[0, 2]];  a[i];  a[a > 0];  a[i, 1];  a[()];  a[True];  a.reshape(4, 3)
    a.reshape((2, -1));  a.T.reshape(-1);  a.ravel();  a.transpose(1, 0);  a.swapaxes(0, 1);  a[None].squeeze(0)
    a.T.copy();  a.astype(np.float64);  (a * 9).astype(np.int32);  a.astype(a.dtype, copy=False);  a.copy()
    a.T + b.T;  a + b.sum();  xp.exp(a);  xp.maximum(a, 0);  xp.where(a > 0, a, 0);  xp.concatenate([a, b], axis=1)
    xp.stack((a, b));  xp.sum(a, axis=0);  xp.matmul(a, b.T);  xp.dot(a, b.T);  xp.tensordot(a, b, axes=([1], [1]))
    xp.einsum("ij,kj->ik", a, b);  xp.square(a);  xp.pad(a, ((1, 1), (0, 2)));  xp.moveaxis(a, 0, 1)
    xp.expand_dims(a, 0);  xp.broadcast_to(a, (2, 3, 4));  xp.clip(a, -1, 1);  xp.arange(5)
    xp.arange(2, 9, 3, dtype=np.int32);  xp.zeros((2, 3), np.uint8);  xp.ones(4);  xp.full((2, 2), 7);  xp.eye(3)
    xp.stack([a, b]).transpose(2, 0, 1) * 2;  xp.ones_like(xp.stack([a, b]).transpose(2, 0, 1))
    xp.zeros_like(a);  xp.ones_like(a, dtype=np.int32);  xp.full_like(a, 3);  xp.full(3, 2, dtype=np.float32)
    xp.empty((0, 3));  xp.array([1, 2]);  xp.asarray(3.5);  xp.array(a);  xp.ascontiguousarray(a.T)
    xp.asarray(a, np.float64);  xp.bincount(i);  xp.count_nonzero(a);  xp.array_equal(a, b);  xp.allclose(a, a)
    xp.isnan(a / 0);  xp.argmax(a, axis=1);  xp.cumsum(a, axis=1);  xp.prod(a)
    """
)
def test_result_is_numpy_s(expression, xp):
    hosts = {"a": HOST, "b": HOST[::-1].copy() + 1, "i": np.array([2, 0, 1])}
    found = evaluate(expression, xp, **{name: xp.asarray(host) for name, host in hosts.items()})
    with np.errstate(all="ignore"):
        expected = np.asarray(evaluate(expression, np, **hosts))
    assert type(found) is xp.ndarray, f"{type(found)}: CuPy gives an array, of no dimension if need be"
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    assert found.flags[:2] == (expected.flags.c_contiguous, expected.flags.f_contiguous)
    np.testing.assert_array_equal(found.get(), expected)
    assert emulator.is_device(found._array)


@pytest.mark.parametrize("symbol", ["+=", "-=", "*=", "/=", "//=", "%=", "**="])
def test_operators_in_place(symbol, xp):
    host = np.abs(HOST) + 1
    names = {"xp": xp, "host": host.copy(), "device": xp.asarray(host)}
    before = names["device"].data.ptr
    exec(f"device {symbol} xp.asarray(host.dtype.type(3)); host {symbol} 3", names)
    assert names["device"].data.ptr == before
    np.testing.assert_array_equal(names["device"].get(), names["host"])


def test_description(xp, a):
    assert (a.shape, a.dtype, a.ndim, a.size, a.nbytes, a.itemsize, a.strides, len(a)) == (
        (3, 4), np.float32, 2, 12, 48, 4, (16, 4), 3
    )  # fmt: skip
    assert a.flags == (True, False, True)
    assert a.T.flags == (False, True, False)
    assert a[1].data.ptr == a.data.ptr + 16
    assert a.device.id == a.data.device_id == 0
    interface = a.T.__cuda_array_interface__
    assert interface["data"] == (a.data.ptr, False)
    assert (interface["shape"], interface["strides"], interface["typestr"]) == ((4, 3), (4, 16), "<f4")
    with pytest.raises(TypeError, match="unsized"):
        len(a.sum())


def test_types_and_constants_are_numpy_s(xp):
    assert (xp.float32, xp.uint8, xp.newaxis, xp.inf, xp.pi) == (np.float32, np.uint8, None, np.inf, np.pi)
    assert np.isnan(xp.nan)
    assert xp.result_type(xp.zeros(1, np.float32), np.float64) == np.float64
    assert xp.asnumpy(HOST) is HOST
    assert xp.shape(xp.empty((2, 3))) == (2, 3)


def test_single_elements_on_the_host(xp, a):
    assert float(a[0, 0]) == a[0, 0].item() == HOST[0, 0]
    assert int(xp.asarray(7)) == 7
    assert bool((a > -100).all())
    for convert in (float, int, bool, xp.ndarray.item):
        with pytest.raises((TypeError, ValueError)):
            convert(a)


@every_expression(
    """
    a[1:];  a.T;  a.reshape(-1);  a.ravel();  a[..., 0];  a[2, 3];  a.swapaxes(0, 1);  a.transpose(1, 0)
    xp.reshape(a, (4, 3));  xp.broadcast_to(a, (2, 3, 4));  xp.split(a, 2, axis=1)[1];  xp.asarray(a);  a[None]
    """,
    name="view",
)
def test_views_share_memory(view, xp, a):
    shared = evaluate(view, xp, a=a)
    a.fill(7)
    assert (shared.get() == 7).all()


@every_expression(
    """
    a.copy();  xp.array(a);  a[[0, 1, 2]];  a.T.reshape(-1);  a + 0;  a.astype(np.float32)
    """,
    name="copied",
)
def test_copies_do_not(copied, xp, a):
    other = evaluate(copied, xp, a=a)
    a.fill(77)
    assert not (other.get() == 77).any()


def test_the_host_array_is_not_shared(xp):
    host = HOST.copy()
    device = xp.asarray(host)
    host[:] = 0
    assert device.get().any()
    device.get()[:] = 0
    assert device.get().any()


@pytest.mark.parametrize(
    "call, expected",
    [
        ("xp.matmul(a, a.T, out=c)", lambda a: a @ a.T),
        ("xp.add(a[:, :3], 1, out=c)", lambda a: a[:, :3] + 1),
        ("xp.sum(xp.stack([a[:, :3], a[:, :3]]), axis=0, out=c)", lambda a: 2 * a[:, :3]),
        ("a[:, :3].T.copy().T.max(axis=0, keepdims=True, out=c[:1])", lambda a: a[:, :3].max(axis=0, keepdims=True)),
        ("xp.concatenate([a[:1, :3], a[1:, :3]], out=c)", lambda a: a[:, :3]),
        ("np.add(a[:, :3], 1, out=c)", lambda a: a[:, :3] + 1),
    ],
)
def test_out_is_written_and_returned(call, expected, xp, a):
    c = xp.empty((3, 3), np.float32)
    result = evaluate(call, xp, a=a, c=c)
    assert result.data.ptr == c.data.ptr
    np.testing.assert_array_equal(result.get(), expected(HOST))


@pytest.mark.parametrize(
    "key, value",
    [
        ("1", "5"),
        ("1, 2", "5"),
        ("slice(None)", "b"),
        ("[0, 2]", "5"),
        ("b > 0", "0"),
        ("..., 1", "b[:, 0]"),
        ("xp.asarray([2, 0])", "b[:2]"),
        ("slice(None, None, 2), 1", "np.float32(3)"),
        ("0", "b[0, 0]"),
    ],
)
def test_assignment(key, value, xp):
    host, device = HOST.copy(), xp.asarray(HOST)
    host[evaluate(key, np, b=HOST)] = evaluate(value, np, b=HOST)
    device[evaluate(key, xp, b=xp.asarray(HOST))] = evaluate(value, xp, b=xp.asarray(HOST))
    np.testing.assert_array_equal(device.get(), host)


def test_set(xp, a):
    a.set(HOST * 2)
    np.testing.assert_array_equal(a.get(), HOST * 2)
    for wrong in (a, HOST.astype(np.float64), HOST[0]):
        with pytest.raises((TypeError, ValueError)):
            a.set(wrong)
    with pytest.raises(RuntimeError, match="non-contiguous"):
        a[:, :2].set(HOST[:, :2].copy())
