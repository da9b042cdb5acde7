"""Build the pinned binaries from Go modules into the cache, only what is missing."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

from cluster import lock, paths, progress
from cluster.errors import UnmetError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_KUBERNETES = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "kubectl")
CONTROL_PLANE = ("etcd", "kube-apiserver", "kube-controller-manager")
_FIRST_BUILD_BYTES = 10 * 2**30


@dataclasses.dataclass(frozen=True)
class Binary:
    """One program: the module folder that pins it, its package, its version stamps."""

    name: str
    module: Path
    package: str
    stamps: tuple[str, ...] = ()


def pinned(module: Path, dependency: str) -> str:
    """The version that a module folder's go.mod requires of a dependency, such as v1.35.4."""
    found = re.search(
        rf"^\s*(?:require )?{re.escape(dependency)} (v\S+)", (module / "go.mod").read_text(), re.MULTILINE
    )
    if not found:
        raise UnmetError(f"{module}/go.mod does not pin {dependency}", "restore go.mod from version control")
    return found[1]


def catalogue(source: Path = paths.SOURCE) -> tuple[Binary, ...]:
    """Everything that can be built, in building order."""
    kubernetes = pinned(source, "k8s.io/kubernetes")
    major, minor = kubernetes.removeprefix("v").split(".")[:2]
    helm, coredns = source / "tools" / "helm", source / "tools" / "coredns"
    version = "k8s.io/component-base/version"
    stamps = (f"{version}.gitVersion={kubernetes}", f"{version}.gitMajor={major}", f"{version}.gitMinor={minor}")
    capabilities = "helm.sh/helm/v3/pkg/chartutil"
    return (
        Binary("etcd", source, "go.etcd.io/etcd/server/v3"),
        *(Binary(name, source, f"k8s.io/kubernetes/cmd/{name}", stamps) for name in _KUBERNETES),
        Binary("pause", source, "./pause"),
        Binary("coredns", coredns, "github.com/coredns/coredns"),
        Binary(
            "helm",
            helm,
            "helm.sh/helm/v3/cmd/helm",
            (
                f"helm.sh/helm/v3/internal/version.version={pinned(helm, 'helm.sh/helm/v3')}",
                f"{capabilities}.k8sVersionMajor={major}",
                f"{capabilities}.k8sVersionMinor={minor}",
            ),
        ),
    )


def key(source: Path = paths.SOURCE) -> str:
    """The name of a set of binaries: what their go.mod and go.sum files say, and the code built here."""
    digest = hashlib.sha256()
    for file in sorted(p for p in source.rglob("*") if p.name in {"go.mod", "go.sum"} or p.suffix == ".go"):
        digest.update(f"{file.relative_to(source)}\0".encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def folder() -> Path:
    """Where the binaries of the present pins lie, built or not."""
    return paths.cache() / key() / "bin"


def check(names: Iterable[str] | None = None) -> None:
    """Fail, with the command that builds it, when something is not built."""
    if missing := [binary.name for binary in _wanted(names) if not (folder() / binary.name).exists()]:
        raise UnmetError(f"not built: {', '.join(missing)}", "python3 cluster build (minutes, once)")


def build(names: Iterable[str] | None = None) -> Path:
    """Build what is missing, all by default; return the folder that holds the binaries."""
    wanted, target = _wanted(names), folder()
    if all((target / binary.name).exists() for binary in wanted):
        return target
    _check_go()
    target.mkdir(parents=True, exist_ok=True)
    if not any(target.iterdir()):
        _check_disk(target)
    with lock.alone(target.parent / "build.lock", "wait for another build of the same binaries"):
        missing = [binary for binary in wanted if not (target / binary.name).exists()]
        for position, binary in enumerate(missing, 1):
            with progress.step(f"build {binary.name} ({position} of {len(missing)})") as shown:
                _build(binary, target, shown)
    return target


def _wanted(names: Iterable[str] | None) -> tuple[Binary, ...]:
    chosen = None if names is None else set(names)
    return tuple(binary for binary in catalogue() if chosen is None or binary.name in chosen)


def _build(binary: Binary, target: Path, shown: progress.Step) -> None:
    fresh = target.parent / f"{binary.name}.building"
    flags = " ".join(["-s", "-w", *(f"-X {stamp}" for stamp in binary.stamps)])
    progress.run(
        ["go", "build", "-mod=readonly", "-buildvcs=false", "-ldflags", flags, "-o", str(fresh), binary.package],
        shown=shown,
        log=target.parent / "log" / f"{binary.name}.log",
        cwd=binary.module,
        env={**os.environ, "CGO_ENABLED": "0"},
    )
    fresh.rename(target / binary.name)  # whole or absent: an interrupted build leaves no half binary


def _check_go() -> None:
    required = re.search(r"^go (\S+)", (paths.SOURCE / "go.mod").read_text(), re.MULTILINE)
    wanted = required[1] if required else "1.26"
    fix = f"install Go {wanted} or newer and put it on PATH"
    if not shutil.which("go"):
        raise UnmetError("the command `go` is not on PATH", fix)
    answer = subprocess.run(["go", "env", "GOVERSION"], cwd=paths.SOURCE, capture_output=True, text=True, check=False)
    found = answer.stdout.strip().removeprefix("go")
    if answer.returncode or _numbers(found) < _numbers(wanted):
        reason = answer.stderr.strip().splitlines()[-1:] or [f"Go {found} is older than {wanted}"]
        raise UnmetError(f"this Go cannot build the cluster: {reason[0]}", fix)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:2])


def _check_disk(target: Path) -> None:
    free = shutil.disk_usage(target).free
    if free < _FIRST_BUILD_BYTES:
        raise UnmetError(
            f"only {free / 2**30:.1f} GiB free below {target}; the first build needs 10",
            "free space, or point XDG_CACHE_HOME and GOCACHE at a larger disk",
        )
