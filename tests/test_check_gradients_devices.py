"""The gradient checks of the command check_gradients on a GPU: float64, the same bounds as on the CPU."""

from minifcn.cases import gradient_checks, run


def test_some_emulated(emulated_gpu, capsys):
    """A third of the layers, and one of each; FCN-8s, which has all that the others have, on a small picture."""
    checks = list(gradient_checks("gpu", small=True))
    layers = [check for check in checks if not check[0].startswith("fcn")]
    some = [*layers[::3], *{what.split()[0]: (what, check) for what, check in layers}.values(), checks[-1]]
    assert some[-1][0].startswith("fcn8s ")
    assert run("some", some) == 0, capsys.readouterr().out


def test_all_on_a_real_gpu(real_gpu, capsys):
    assert run("all", gradient_checks("gpu")) == 0, capsys.readouterr().out
