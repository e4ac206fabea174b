"""Files that are whole or not there: writing one so that a kill at any instant leaves the old one or the new one.

.weights.safetensors.tmp  written, then fsync: the bytes are on the disk
          |  os.replace                        the one instant at which the new one takes the old one's place
weights.safetensors       fsync of the folder: so is the name
"""

import errno
import json
import os
import platform
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from .errors import InputError, say

MARK, HEAD = "made by minifcn", 4096  # what may be made again says so, within so many bytes
LOCK = ".minifcn.lock"  # the file in a folder that says which process works there
WRITE = True  # whether this process writes files; ranks.py


def check_target(path: str | os.PathLike) -> None:
    """Raise OSError where `path` is what a file must not replace, such as a device, or its folder is not there."""
    target = os.path.realpath(path)
    os.stat(os.path.join(os.path.dirname(target), ""))  # raises where that is no folder
    if os.path.exists(target) and not os.path.isfile(target):
        raise OSError(errno.EEXIST, "not a regular file", os.fspath(path))


def is_ours(path: str | os.PathLike, mark: str = MARK) -> bool:
    """Whether a file bears the mark of what minifcn made and can make again: Software of a PNG, a key of a JSON ..."""
    with open(path, "rb") as file:
        return mark.encode() in file.read(HEAD)


def check_replaceable(targets: Iterable, inputs: Iterable = (), overwrite: bool = False) -> None:
    """Raise InputError where writing a target would lose something: an input, by whatever path, or another's file.

    overwrite: whether files without the mark may go; inputs stay in any case. Folders of targets need not be there.
    """
    there = [target for target in targets if os.path.exists(target)]
    read = {os.stat(path)[1:3]: path for path in inputs if os.path.exists(path)} if there else {}  # by inode, device
    for target in there:
        check_target(target)
        if same := read.get(os.stat(target)[1:3]):
            raise InputError(f"{target}: would overwrite {same}, which is read; choose another --out, or rename one")
        if not overwrite and not is_ours(target):
            raise InputError(f"{target}: is there, and not {MARK}; choose another --out, or add --overwrite")


@contextmanager
def atomic_file(path: str | os.PathLike) -> Iterator[BinaryIO]:
    """Open a file for binary writing that takes the place of `path` only once it is complete and on the disk.

    If the block, or the end of it, raises, the file at `path` is as it was before and no temporary file stays behind.
    A process killed in between leaves a hidden file, a dot, the name and ".tmp", which the next write of `path`
    overwrites; hence two processes must not write the same path at once.

    Raises OSError where it could not be written; that names `path`, not the temporary file.
    """
    if not WRITE:
        with open(os.devnull, "wb") as nowhere:
            yield nowhere
        return
    target = os.path.realpath(path)  # through a symbolic link, or the replacement would cut it
    temporary = os.path.join(os.path.dirname(target), f".{os.path.basename(target)}.tmp")  # a name that no input has
    try:
        check_target(target)
        with suppress(FileNotFoundError):
            os.unlink(temporary)
        with open(temporary, "xb") as file:  # a link would not be followed
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


# --- one process at a time ---


@contextmanager
def alone_in(folder: Path, wait: bool = False) -> Iterator[None]:
    """Hold a folder for this process: another waits, or gets an InputError that says who holds it.

    The system's lock on the file LOCK goes with the process, whatever ends that. Where a file system has no locks a
    note says so. A link is no lock: what it leads to is somebody's.
    """
    path, command, since = folder / LOCK, " ".join(sys.orig_argv[1:]), time.strftime("%Y-%m-%d %H:%M:%S")
    if path.is_symlink() or (path.is_file() and path.stat().st_nlink > 1):
        raise InputError(f"{path}: a link, not a lock; delete it")
    with open(path, "ab+", 0) as file:
        if not _lock(file, wait):
            file.seek(0)
            holder = " ".join(file.read(400).decode(errors="replace").split()) or "another process"
            raise InputError(f"{folder}: {holder} is at work here; wait for it, or choose another")
        if not os.fstat(file.fileno()).st_nlink:  # whoever had it has deleted it
            with alone_in(folder, wait):
                yield
            return
        with suppress(OSError):  # the disk may be full
            file.truncate(0)
            file.write(f"process {os.getpid()} on {platform.node()}, since {since}: {command}".encode(errors="replace"))
        try:
            yield
        finally:
            with suppress(OSError):  # Windows deletes no open file
                os.unlink(path)


def _lock(file: BinaryIO, wait: bool) -> bool:
    """Lock an open file; False where another process has it. Windows locks bytes: one behind the text, to be read."""
    try:
        if os.name == "nt":
            import msvcrt

            file.seek(1 << 30)
            msvcrt.locking(file.fileno(), msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except (BlockingIOError, PermissionError):
        return False
    except OSError as error:
        say(f"note: {file.name}: no lock ({error.strerror}); let no other command work here", file=sys.stderr)
    return True
