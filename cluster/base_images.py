"""The two images that no Dockerfile makes: `pause`, and the base that stands in for python:3.11-slim."""

from __future__ import annotations

import hashlib
import platform
import shutil
import tempfile
from pathlib import Path

from cluster import archives, configs, paths

BASE_IMAGE = "localhost/agenttype-base:1"


def pause(program_folder: Path) -> Path:
    """The archive of the pause image: the binary alone."""
    program = program_folder / "pause"
    key = hashlib.sha256(program.read_bytes()).hexdigest()[:16]
    archive = folder() / f"pause-{key}.tar"
    if not archive.exists():
        with tempfile.TemporaryDirectory(dir=folder()) as root:
            shutil.copy2(program, Path(root) / "pause")
            config = {"Entrypoint": ["/pause"], "User": "65535:65535"}
            archives.write(archive, configs.PAUSE_IMAGE, Path(root), config, platform.machine())
    return archive


def folder() -> Path:
    """Where image archives are cached."""
    target = paths.cache() / "images"
    target.mkdir(parents=True, exist_ok=True)
    return target
