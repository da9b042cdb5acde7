"""Copies adapter files from the source volume, checks them, and puts them where the engine reads them.

A folder on the engine's volume is always complete and never changes: it is filled under a temporary name and then
renamed, and renamed again before it is deleted. The copied bytes are checked, so that they cannot change in between.
All of it blocks; call it in a thread.
"""

import hashlib
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agenttype_api import digests
from agenttype_api.gate_policy import WantedAdapter

from agenttype_gate import preflight, safetensors
from agenttype_gate.errors import DigestMismatch, Missing, Rejected, Spoiled, VolumeTrouble
from agenttype_gate.preflight import Limits

_SERVED: Final = re.compile(r"(?P<alias>[a-z](?:[-a-z0-9]*[a-z0-9])?)@(?P<digest>[0-9a-f]{12})")
_ALIAS: Final = re.compile(r"[a-z](?:[-a-z0-9]*[a-z0-9])?")
_DIGEST: Final = re.compile(r"[0-9a-f]{12}")
_INCOMING: Final = ".incoming-"
_OUTGOING: Final = ".outgoing-"
_MOST_FILES: Final = 1000
_CHUNK: Final = 1024 * 1024
_FILE_MODE: Final = 0o644  # the engine runs as another user
_FOLDER_MODE: Final = 0o755


@dataclass(frozen=True)
class AdapterStore:
    """The source volume, the engine's volume, and the largest adapter in bytes."""

    source: Path
    target: Path
    max_bytes: int

    def path(self, served_name: str) -> str:
        """Return the folder of a served name on the engine's volume, even if it does not exist.

        Raises:
            Rejected: The name is not `alias@digest12`.
        """
        match = _SERVED.fullmatch(served_name)
        if match is None:
            raise Rejected(f"{served_name!r} is not of the form alias@digest12")
        return str(self.target / match["alias"] / match["digest"])

    def folders(self) -> dict[str, str]:
        """Return the folders on the engine's volume: served name to path."""
        aliases = (entry for entry in _entries(self.target) if _ALIAS.fullmatch(entry.name))
        versions = (version for alias in aliases for version in _entries(alias) if _DIGEST.fullmatch(version.name))
        return {f"{version.parent.name}@{version.name}": str(version) for version in versions}

    def clean(self) -> None:
        """Remove what a killed process left half done."""
        for entry in _entries(self.target):
            if entry.name.startswith((_INCOMING, _OUTGOING)):
                shutil.rmtree(entry)

    def evidence(self, adapter: WantedAdapter) -> Hashable:
        """Return a value that changes when the source's files change, None if they cannot be listed."""
        try:
            found = [(name, file.lstat()) for name, file in _files(self._source_of(adapter))]
            return tuple((name, stats.st_size, stats.st_mtime_ns, stats.st_mode, stats.st_ino) for name, stats in found)
        except (OSError, Missing, Rejected):
            return None

    def fetch(self, adapter: WantedAdapter, limits: Limits, *, loaded: bool) -> None:
        """Make sure that an adapter's checked files are in its folder on the engine's volume.

        Args:
            adapter: the adapter.
            limits: what it has to fit.
            loaded: whether the engine serves it from that folder.

        Raises:
            Spoiled: The folder has other content, or is missing although the engine uses it.
            Missing: The source has no such folder.
            DigestMismatch: The source's files have another digest.
            Rejected: They do not fit, or are not ordinary files.
            VolumeTrouble: The engine's volume is full or cannot be used.
        """
        final = Path(self.path(adapter.served_name))
        if digests.short(adapter.digest) != final.name:
            raise Rejected(f"the name {adapter.served_name} does not match the digest {adapter.digest}")
        if final.is_dir() or loaded:  # from before our restart
            if not final.is_dir() or digests.folder_digest(_hashes(final)) != adapter.digest:
                raise Spoiled(f"the copy of {adapter.served_name} on the engine's volume has changed")
            _check(final, limits)
            return
        source = self._source_of(adapter)
        try:
            self._take(adapter, source, final, limits)
        except OSError as error:
            raise VolumeTrouble(f"it cannot be copied to the engine's volume: {error.strerror}") from error

    def delete(self, served_name: str) -> None:
        """Delete the folder of a served name; call it only after the engine has stopped serving it."""
        folder = Path(self.path(served_name))
        if folder.is_dir():
            outgoing = Path(tempfile.mkdtemp(prefix=_OUTGOING, dir=self.target))
            folder.rename(outgoing / folder.name)
            shutil.rmtree(outgoing)
        if folder.parent.is_dir() and not any(folder.parent.iterdir()):
            folder.parent.rmdir()

    def _take(self, adapter: WantedAdapter, source: Path, final: Path, limits: Limits) -> None:
        incoming = Path(tempfile.mkdtemp(prefix=_INCOMING, dir=self.target))
        try:
            found = digests.folder_digest(self._copy(source, incoming))
            if found != adapter.digest:
                raise DigestMismatch(
                    f"the files have digest {found}, not {adapter.digest}; upload them again or change the digest"
                )
            _check(incoming, limits)
            incoming.chmod(_FOLDER_MODE)
            final.parent.mkdir(mode=_FOLDER_MODE, exist_ok=True)
            final.parent.chmod(_FOLDER_MODE)
            incoming.rename(final)
        finally:
            shutil.rmtree(incoming, ignore_errors=True)

    def _source_of(self, adapter: WantedAdapter) -> Path:
        try:
            root = self.source.resolve(strict=True)
            folder = (root / adapter.path).resolve(strict=True)
        except (OSError, RuntimeError) as error:
            raise Missing(f"there is no folder {adapter.path!r} in the adapter volume") from error
        if not folder.is_relative_to(root):
            raise Rejected(f"{adapter.path!r} leads out of the adapter volume")
        if not folder.is_dir():
            raise Missing(f"{adapter.path!r} in the adapter volume is not a folder")
        return folder

    def _copy(self, source: Path, target: Path) -> list[tuple[str, str]]:
        hashes = []
        left = self.max_bytes
        for name, file in _files(source):
            destination = target / name
            destination.parent.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
            digest, size = _copied(file, destination, left)
            left -= size
            hashes.append((name, digest))
        if not hashes:
            raise Missing("the adapter's folder is empty")
        return hashes


