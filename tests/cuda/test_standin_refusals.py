"""The stand-in for CuPy refuses what CuPy refuses, and reads of memory that nobody wrote."""

import copy
import pickle

import numpy as np
import pytest
from standin_helpers import HOST, evaluate, every_expression

pytest.importorskip("cupy", reason="cupy is not installed: the stand-in checks its names against it")


@every_expression(
    """
    a + h;  h + a;  a * np.array(2.0);  np.array(2.0) * a;  a > h;  h > a;  a @ h.T;  h @ a.T;  a.__iadd__(h)
    h.__iadd__(a);  a + [1, 2, 3, 4];  xp.add(a, h);  xp.add(h, a);  np.add(h, a);  np.exp(a, out=h)
    xp.exp(a, out=h);  xp.exp(h);  a == None;  xp.matmul(a, h.T);  xp.concatenate([a, h]);  xp.stack((h, h))
    xp.where(a > 0, a, h);  xp.where(h > 0, a, a);  xp.sum(h);  xp.sum([1, 2]);  xp.max(3.0)
    a.__setitem__(0, [1, 2, 3, 4]);  a[h > 0];  a[np.array([0, 1])];  xp.tensordot(a, h);  xp.einsum("ij,kj", a, h)
    a.__setitem__(0, h[0]);  xp.maximum(a, h);  xp.copyto(a, h);  a.fill(h);  xp.empty_like(h)
    a.max(axis=0, out=h[0])
    """
)
def test_host_and_device_do_not_mix(expression, xp, a):
    with pytest.raises(TypeError):
        evaluate(expression.strip(), xp, a=a, h=HOST.copy())


@pytest.mark.parametrize("expression", ["a + h", "h + a", "xp.concatenate([a, h])", "a @ h.T", "xp.add(a, h)"])
def test_the_message_of_mixing_is_cupy_s(expression, xp, a):
    with pytest.raises(TypeError, match=r"Unsupported type <class 'numpy.ndarray'>"):
        evaluate(expression, xp, a=a, h=HOST)


@every_expression(
    """
    np.array(a);  np.asarray(a);  np.zeros((3, 4)).__setitem__(0, a[0]);  np.stack([HOST, HOST]).dot(a)
    np.array([a[0, 0]]);  np.ascontiguousarray(a)
    """
)
def test_there_is_no_implicit_copy_to_the_host(expression, xp, a):
    text = "Implicit conversion to a NumPy array is not allowed. "
    text += "Please use `.get()` to construct a NumPy array explicitly."
    with pytest.raises(TypeError) as error:
        evaluate(expression, xp, a=a, HOST=HOST)
    assert text in (str(error.value), str(error.value.__cause__))


@pytest.mark.parametrize(
    "name",
    [
        "nditer",
        "einsum_path",
        "busday_count",
        "ElementwiseKernel",
        "no_such_function",
        "random",
        "linalg",
        "vectorize",
        "ufunc",
    ],
)
def test_unknown_names_are_attribute_errors(name, xp):
    assert not hasattr(xp, name)


@pytest.mark.parametrize(
    "name", ["tolist", "nonzero", "view", "dot", "__index__", "__iter__", "sort", "no_such_method"]
)
def test_unknown_methods_are_attribute_errors(name, a):
    assert not hasattr(a, name)


@every_expression(
    """
    xp.sum(a, where=a > 0);  xp.add(a, a, where=a > 0);  xp.max(a, initial=0);  xp.exp(a, a);  xp.exp(a, order='C')
    xp.mean(a, no=1);  xp.maximum(a);  xp.add(a, a, a, a);  xp.concatenate();  xp.take(a, 0, 0, a)
    np.add(a, a, where=True);  xp.where(a > 0, a, 0, 0);  np.add.reduce(a);  np.add.at(a, 0, 1)
    xp.asarray(HOST, like=HOST)
    """,
    name="call",
)
def test_arguments_that_cupy_lacks_are_type_errors(call, xp, a):
    with pytest.raises(TypeError):
        evaluate(call, xp, a=a, HOST=HOST)


def test_kinds_of_elements_that_no_device_has(xp):
    for host in (["text"], [None], np.array(["1"])):
        with pytest.raises(ValueError, match="Unsupported dtype"):
            xp.asarray(host)


@pytest.mark.parametrize("act", [pickle.dumps, copy.deepcopy, copy.copy, hash])
def test_arrays_are_neither_pickled_nor_hashed(act, a):
    with pytest.raises(TypeError):
        act(a)


@every_expression(
    """
    e + 1;  1 - e;  e + e;  -e;  e == 0;  np.float32(2) * e;  np.exp(e);  e @ e.T;  xp.matmul(e, e.T);  xp.exp(e)
    e.sum();  e.max();  e.get();  xp.asnumpy(e);  float(e[0, 0]);  int(e[0, 0]);  bool(e[0, 0]);  e[0, 0].item()
    e.copy();  e.astype(np.float64);  xp.array(e);  e[[0, 1]];  e[e > 0];  e.T.reshape(-1);  e.T.ravel()
    xp.concatenate([e, e]);  xp.where(e > 0, 1, 0);  xp.reshape(e.T, -1);  xp.asarray(e, np.float64)
    xp.ascontiguousarray(e.T);  xp.sum(e);  xp.zeros((3, 4)).__setitem__(0, e[0]);  e.__iadd__(1)
    xp.exp(e, out=xp.zeros((3, 4), np.float32));  xp.zeros(4)[e[0]];  xp.array_equal(e, e)
    xp.sum(e, axis=0, out=xp.zeros(4, np.float32));  e.any();  e.all();  e.argmax();  e.mean()
    """
)
def test_uninitialised_memory_is_not_read(expression, xp):
    with pytest.raises(RuntimeError, match="uninitialised device memory read"):
        evaluate(expression, xp, e=xp.empty((3, 4), np.float32))


@every_expression(
    """
    e[0];  e.T;  e.reshape(-1);  e[0, 0];  e.shape;  repr(e);  xp.empty_like(e);  xp.split(e, 3);  xp.zeros_like(e)
    xp.result_type(e);  e.ravel();  xp.asarray(e);  xp.ascontiguousarray(e);  e.astype(np.float32, copy=False)
    """
)
def test_description_and_views_read_nothing(expression, xp):
    evaluate(expression, xp, e=xp.empty((3, 4), np.float32))


@every_expression(
    """
    e.fill(1);  e.__setitem__(slice(None), 1);  e.set(HOST);  xp.add(a, 1, out=e);  xp.matmul(a, a.T @ a, out=e)
    e.__setitem__([0, 1, 2], a);  e.__setitem__(a > -9, 1);  xp.sum(xp.stack([a, a]), axis=0, out=e)
    e.T.__setitem__(..., a.T)
    """
)
def test_every_write_marks_what_it_wrote(expression, xp, a):
    e = xp.empty((3, 4), np.float32)
    evaluate(expression, xp, e=e, a=a, HOST=HOST)
    assert e.get().shape == (3, 4)


@pytest.mark.parametrize("key", [0, (slice(None), 1), [0], (0, 0), np.s_[::2, ::2]])
def test_a_write_marks_nothing_else(key, xp):
    e, written = xp.empty((3, 4), np.float32), np.zeros((3, 4), bool)
    e[key] = 1
    written[key] = True
    for position in np.ndindex(3, 4):
        if written[position]:
            assert e[position].item() == 1
        else:
            with pytest.raises(RuntimeError, match="uninitialised"):
                e[position].get()
