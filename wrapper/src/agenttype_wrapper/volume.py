"""Puts a tree on the volume: stage beside, close, swap in, verify; the only module here that writes.

A part becomes visible whole or not at all, and what a killed run left behind is removed by the next one.
"""

from __future__ import annotations

import os
import shutil

from agenttype_wrapper import errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agenttype_wrapper import tree

FILE_MODE = 0o444  # any user of any agent may read it, none may change it
DIRECTORY_MODE = 0o555
STAGED = ".agenttype-new-"
RETIRED = ".agenttype-old-"


def install(wanted: tree.Tree) -> None:
    """Make the tree's root hold the tree, and prove it by reading it back.

    Raises:
        InstallError: the root cannot be written, or what is read back differs.
    """
    try:
        os.makedirs(wanted.root, exist_ok=True)
        _remove_leftovers(wanted.root)
        for part in wanted.parts:
            _stage(wanted, part)
        for part in wanted.parts:
            _swap(wanted.root, part)
        _remove_leftovers(wanted.root)
        verify(wanted)
    except OSError as error:
        raise errors.of_system(error, wanted.root) from error


def verify(wanted: tree.Tree) -> None:
    """Compare the volume with the tree: every content, every mode, and nothing besides.

    Raises:
        InstallError: they differ.
    """
    missing = dict(wanted.files)
    for part in wanted.parts:
        for directory, _, names in os.walk(os.path.join(wanted.root, part)):
            _verify_mode(directory, DIRECTORY_MODE)
            for name in names:
                place = os.path.join(directory, name)
                _verify_mode(place, FILE_MODE)
                with open(place, "rb") as file:
                    if missing.pop(os.path.relpath(place, wanted.root), None) != file.read():
                        raise errors.InstallError(f"{place} is not what was copied: the volume may be failing")
    if missing:
        raise errors.InstallError(f"{wanted.root} lacks {', '.join(missing)}: the volume may be failing")


def _verify_mode(place: str, mode: int) -> None:
    found = os.stat(place).st_mode & 0o777
    if found != mode:
        raise errors.InstallError(f"{place} has mode {found:o}, not {mode:o}: use a volume that keeps modes")


def _stage(wanted: tree.Tree, part: str) -> None:
    staged = os.path.join(wanted.root, STAGED + part)
    for name, data in wanted.files.items():
        if name.split(os.sep)[0] == part:
            place = os.path.join(staged, os.path.relpath(name, part))
            os.makedirs(os.path.dirname(place), exist_ok=True)
            with open(place, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())  # an error of the disk shows here, not after the agent has started
            os.chmod(place, FILE_MODE)
    for directory, _, _ in os.walk(staged, topdown=False):
        os.chmod(directory, DIRECTORY_MODE)


def _swap(root: str, part: str) -> None:
    """Two renames: between them the part is missing, which Python takes in silence; no half of it is ever seen."""
    place = os.path.join(root, part)
    if os.path.lexists(place):
        os.rename(place, os.path.join(root, RETIRED + part))
    os.rename(os.path.join(root, STAGED + part), place)


def _remove_leftovers(root: str) -> None:
    for name in os.listdir(root):
        if name.startswith((STAGED, RETIRED)):
            place = os.path.join(root, name)
            for directory, _, _ in os.walk(place):
                os.chmod(directory, 0o700)
            shutil.rmtree(place)
