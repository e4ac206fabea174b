"""The weights that come with minifcn: trunks trained by minifcn.pretrain; data/weights/README.md is their card."""

from pathlib import Path

from ..errors import InputError

SHIPPED, SCRATCH = "vgg", "scratch"  # what --init takes beside a file


def folder() -> Path:
    """Where they are: inside an installed package, or beside the package in a source checkout."""
    package = Path(__file__).resolve().parent.parent
    installed = package / "shipped"
    return installed if installed.is_dir() else package.parent / "data" / "weights"


def shipped_trunks() -> list[str]:
    """Names of the trunks whose weights are shipped."""
    return sorted(path.stem for path in folder().glob("*.safetensors"))


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
