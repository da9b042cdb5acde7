"""The two images that no Dockerfile makes: `pause`, and the base that stands in for python:3.11-slim."""

from __future__ import annotations

import hashlib
import platform
import shutil
import sys
import tempfile
from pathlib import Path

from cluster import archives, commands, configs, lock, mounts, packages, paths, progress
from cluster.errors import UnmetError

BASE_IMAGE = "localhost/agenttype-base:1"
_SUITE = "bookworm"  # its python3 is 3.11
_PACKAGES = "python3,ca-certificates,nftables,libnuma1"
_EMPTIED = ("var/cache/apt", "var/lib/apt/lists", "var/log", "usr/share/doc", "usr/share/man", "usr/share/locale")
_FILES = {
    "etc/uv/uv.toml": "system-certs = true\n",  # a host's own authority must be trusted while images are built
}
_LINKS = {"usr/local/bin/python": "/usr/bin/python3", "usr/local/bin/python3": "/usr/bin/python3"}
_CONFIG = {
    "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"],
    "Cmd": ["python3"],
}
_ELF = b"\x7fELF"


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


def base() -> Path:
    """The archive of the base image: Debian's Python 3.11, its CA bundle, nft and the real uv."""
    uv = _uv()
    recipe = [_SUITE, _PACKAGES, _EMPTIED, _FILES, _LINKS, _CONFIG]
    digest = hashlib.sha256(repr(recipe).encode())
    digest.update(uv.read_bytes())
    archive = folder() / f"base-{digest.hexdigest()[:16]}.tar"
    if not archive.exists():
        packages.require_root("building images")
        packages.ensure(packages.IMAGES)
        with lock.alone(folder() / "base.lock", "wait for another build of the base image"):
            if not archive.exists():
                _build(archive, uv)
    return archive


def folder() -> Path:
    """Where image archives are cached."""
    target = paths.cache() / "images"
    target.mkdir(parents=True, exist_ok=True)
    return target


def _build(archive: Path, uv: Path) -> None:
    root = folder() / "base.rootfs"
    _remove(root)  # of a build that was killed
    try:
        with progress.step(f"install Debian {_SUITE} with Python into the base image") as shown:
            command = ["debootstrap", "--variant=minbase", f"--include={_PACKAGES}", _SUITE, str(root)]
            log = folder() / "debootstrap.log"
            progress.run(command, shown=shown, log=log, env=commands.environment() | {"LC_ALL": "C.UTF-8"})
        with progress.step("write the base image"):
            _finish(root, uv)
            archives.write(archive, BASE_IMAGE, root, _CONFIG, platform.machine())
    finally:
        _remove(root)


def _finish(root: Path, uv: Path) -> None:
    for name in _EMPTIED:
        shutil.rmtree(root / name)
        (root / name).mkdir()
    for name, text in _FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    for name, target in _LINKS.items():
        (root / name).symlink_to(target)
    for marker in root.glob("usr/lib/python3.*/EXTERNALLY-MANAGED"):
        marker.unlink()  # a Dockerfile may install into the image's own Python, as it may in python:3.11-slim
    shutil.copy2(uv, root / "usr/local/bin/uv")
    (root / "usr/local/bin/uv").chmod(0o755)


def _remove(root: Path) -> None:
    mounts.unmount_below(root)
    if root.exists():
        shutil.rmtree(root)


def _uv() -> Path:
    """The program uv itself; what a version manager puts on PATH may be a script that works on this host alone."""
    candidates = [commands.find("uv") or "", str(Path(sys.prefix) / "bin/uv")]
    if module := commands.find("python3"):
        asked = "import uv; print(uv.find_uv_bin())"
        if commands.succeeds(module, "-c", asked):
            candidates.append(commands.output(module, "-c", asked).strip())
    for path in map(Path, filter(None, candidates)):
        if path.is_file() and path.open("rb").read(len(_ELF)) == _ELF:
            return path.resolve()
    raise UnmetError("the program uv is not found", "python3 -m pip install uv, or put uv on PATH")
