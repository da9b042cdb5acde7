"""Puts the payload on the volume: stage beside, compile, close, swap in, verify; the only module here that writes.

A part (`python`) becomes visible whole or not at all. What a killed run left behind is removed by the next one.
"""

import hashlib
import importlib.util
import marshal
import os
import py_compile
import shutil
import sys

from agenttype_wrapper import errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Iterator

FILE_MODE = 0o444
DIRECTORY_MODE = 0o555
STAGED = ".agenttype-new-"
RETIRED = ".agenttype-old-"

PYC_HEADER = 16  # bytes: magic, flags, source hash (PEP 552)
PYC_UNCHECKED_HASH = b"\x01\x00\x00\x00"


class Tree:
    """A payload read into memory: what is to be on the volume."""

    def __init__(self, root: str) -> None:
        self.files: "Dict[str, bytes]" = {path: _read(os.path.join(root, path)) for path in sorted(_walk(root))}
        if not self.files:
            raise errors.InstallError(f"no payload at {root}: the image was built without it")

    @property
    def parts(self) -> "list[str]":
        """The top directories, each swapped in on its own."""
        return sorted({path.split(os.sep)[0] for path in self.files})

    @property
    def digest(self) -> str:
        """One digest over all names and contents, as `sha256:…`."""
        total = hashlib.sha256()
        for path, data in self.files.items():
            total.update(f"{path}\0{len(data)}\0".encode())
            total.update(data)
        return "sha256:" + total.hexdigest()


def install(tree: Tree, target: str) -> None:
    """Make the target hold the tree, and prove it by reading it back.

    Raises:
        InstallError: the target cannot be written, or what is read back differs.
    """
    try:
        os.makedirs(target, exist_ok=True)
        _remove_leftovers(target)
        for part in tree.parts:
            staged = _stage(tree, part, target)
            _swap(staged, os.path.join(target, part))
        _remove_leftovers(target)
        verify(tree, target)
    except OSError as error:
        raise errors.of_system(error, target) from error


def verify(tree: Tree, target: str) -> None:
    """Compare the target with the tree: contents, bytecode, modes, and nothing besides.

    Raises:
        InstallError: they differ.
    """
    wanted = dict(tree.files)
    for part in tree.parts:
        for path in _walk(os.path.join(target, part)):
            name = os.path.join(part, path)
            place = os.path.join(target, name)
            data = _read(place)
            if os.stat(place).st_mode & 0o777 != FILE_MODE:
                raise errors.InstallError(f"{place} has other modes than it was given")
            if name.endswith(".pyc"):
                _verify_bytecode(place, data, tree)
            elif wanted.pop(name, None) != data:
                raise errors.InstallError(f"{place} is not what was copied; the volume may be failing")
    if wanted:
        raise errors.InstallError(f"{target} lacks {', '.join(wanted)}; the volume may be failing")


def _stage(tree: Tree, part: str, target: str) -> str:
    staged = os.path.join(target, STAGED + part)
    for path, data in tree.files.items():
        if path.split(os.sep)[0] == part:
            _write(os.path.join(staged, os.path.relpath(path, part)), data)
    for path in sorted(_walk(staged)):
        if path.endswith(".py"):
            _compile(os.path.join(staged, path), os.path.join(target, part, path))
    for directory, _, names in os.walk(staged, topdown=False):
        for name in names:
            os.chmod(os.path.join(directory, name), FILE_MODE)
        os.chmod(directory, DIRECTORY_MODE)
    return staged


def _compile(source: str, shown: str) -> None:
    """Write bytecode that Python takes without looking at the source: this saves a third of the start-up cost."""
    py_compile.compile(
        source, dfile=shown, doraise=True, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH
    )


def _verify_bytecode(place: str, data: bytes, tree: Tree) -> None:
    cache, name = os.path.split(place)
    module = os.path.join(os.path.dirname(cache), name.split(".")[0] + ".py")
    source = next(content for path, content in tree.files.items() if module.endswith(os.sep + path))
    header = importlib.util.MAGIC_NUMBER + PYC_UNCHECKED_HASH + importlib.util.source_hash(source)
    if data[:PYC_HEADER] != header:
        raise errors.InstallError(f"{place} is not the bytecode of its source; the volume may be failing")
    marshal.loads(data[PYC_HEADER:])  # noqa: S302 — our own bytecode, written a moment ago


def _swap(staged: str, place: str) -> None:
    """Two renames: between them the part is missing, which Python takes in silence; no half of it is ever seen."""
    if os.path.lexists(place):
        os.rename(place, os.path.join(os.path.dirname(place), RETIRED + os.path.basename(place)))
    os.rename(staged, place)


def _remove_leftovers(target: str) -> None:
    for name in os.listdir(target):
        if name.startswith((STAGED, RETIRED)):
            place = os.path.join(target, name)
            for directory, _, _ in os.walk(place):
                os.chmod(directory, 0o755)
            shutil.rmtree(place)


def _walk(root: str) -> "Iterator[str]":
    """Yield the files below a directory, relative to it; bytecode that lies beside the sources is not payload."""
    for directory, directories, names in os.walk(root):
        if directory.startswith(os.path.join(PAYLOAD, "")) and "__pycache__" in directories:
            directories.remove("__pycache__")
        for name in names:
            yield os.path.relpath(os.path.join(directory, name), root)


PAYLOAD = os.path.join(os.path.dirname(os.path.abspath(__file__)), "payload")


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _write(path: str, data: bytes) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
