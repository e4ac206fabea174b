"""What comes with minifcn: trunks, trained by minifcn.pretrain, and whole networks. Each folder's README.md is a card.

data/weights/vgg_quarter.safetensors    --init vgg          data/models/camvid.safetensors    --model camvid
"""

from pathlib import Path

from ..errors import InputError

SHIPPED, SCRATCH = "vgg", "scratch"  # what --init takes beside a file


def folder(kind: str = "weights") -> Path:
    """Where "weights" or "models" are: inside an installed package, or beside the package in a source checkout."""
    package = Path(__file__).resolve().parent.parent
    installed = package / f"shipped_{kind}"
    return installed if installed.is_dir() else package.parent / "data" / kind


def shipped_trunks() -> list[str]:
    """Names of the trunks whose weights are shipped."""
    return sorted(path.stem for path in folder("weights").glob("*.safetensors"))


def shipped_models() -> list[str]:
    """Names of the networks that are shipped."""
    return sorted(path.stem for path in folder("models").glob("*.safetensors"))


def find_model(name: str) -> Path:
    """Return the checkpoint of a shipped network. InputError where there is none of that name."""
    if name not in shipped_models():
        raise InputError(
            f"--model {name}: shipped are {', '.join(shipped_models()) or 'none'}; of others give the checkpoint itself"
        )
    return folder("models") / f"{name}.safetensors"


def find_weights(init: str, trunk: str) -> Path:
    """Return the file that `--init` means: the shipped one for "vgg", else the one of that name."""
    if init != SHIPPED:
        return Path(init).resolve()
    if trunk not in shipped_trunks():
        raise InputError(
            f"--init {SHIPPED}: weights are shipped for {', '.join(shipped_trunks()) or 'no trunk'}, not for {trunk}. "
            f"Give a file of them (data/README.md says where to get VGG-16's), or --init {SCRATCH}"
        )
    return folder() / f"{trunk}.safetensors"
