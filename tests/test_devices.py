"""Tensors on a device: what may mix with the host's and what may not."""

import numpy as np
import pytest
from helpers import device_array, tensor

import minifcn as mf
from minifcn import cpu, device


@pytest.fixture(params=["emulated_gpu", "real_gpu"])
def gpu(request):
    return request.getfixturevalue(request.param)


CONV = (2, 5, 6, 3), (3, 2, 3, 4), (4,)
OPS = {
    "add": (mf.add, (2, 3), (2, 3)),
    "conv2d": (mf.conv2d, *CONV),
    "conv_transpose2d": (mf.conv_transpose2d, (2, 3, 4, 3), (3, 2, 5, 3), (5,)),
}


@pytest.mark.parametrize("op, odd_one", [(op, i) for op, (_, *shapes) in OPS.items() for i in range(len(shapes))])
@pytest.mark.parametrize("odd_one_on_gpu", [False, True])
def test_inputs_on_two_devices_are_refused(op, odd_one, odd_one_on_gpu, gpu):
    function, *shapes = OPS[op]
    places = [gpu if (i == odd_one) == odd_one_on_gpu else cpu for i in range(len(shapes))]
    inputs = [tensor(loops, np.ones(shape)) for loops, shape in zip(places, shapes, strict=True)]
    with pytest.raises(TypeError, match=r"all inputs must .*be on one device, received .*numpy float64.* float64"):
        function(*inputs)


def test_an_array_of_the_host_is_refused_beside_a_tensor_on_the_gpu(gpu):
    with pytest.raises(TypeError, match=r"all inputs must .*be on one device"):
        tensor(gpu, np.ones(3)) + np.ones(3)


def test_a_network_on_the_gpu_refuses_a_tensor_of_the_host(gpu):
    model = mf.models.fcn32s(2, trunk="vgg_quarter", pad="same").to("gpu")
    with pytest.raises(TypeError, match=r"Conv2d: all inputs must .*be on one device"):
        model(mf.Tensor(np.ones((1, 8, 9, 3), np.float32)))


@pytest.mark.parametrize("grad_on_host", [True, False])
def test_a_cotangent_may_be_on_the_host_or_beside_its_tensor(grad_on_host, gpu):
    x = tensor(gpu, np.arange(1.0, 7).reshape(2, 3))
    dy = np.arange(6.0).reshape(2, 3)
    given = dy if grad_on_host else device_array(gpu, dy)
    (x * 3).backward(given)
    assert device.of(x.grad) is gpu and np.array_equal(device.asnumpy(x.grad), 3 * dy)
    x.grad += 1
    assert np.array_equal(device.asnumpy(given), np.arange(6.0).reshape(2, 3))  # nobody else's


def test_a_leaf_takes_a_cotangent_of_the_host(gpu):
    x = tensor(gpu, np.ones(3))
    for _ in range(2):
        x.backward(np.arange(3.0))
    assert device.of(x.grad) is gpu and device.asnumpy(x.grad).tolist() == [0, 2, 4]


def test_a_single_number_needs_no_cotangent(gpu):
    x = tensor(gpu, np.array([2.0]))
    (x * 3).backward()
    assert device.of(x.grad) is gpu and device.asnumpy(x.grad).tolist() == [3]


def test_a_tensor_of_the_host_refuses_a_cotangent_on_the_gpu(gpu):
    x = tensor(cpu, np.ones(3))
    with pytest.raises(TypeError):
        (x * 3).backward(gpu.asarray(np.ones(3)))


@pytest.mark.parametrize("grad, error", [(np.ones(2), ValueError), (np.ones(3, np.float32), TypeError)])
def test_a_wrong_cotangent_is_refused_from_either_side(grad, error, gpu):
    for given in (grad, gpu.asarray(grad)):
        with pytest.raises(error, match="backward: grad: expected"):
            (tensor(gpu, np.ones(3)) * 3).backward(given)


@pytest.mark.parametrize("dtype", [np.float16, np.int64, bool])
def test_other_dtypes_are_refused_there_too(dtype, gpu):
    with pytest.raises(TypeError, match="Tensor: expected float32 or float64, received"):
        mf.Tensor(gpu.asarray(np.ones(3, dtype)))


def test_a_graph_with_shared_inputs(gpu):
    """Gradients from several ways add up on the device, over two graphs."""
    x = tensor(gpu, np.array([1.0, -2]))
    for _ in range(2):
        middle = x * 3
        (middle + (middle * 2 + x)).backward(np.array([1.0, 10]))
    assert device.of(x.grad) is gpu and device.asnumpy(x.grad).tolist() == [20, 200]


def test_nothing_is_recorded_inside_no_grad(gpu):
    x = tensor(gpu, np.ones((1, 2, 2, 1)))
    with mf.no_grad():
        y = mf.max_pool2d(mf.relu(x), 2)
    assert device.of(y.data) is gpu and y.creator is None and not y.requires_grad