def _check(folder: Path, limits: Limits) -> None:
    try:
        config = (folder / preflight.CONFIG).read_bytes()
        tensors = _tensors(folder / preflight.WEIGHTS)
    except FileNotFoundError as error:
        raise Rejected(f"it has no {Path(error.filename).name}; save it with PEFT, as safetensors") from error
    preflight.check(config, tensors, limits)


def _tensors(file: Path) -> "dict[str, safetensors.Tensor]":
    size = file.stat().st_size
    with file.open("rb") as opened:
        length = safetensors.header_length(opened.read(safetensors.LENGTH_BYTES), size)
        header = opened.read(length)
    return dict(safetensors.tensors(header, size - safetensors.LENGTH_BYTES - length))


def _entries(folder: Path) -> list[Path]:
    """Return the real folders in a folder, sorted by name."""
    if not folder.is_dir():
        return []
    return sorted(entry for entry in folder.iterdir() if entry.is_dir() and not entry.is_symlink())


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield a folder's files as (relative posix path, path)."""
    count = 0
    for place, folders, files in os.walk(folder, onerror=_raise):
        for name in (*folders, *files):
            path = Path(place, name)
            mode = path.lstat().st_mode
            relative = path.relative_to(folder).as_posix()
            if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)) or "\n" in relative:
                raise Rejected(f"{relative!r} is not an ordinary file; adapters may hold only files and folders")
            if stat.S_ISREG(mode):
                count += 1
                if count > _MOST_FILES:
                    raise Rejected(f"the folder has more than {_MOST_FILES} files; check that it is an adapter's")
                yield relative, path


def _raise(error: OSError) -> None:
    raise Rejected(f"the adapter's folder cannot be read: {error.strerror}") from error


def _hashes(folder: Path) -> list[tuple[str, str]]:
    return [(name, _hash(file)) for name, file in _files(folder)]


def _hash(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _copied(source: Path, target: Path, limit: int) -> tuple[str, int]:
    """Copy a file; return the sha256 and the size of the copy."""
    try:
        descriptor = os.open(source, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError as error:
        raise Rejected(f"{source.name} cannot be read: {error.strerror}; make the files world-readable") from error
    digest, size = hashlib.sha256(), 0
    with os.fdopen(descriptor, "rb") as opened, target.open("xb") as written:
        while chunk := opened.read(_CHUNK):
            size += len(chunk)
            if size > limit:
                raise Rejected("the folder is larger than --max-adapter allows; check that it is an adapter's")
            digest.update(chunk)
            written.write(chunk)
    target.chmod(_FILE_MODE)
    return digest.hexdigest(), size
