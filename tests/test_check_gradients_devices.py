"""The gradient checks of the command check_gradients on a GPU: float64, the same bounds as on the CPU."""

import numpy as np

from minifcn.check_gradients import layer_cases, network_cases, run


def test_layers_emulated(emulated_gpu, capsys):
    """A third of each layer's cases, drawn so that no option of a grid is left out by its place."""
    cases = list(layer_cases(0))
    drawn = [cases[i] for i in np.random.default_rng(0).permutation(len(cases))]
    third = [case for name in {op for op, *_ in cases} for case in [c for c in drawn if c[0] == name][::3]]
    assert run(third, emulated_gpu) == 0, capsys.readouterr().out


def test_a_network_emulated(emulated_gpu, capsys):
    """FCN-8s, which has all that the others have, on a small picture: every parameter and the picture."""
    case = next(case for case in network_cases(0, "gpu", small=True) if case[0] == "fcn8s")
    assert run([case], emulated_gpu) == 0, capsys.readouterr().out


def test_all_on_a_real_gpu(real_gpu, capsys):
    assert run([*layer_cases(0), *network_cases(0, "gpu")], real_gpu) == 0, capsys.readouterr().out
