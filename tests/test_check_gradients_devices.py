"""The gradient checks of the command check_gradients on a GPU: float64, the same bounds as on the CPU."""

from minifcn.cases import layer_cases, network_cases
from minifcn.check_gradients import run


def test_layers_emulated(emulated_gpu, capsys):
    """A third of the cases, and one of each layer."""
    cases = list(layer_cases(0))
    assert run([*cases[::3], *{case.op: case for case in cases}.values()], emulated_gpu) == 0, capsys.readouterr().out


def test_a_network_emulated(emulated_gpu, capsys):
    """FCN-8s, which has all that the others have, on a small picture: every parameter and the picture."""
    case = next(case for case in network_cases(0, "gpu", small=True) if case[0] == "fcn8s")
    assert run([case], emulated_gpu) == 0, capsys.readouterr().out


def test_all_on_a_real_gpu(real_gpu, capsys):
    assert run([*layer_cases(0), *network_cases(0, "gpu")], real_gpu) == 0, capsys.readouterr().out
