"""Write an image of one layer as a docker-archive, the same bytes for the same files: no builder is needed."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}


def write(archive: Path, name: str, root: Path, config: dict[str, Any], machine: str) -> None:
    """Write the tree below `root` as image `name`; `config` is the image's own, such as Env and Entrypoint."""
    layer = archive.with_name(f"{archive.name}.layer")
    try:
        _write_layer(layer, root)
        with layer.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        image = json.dumps(
            {
                "architecture": _MACHINES.get(machine, machine),
                "os": "linux",
                "created": "1970-01-01T00:00:00Z",
                "config": config,
                "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
                "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "agenttype cluster"}],
            },
            sort_keys=True,
        ).encode()
        identity = f"{hashlib.sha256(image).hexdigest()}.json"
        manifest = [{"Config": identity, "RepoTags": [name], "Layers": [f"{digest}/layer.tar"]}]
        fresh = archive.with_name(f"{archive.name}.writing")
        with tarfile.open(fresh, "w") as out:
            _add_bytes(out, identity, image)
            out.add(layer, f"{digest}/layer.tar", filter=_timeless)
            _add_bytes(out, "manifest.json", json.dumps(manifest).encode())
        fresh.rename(archive)
    finally:
        layer.unlink(missing_ok=True)


def _write_layer(layer: Path, root: Path) -> None:
    with tarfile.open(layer, "w", format=tarfile.PAX_FORMAT) as out:
        for path in sorted(root.iterdir()):
            out.add(path, path.name, filter=_timeless)


def _timeless(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.mtime = 0
    return member


def _add_bytes(out: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    out.addfile(member, io.BytesIO(data))
