"""Draw the pictures of all chapters anew: python -m docs.pictures, from a checkout."""

import pkgutil
from importlib import import_module
from pathlib import Path

FOLDER = Path(__file__).parent
NAMES = sorted(module.name for module in pkgutil.iter_modules([str(FOLDER)]) if module.name not in ("__main__", "svg"))


def drawn(name: str) -> dict[str, bytes]:
    """Return the pictures of docs/pictures/NAME.py: file name -> content."""
    made = import_module(f"docs.pictures.{name}").pictures()
    return {file: content.encode() if isinstance(content, str) else content for file, content in made.items()}


if __name__ == "__main__":
    for name in NAMES:
        for file, content in drawn(name).items():
            (FOLDER / file).write_bytes(content)
            print(f"docs/pictures/{file}")
