"""buildah with storage and settings of our own, in the cache: the machine's other images are not touched."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from cluster import commands, mounts, paths, progress

if TYPE_CHECKING:
    from collections.abc import Mapping

_CERTIFICATES = Path("/etc/ssl/certs")


@dataclasses.dataclass(frozen=True)
class Recipe:
    """What buildah needs to know of an image: its full name, and where and how it is made."""

    name: str
    dockerfile: Path
    context: Path
    ignore: Path | None
    arguments: Mapping[str, str]


def arguments(recipe: Recipe) -> list[str]:
    """Pure but for one look: `build` with the host's certificates in sight, and never a pull."""
    certificates = ["--volume", f"{_CERTIFICATES}:{_CERTIFICATES}:ro"] if _CERTIFICATES.is_dir() else []
    return [
        "build", "--isolation=chroot", "--format=docker", "--layers", "--pull-never", f"--tag={recipe.name}",
        *certificates, *(f"--build-arg={name}={value}" for name, value in sorted(recipe.arguments.items())),
        *([f"--ignorefile={recipe.ignore}"] if recipe.ignore else []),
        f"--file={recipe.dockerfile}", str(recipe.context),
    ]  # fmt: skip


class Buildah:
    """Runs buildah; close it, because overlay storage keeps a mount while it is used."""

    def __init__(self) -> None:
        self._root = paths.cache() / "buildah"
        self._root.mkdir(parents=True, exist_ok=True)
        storage, network = self._root / "storage.conf", self._root / "containers.conf"
        storage.write_text(
            f'[storage]\ndriver = "overlay"\ngraphroot = "{self._root}/storage"\nrunroot = "{self._root}/run"\n'
        )
        network.write_text(f'[network]\nnetwork_config_dir = "{self._root}/networks"\n')
        self._environment = commands.environment() | {
            "CONTAINERS_STORAGE_CONF": str(storage),
            "CONTAINERS_CONF": str(network),
        }

    def has(self, image: str) -> bool:
        """Whether the storage holds an image."""
        return commands.succeeds("buildah", "inspect", "--type=image", image, env=self._environment)

    def run(self, shown: progress.Step, log: Path, *words: str) -> None:
        """Run one long command under a step."""
        progress.run(["buildah", *words], shown=shown, log=log, env=self._environment)

    def close(self) -> None:
        """Unmount what buildah left."""
        mounts.unmount_below(self._root)
