"""Build images from plain Dockerfiles without Docker, cache them by content, and load them into the node."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from typing import TYPE_CHECKING
from urllib.parse import quote

from cluster import (
    base_images,
    binaries,
    buildah,
    commands,
    configs,
    content_key,
    lock,
    node,
    packages,
    paths,
    progress,
)
from cluster.errors import UnmetError

if TYPE_CHECKING:
    from pathlib import Path

_BUILTIN = {"base": base_images.BASE_IMAGE, "pause": configs.PAUSE_IMAGE}


@dataclasses.dataclass(frozen=True)
class Build:
    """What to build: a name, a Dockerfile, its context and the user's build arguments."""

    name: str
    dockerfile: Path
    context: Path
    arguments: dict[str, str]


def full_name(name: str) -> str:
    """Pure: the name that the kubelet will look for, as Docker completes it."""
    first, slash, _ = name.partition("/")
    has_host = bool(slash) and ("." in first or ":" in first or first == "localhost")
    path = name if has_host else f"docker.io/{name}" if slash else f"docker.io/library/{name}"
    return path if ":" in path.rpartition("/")[2] else f"{path}:latest"


def declared(dockerfile: str) -> set[str]:
    """Pure: the build arguments that a Dockerfile's text declares."""
    return set(re.findall(r"^\s*ARG\s+([A-Za-z_][A-Za-z0-9_]*)", dockerfile, re.MULTILINE | re.IGNORECASE))


def build(wanted: Build) -> Path:
    """Build an image unless its archive is there; return the archive."""
    for path, what in ((wanted.dockerfile, "Dockerfile"), (wanted.context, "context")):
        if not path.exists():
            raise UnmetError(f"the {what} {path} does not exist", "check the path")
    name, base = full_name(wanted.name), base_images.base()
    known = declared(wanted.dockerfile.read_text())
    ours = {"BASE": base_images.BASE_IMAGE, "UV_SYSTEM_CERTS": "1"}
    arguments = {key: value for key, value in ours.items() if key in known} | wanted.arguments
    key = content_key.of(wanted.dockerfile, wanted.context, arguments | {"": base.name, " name": name})
    target = _store(name)
    archive = target / f"{key}.tar"
    if archive.exists():
        progress.say(f"unchanged: {name}")
    else:
        packages.require_root("building images")
        packages.ensure(packages.IMAGES)
        target.mkdir(parents=True, exist_ok=True)
        with lock.alone(base_images.folder() / "build.lock", "wait for another image build"):
            ignore = content_key.ignore_file(wanted.dockerfile, wanted.context)
            _build(buildah.Recipe(name, wanted.dockerfile, wanted.context, ignore, arguments), archive, base)
    _point(target, archive)
    return archive


def load(home: paths.Home, names: list[str]) -> None:
    """Put images into the node's container runtime, where pods find them without a registry."""
    if not home.containerd_socket.exists():
        raise UnmetError(f"no full cluster in {home.root}", f"python3 cluster up --dir {home.root}")
    for name in names:
        archive = _archive(name)
        loaded = home / "images" / quote(name, safe="")
        if loaded.exists() and loaded.read_text() == str(archive):
            progress.say(f"already loaded: {name}")
            continue
        with progress.step(f"load {name}"):
            commands.output(*node.import_command(home.containerd_socket, archive))
        loaded.parent.mkdir(exist_ok=True)
        loaded.write_text(str(archive))


def _archive(name: str) -> Path:
    if name in {"base", _BUILTIN["base"]}:
        return base_images.base()
    if name in {"pause", _BUILTIN["pause"]}:
        return base_images.pause(binaries.folder())
    current = _store(full_name(name)) / "current"
    if not current.exists():
        raise UnmetError(
            f"the image {name} is not built", f"python3 cluster image build -t {name} -f DOCKERFILE CONTEXT"
        )
    return current.resolve()


def _build(recipe: buildah.Recipe, archive: Path, base: Path) -> None:
    builder = buildah.Buildah()
    log, fresh = archive.with_suffix(".log"), archive.with_suffix(".writing")
    fresh.unlink(missing_ok=True)
    # One tag per content of the base: the storage outlives a change of it.
    tag = f"localhost/agenttype-base:{hashlib.sha256(base.name.encode()).hexdigest()[:12]}"
    try:
        with progress.step(f"build {recipe.name}") as shown:
            if not builder.has(tag):
                builder.run(shown, log, "pull", f"docker-archive:{base}")
                builder.run(shown, log, "tag", base_images.BASE_IMAGE, tag)
            builder.run(shown, log, "tag", tag, base_images.BASE_IMAGE)
            builder.run(shown, log, *buildah.arguments(recipe))
        with progress.step(f"save {recipe.name}") as shown:
            builder.run(shown, log, "push", recipe.name, f"docker-archive:{fresh}:{recipe.name}")
        fresh.rename(archive)
    finally:
        fresh.unlink(missing_ok=True)
        builder.close()


def _store(name: str) -> Path:
    return base_images.folder() / quote(name, safe="")


def _point(target: Path, archive: Path) -> None:
    """Make this archive the image's current one; older ones are only waste of space."""
    draft = target / "current.new"
    draft.unlink(missing_ok=True)
    draft.symlink_to(archive.name)
    draft.rename(target / "current")
    for old in target.glob("*.tar"):
        if old != archive:
            old.unlink()
