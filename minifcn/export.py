"""A network for other tools: python -m minifcn.export CHECKPOINT --to onnx

Or one that comes with minifcn: python -m minifcn.export --model camvid --to torch

    onnx           the whole network, preprocessing inside, for pictures of any size: pictures uint8 (N,H,W,3) in RGB ->
                   scores float32 (N,H,W,L), or with --labels the highest-scoring classes, labels uint8 (N,H,W)
    torch          a state_dict in a safetensors file, with the names of pytorch-fcn and PyTorch's layouts, in float32
    safetensors    a checkpoint for passing on: weights alone, as they are stored, and what predict must know

Each has classes, colours, preprocessing and how the network is built in its metadata, as JSON.
"""

import json
from pathlib import Path

from .command import add_overwrite_option, command_line, command_parser
from .errors import InputError, say
from .files import MARK, atomic_file, check_replaceable, check_target
from .training.evaluation import load
from .weights import checkpoint, open_weights
from .weights.names import PYTORCH_FCN, oihw
from .weights.shipped import find_model, shipped_files

FORMATS = {  # what names of files end with, and how the files are used
    "onnx": (".onnx", 'onnxruntime.InferenceSession({!r}).run(None, {{"pictures": pictures}})'),
    "torch": ("_torch.safetensors", "network.load_state_dict(safetensors.torch.load_file({!r}))"),
    "safetensors": ("_weights.safetensors", "minifcn.load({!r})"),
}
KEPT = "model classes palette values entries colours preprocessing side longest step".split()  # no folders' names


def main(argv=None) -> None:
    parser = command_parser("export", "[CHECKPOINT | --model NAME] --to FORMAT [options]", "A network for other tools.")
    add, which = parser.add_argument, parser.add_mutually_exclusive_group(required=True).add_argument
    which("checkpoint", nargs="?", help="last.safetensors or best.safetensors of a run")
    which("--model", metavar="NAME", help=f"instead of it: a shipped network ({', '.join(shipped_files('models'))})")
    add("--to", required=True, choices=FORMATS, help="for onnxruntime and others, for PyTorch, or for minifcn")
    add("--out", type=Path, metavar="FILE", help="file to write (default: named after the checkpoint, in this folder)")
    add("--labels", action="store_true", help="of onnx: give classes, not scores")
    add_overwrite_option(parser)
    args = parser.parse_args(argv)
    if args.labels and args.to != "onnx":
        raise InputError(f"--labels: expected with --to onnx alone, received --to {args.to}; leave it out")
    path = Path(args.checkpoint or find_model(args.model))
    ending, use = FORMATS[args.to]
    out = args.out or Path(path.stem + ending)
    check_target(out)
    check_replaceable([out], [path], args.overwrite)
    write(out, path, args.to, args.labels)
    say(f"wrote {out}, {out.stat().st_size / 1e6:.1f} MB. In Python: {use.format(str(out))}")


def write(out: Path, path: Path, to: str, labels: bool) -> None:
    """Write the checkpoint at `path` in another format to `out`."""
    model = load(path)
    meta = {name: model.meta[name] for name in KEPT if name in model.meta}
    about = {name: json.dumps(value) for name, value in ({"software": MARK} | meta).items()}
    if to == "safetensors":
        arrays = {f"model/{x.name}": x.read() for x in open_weights(path).arrays if x.name}
        checkpoint.save(out, arrays, meta, **about)
    elif to == "torch":
        names = {ours: theirs for theirs, ours in PYTORCH_FCN.arrays.items()}
        arrays = {names[name]: oihw(p.data) for name, p in model.parameters().items()}
        checkpoint.write(out, arrays, about | {"format": "pt"})
    else:
        try:
            from .weights.onnx_files import onnx_model  # only here: nothing else needs the package onnx
        except ImportError as error:
            raise InputError(f"--to onnx: needs the package onnx ({error}). Install it: pip install onnx") from error
        with atomic_file(out) as file:
            file.write(onnx_model(model, about, labels).SerializeToString())


if __name__ == "__main__":
    command_line(main)
