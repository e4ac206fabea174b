"""python -m minifcn.export --to torch: a network of pytorch-fcn's names takes the file, and minifcn takes it back."""

import json
import shlex
from pathlib import Path

import numpy as np
import pytest
from helpers import randomise, relative_error
from safetensors import safe_open
from small_checkpoint import CAFFE
from small_data import draw

import minifcn as mf
from minifcn import export
from minifcn.datasets.transforms import Preprocessing
from minifcn.models import MODELS, TRUNKS
from minifcn.weights import checkpoint

torch = pytest.importorskip("torch")
from twin import Twin  # noqa: E402  (needs torch)

nn = torch.nn
CLASSES = ["sky", "road", "pole", "car"]
README = (Path(__file__).resolve().parent.parent / "README.md").read_text(encoding="utf-8")
pytestmark = pytest.mark.usefixtures("tiny_trunk")


def make_network(path, name, pad, trunk="tiny"):
    options = {"num_classes": len(CLASSES), "trunk": trunk, "pad": pad}
    parameters = randomise(MODELS[name](**options), seed=4)
    meta = {"model": {"name": name, **options}, "classes": CLASSES, "palette": [[1, 2, 3]] * 4, "preprocessing": CAFFE}
    checkpoint.save(path, {f"model/{n}": p.data for n, p in parameters.items()}, meta)
    return path


class PytorchFCN(nn.Module):
    """The layers of pytorch-fcn's networks, by its names and in its way, at any width; the twin computes with them."""

    def __init__(self, name, L, widths):
        super().__init__()
        channels = 3
        for block, (convs, width) in enumerate(zip((2, 2, 3, 3, 3), widths.blocks, strict=True), 1):
            for i in range(1, convs + 1):
                self.add_module(f"conv{block}_{i}", nn.Conv2d(channels, width, 3))
                channels = width
        self.fc6, self.fc7 = nn.Conv2d(channels, widths.fc, 7), nn.Conv2d(widths.fc, widths.fc, 1)
        self.score_fr = nn.Conv2d(widths.fc, L, 1)
        if name == "fcn32s":
            self.upscore = nn.ConvTranspose2d(L, L, 64, stride=32, bias=False)
        else:
            self.score_pool4 = nn.Conv2d(widths.blocks[3], L, 1)
            self.upscore2 = nn.ConvTranspose2d(L, L, 4, stride=2, bias=False)
        if name == "fcn16s":
            self.upscore16 = nn.ConvTranspose2d(L, L, 32, stride=16, bias=False)
        if name == "fcn8s":
            self.score_pool3 = nn.Conv2d(widths.blocks[2], L, 1)
            self.upscore_pool4 = nn.ConvTranspose2d(L, L, 4, stride=2, bias=False)
            self.upscore8 = nn.ConvTranspose2d(L, L, 16, stride=8, bias=False)

    def twin(self, name, pad):
        """Their twin, which computes from these tensors as they are."""
        found = Twin(name, pad, {})
        found.w = {n.replace("upscore.", "upscore32."): p.detach() for n, p in self.named_parameters()}
        return found


def run_line(line, **names):
    """Run a line that the command printed or README.md shows, after the imports that it needs; return its value."""
    import safetensors.torch

    return eval(line, {"safetensors": safetensors, **names})


def caffe(picture):
    """Preprocess by hand, as CAFFE says."""
    return ((picture[..., ::-1].astype(np.float64) - CAFFE["mean"]) / CAFFE["std"]).astype(np.float32)


@pytest.mark.parametrize("pad", [100, "same"])
@pytest.mark.parametrize("name", ["fcn32s", "fcn16s", "fcn8s"])
def test_the_twin_takes_the_file_and_says_the_same(name, pad, tmp_path, capsys):
    path, out = make_network(tmp_path / "network", name, pad), tmp_path / "out.safetensors"
    export.main([str(path), "--to", "torch", "--out", str(out)])
    theirs = PytorchFCN(name, len(CLASSES), TRUNKS["tiny"])
    line = capsys.readouterr().out.splitlines()[-1].split("In Python: ")[1]
    assert run_line(line, network=theirs).missing_keys == []  # strict: it raises for a name or shape of another kind
    model, twin = mf.load(path), theirs.twin(name, pad)
    for size in ((1, 1), (37, 53), (100, 45)):
        x = caffe(draw(1, *size)[0] if size[0] > 9 else np.full((*size, 3), 77, np.uint8))[None]
        with mf.no_grad():
            expected = model(x).data
        assert relative_error(twin(x).numpy(), expected) < 1e-4


@pytest.mark.parametrize("name", ["fcn32s", "fcn16s", "fcn8s"])
def test_it_comes_back_bit_for_bit(name, tmp_path):
    path, out = make_network(tmp_path / "network", name, "same"), tmp_path / "out.safetensors"
    export.main([str(path), "--to", "torch", "--out", str(out)])
    model, again = mf.load(path), MODELS[name](len(CLASSES), "tiny", "same", seed=9).eval()
    report = mf.load_weights(again, out)
    assert not report.missing and not report.skipped and not report.reinitialised
    assert report.preprocessing == Preprocessing.from_dict(CAFFE) and report.classes == CLASSES
    for parameter, p in model.parameters().items():
        assert p.data.tobytes() == again.parameters()[parameter].data.tobytes(), parameter
    x = caffe(draw(2)[0])[None]
    np.testing.assert_array_equal(again(x).data, model(x).data)


def test_what_the_file_says_of_itself(tmp_path):
    path, out = make_network(tmp_path / "network", "fcn8s", 100), tmp_path / "out.safetensors"
    export.main([str(path), "--to", "torch", "--out", str(out)])
    with safe_open(out, "pt") as file:
        said = file.metadata()
        assert file.get_tensor("upscore2.weight").dtype == torch.float32
        assert file.get_slice("conv1_2.weight").get_shape() == [4, 4, 3, 3]
    assert said.pop("format") == "pt"
    said = {name: json.loads(value) for name, value in said.items()}
    assert said["preprocessing"] == CAFFE and said["classes"] == CLASSES and said["model"]["pad"] == 100


def test_the_lines_of_the_readme_run(tmp_path, monkeypatch):
    onnxruntime = pytest.importorskip("onnxruntime")
    import safetensors.torch

    monkeypatch.chdir(tmp_path)
    Path("runs/mydata").mkdir(parents=True)
    make_network("runs/mydata/last.safetensors", "fcn8s", "same")
    lines = [line.strip() for line in README.splitlines() if line.startswith("    ")]
    for line in lines:
        if line.startswith("python -m minifcn.export "):
            export.main(shlex.split(line, comments=True)[3:])
    shown = [line for line in lines if "InferenceSession" in line or "load_state_dict" in line]
    assert len(shown) == 2
    picture, network = draw(1)[0], PytorchFCN("fcn8s", len(CLASSES), TRUNKS["tiny"])
    names = {"onnxruntime": onnxruntime, "safetensors": safetensors, "picture": picture, "network": network}
    for line in shown:
        exec(line, names)
    assert names["scores"].shape == (1, *picture.shape[:2], 11)
