"""Draw the pictures of all chapters anew: python -m docs.pictures, from a checkout.

docs/pictures/NAME.py has a function pictures() -> {file name: SVG text or PNG bytes}.
"""

import io
import pkgutil
from functools import cache
from importlib import import_module
from pathlib import Path

import numpy as np
from PIL import Image

FOLDER = Path(__file__).parent
NAMES = sorted(module.name for module in pkgutil.iter_modules([str(FOLDER)]) if module.name not in ("__main__", "svg"))


@cache
def drawn(name: str) -> dict[str, bytes]:
    """Return the pictures of docs/pictures/NAME.py: file name -> content."""
    made = import_module(f"docs.pictures.{name}").pictures()
    return {file: content.encode() if isinstance(content, str) else content for file, content in made.items()}


def alike(one: bytes, other: bytes) -> bool:
    """Are two pictures the same? PNGs by what is seen, as rounding and fonts differ a little between machines."""
    if not one.startswith(b"\x89PNG"):
        return one == other
    a, b = (np.asarray(Image.open(io.BytesIO(png)).convert("RGB"), int) for png in (one, other))
    return a.shape == b.shape and bool(np.abs(a - b).mean() < 1)


if __name__ == "__main__":
    for name in NAMES:
        for file, content in drawn(name).items():
            path = FOLDER / file
            if not path.exists() or not alike(content, path.read_bytes()):
                path.write_bytes(content)
                print(path)
