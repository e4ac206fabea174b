"""Files that are whole or not there: writing one so that a kill at any instant leaves the old one or the new one.

weights.safetensors.tmp   written, then fsync: the bytes are on the disk
          |  os.replace                        the one instant at which the new one takes the old one's place
weights.safetensors       fsync of the folder: so is the name
"""

import errno
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


def check_target(path: str | os.PathLike) -> None:
    """Raise OSError where `path` is what a file must not replace, such as a device, or its folder is not there."""
    target = os.path.realpath(path)
    os.stat(os.path.join(os.path.dirname(target), ""))  # raises where that is no folder
    if os.path.exists(target) and not os.path.isfile(target):
        raise OSError(errno.EEXIST, "not a regular file", os.fspath(path))


@contextmanager
def atomic_file(path: str | os.PathLike) -> Iterator[BinaryIO]:
    """Open a file for binary writing that takes the place of `path` only once it is complete and on the disk.

    If the block, or the end of it, raises, the file at `path` is as it was before and no temporary file stays behind.
    A process killed in between leaves `path` + ".tmp", which the next write of `path` overwrites; hence two processes
    must not write the same path at once.

    Raises OSError where it could not be written; that names `path`, not the temporary file.
    """
    target = os.path.realpath(path)  # through a symbolic link, or the replacement would cut it
    temporary = f"{target}.tmp"
    try:
        check_target(target)
        with open(temporary, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException as error:
        with suppress(OSError):
            os.unlink(temporary)
        if isinstance(error, OSError):
            raise OSError(error.errno, error.strerror or str(error), os.fspath(path)) from error
        raise
    # Windows and some network file systems refuse to sync a folder. The file is whole all the same.
    with suppress(OSError):
        folder = os.open(os.path.dirname(target), os.O_RDONLY)
        with suppress(OSError):
            os.fsync(folder)
        os.close(folder)


def write_json(path: Path, content: dict) -> None:
    """Write a JSON file atomically."""
    with atomic_file(path) as file:
        file.write(json.dumps(content, indent=2).encode() + b"\n")
