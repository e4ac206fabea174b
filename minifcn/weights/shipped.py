"""What comes with minifcn: trunks, trained by minifcn.pretrain, and whole networks. Each folder's README.md is a card.

data/weights/vgg_quarter.safetensors    --init vgg          data/models/camvid.safetensors    --model camvid or voc
"""

from pathlib import Path

from ..errors import InputError

SHIPPED, SCRATCH = "vgg", "scratch"  # what --init takes beside a file


def folder(kind: str = "weights") -> Path:
    """Where "weights" or "models" are: inside an installed package, or beside the package in a source checkout."""
    package = Path(__file__).resolve().parent.parent
    installed = package / f"shipped_{kind}"
    return installed if installed.is_dir() else package.parent / "data" / kind


def shipped_files(kind: str) -> dict[str, Path]:
    """The trunks ("weights") or networks ("models") that are shipped, name -> file."""
    return {path.stem: path for path in sorted(folder(kind).glob("*.safetensors"))}


def find_model(name: str) -> Path:
    """Return the checkpoint of a shipped network. InputError where there is none of that name."""
    files = shipped_files("models")
    if name not in files:
        raise InputError(f"--model {name}: shipped are {', '.join(files)}; of others give the checkpoint itself")
    return files[name]


def find_weights(init: str, trunk: str) -> Path:
    """Return the file that `--init` means: the shipped one for "vgg", else the one of that name."""
    trunks = shipped_files("weights")
    known = shipped_files("models") | ({SHIPPED: trunks[trunk]} if trunk in trunks else {})
    if init == SHIPPED and init not in known:
        way_out = f"Give a file of them (data/README.md says where to get VGG-16's), or --init {SCRATCH}"
        raise InputError(f"--init {SHIPPED}: weights are shipped for {', '.join(trunks)}, not for {trunk}. {way_out}")
    return known.get(init, Path(init).resolve())
