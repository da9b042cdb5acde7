"""What is to be on the volume, in memory: the payload's files and the bytecode of this Python's version.

Pure but for `read`. A file's name is its path below the volume's root; its first part (`python`) is swapped in whole.
"""

from __future__ import annotations

import hashlib
import importlib.util
import marshal
import os
import sys

from agenttype_wrapper import errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List

PYC_UNCHECKED_HASH = b"\x01\x00\x00\x00"  # PEP 552: Python takes such bytecode without looking at the source


class Tree:
    """Names and contents; two trees with the same digest are the same payload."""

    def __init__(self, sources: Dict[str, bytes], root: str) -> None:
        self.root = root
        self.sources = sources
        self.files = {**sources, **_bytecode(sources, root)}

    @property
    def parts(self) -> List[str]:
        """The directories below the root, each swapped in on its own."""
        return sorted({name.split(os.sep)[0] for name in self.files})

    @property
    def digest(self) -> str:
        """One digest over the names and contents of the sources, as `sha256:…`; the same for every Python."""
        total = hashlib.sha256()
        for name in sorted(self.sources):
            total.update(f"{name}\0{len(self.sources[name])}\0".encode())
            total.update(self.sources[name])
        return "sha256:" + total.hexdigest()


def read(payload: str, root: str) -> Tree:
    """Read the payload that is to be seen under `root`; bytecode that lies beside it belongs to the image's Python.

    Raises:
        InstallError: there is none.
    """
    sources = {}
    for directory, directories, names in os.walk(payload):
        directories[:] = sorted(set(directories) - {"__pycache__"})
        for name in sorted(names):
            path = os.path.join(directory, name)
            with open(path, "rb") as file:
                sources[os.path.relpath(path, payload)] = file.read()
    if not sources:
        raise errors.InstallError(f"no payload at {payload}: the image was built without it")
    return Tree(sources, root)


def _bytecode(sources: Dict[str, bytes], root: str) -> Dict[str, bytes]:
    """Compile for the running minor version; agents on another one read the sources, a few milliseconds slower."""
    compiled = {}
    for name, source in sources.items():
        if name.endswith(".py"):
            code = compile(source, os.path.join(root, name), "exec", dont_inherit=True, optimize=0)
            header = importlib.util.MAGIC_NUMBER + PYC_UNCHECKED_HASH + importlib.util.source_hash(source)
            directory, module = os.path.split(name)
            cached = f"{module[: -len('.py')]}.{sys.implementation.cache_tag}.pyc"
            compiled[os.path.join(directory, "__pycache__", cached)] = header + marshal.dumps(code)
    return compiled
