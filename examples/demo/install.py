"""What the demo installs: images, the chart with a backend on CPU, the tool server, the adapters, the two agents."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from examples.demo.kubectl import Kubectl, run
from examples.demo.places import ROOT, Place
from examples.demo.stages import say

EXAMPLES = ROOT / "examples"
MANIFESTS = EXAMPLES / "demo/manifests"
CHART = ROOT / "charts/agenttype"
PREFIX = "localhost/"

#: Our own images that one Dockerfile builds from the repository's root; the wrapper has one of its own.
PROGRAMS = ("operator", "sidecar", "gate")
#: What our images are built from.
SOURCES = ("uv.lock", "Dockerfile", "crds", "lib", "wrapper", *PROGRAMS)
#: Images that know nothing of us: each folder is a build context of its own.
OTHERS = {
    "green:1": EXAMPLES / "agents/green",
    "red:1": EXAMPLES / "agents/red",
    "norms:1": EXAMPLES / "tools/norms",
    "adapters:1": EXAMPLES / "adapters",
}
#: What counts limits that pods share; in place of the official image, which a machine without Docker cannot pull.
STORE_IMAGE = "nats:2.15.1"


def _tag() -> str:
    """Return the tag of our images: a hash of their sources, so that a change of them rolls the pods."""
    found = hashlib.sha256()
    for name in SOURCES:
        place = ROOT / name
        files = (
            [place]
            if place.is_file()
            else sorted({*place.glob("**/src/**/*.py"), *place.glob("**/pyproject.toml"), *place.glob("Dockerfile")})
        )
        for file in files:
            found.update(file.relative_to(ROOT).as_posix().encode() + b"\0" + file.read_bytes())
    return f"demo-{found.hexdigest()[:12]}"


def platform_images(place: Place) -> str:
    """Build our own images and the store's, and put them on the node; return the tag of ours."""
    tag = _tag()
    for room in PROGRAMS:
        say(f"  image agenttype-{room}")
        place.build(f"{PREFIX}agenttype-{room}:{tag}", ROOT / "Dockerfile", ROOT, ROOM=room)
    say("  image agenttype-wrapper")
    place.build(f"{PREFIX}agenttype-wrapper:{tag}", ROOT / "wrapper/Dockerfile", ROOT)
    say(f"  image {STORE_IMAGE}")
    place.build(f"{PREFIX}{STORE_IMAGE}", ROOT / "cluster/nats/Dockerfile", ROOT / "cluster/nats")
    return tag


def images(place: Place) -> str:
    """Build every image and put it on the node; return the tag of ours."""
    tag = platform_images(place)
    for name, folder in OTHERS.items():
        say(f"  image {name}")
        place.build(f"{PREFIX}{name}", folder / "Dockerfile", folder)
    return tag


def chart(place: Place, kubectl: Kubectl, engine: dict[str, Any], tag: str) -> None:
    """Install or upgrade the chart with the backend that the demo shares."""
    values = {
        "backend": {
            "namespace": "demo",
            **engine,
            "env": _environment(),
            "lora": {"enabled": True, "maxAdapters": 4, "maxRank": 8, "volume": {"emptyDir": {}}},
            "initContainers": [_adapters()],
        },
    }
    platform(place, kubectl, tag, values, CHART / "values-cpu.yaml")


def platform(place: Place, kubectl: Kubectl, tag: str, values: dict[str, Any], *files: Path) -> None:
    """Install or upgrade the chart with our images and these values, which win over those of files."""
    ours = {
        "images": {"prefix": PREFIX, "tag": tag, "pullPolicy": "IfNotPresent"},
        # The embedded cluster has no storage classes; and what the demo spends need not outlive it.
        "nats": {"image": f"{PREFIX}{STORE_IMAGE}", "storage": {"size": ""}},
    }
    run(
        place.helm(),
        "--kubeconfig",
        kubectl.kubeconfig,
        *("upgrade", "--install", "agenttype", CHART, "--namespace", "agenttype-system", "--create-namespace"),
        *(part for file in files for part in ("--values", file)),
        *("--values", "-", "--wait", "--timeout", "5m"),
        stdin=json.dumps({**ours, **values}),
    )


def _environment() -> list[dict[str, str]]:
    """What the CPU build of vLLM needs; examples/engine says why."""
    settings = json.loads((EXAMPLES / "engine/settings.json").read_text())
    return [{"name": name, "value": value} for name, value in sorted(settings["env"].items())]


def _adapters() -> dict[str, Any]:
    """The init container that puts the trained adapters into the backend's adapter volume."""
    return {
        "name": "adapters",
        "image": f"{PREFIX}adapters:1",
        "args": ["/target"],
        "volumeMounts": [{"name": "adapters", "mountPath": "/target"}],
        "securityContext": {
            "runAsNonRoot": True,
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }


def adapters() -> Iterator[dict[str, Any]]:
    """Yield the LoraAdapter of each trained adapter, under the digest that was committed with it."""
    digests = json.loads((EXAMPLES / "adapters/digests.json").read_text())
    for name, digest in sorted(digests.items()):
        yield {
            "apiVersion": "agenttype.dev/v1alpha1",
            "kind": "LoraAdapter",
            "metadata": {"name": name, "namespace": "demo"},
            "spec": {"backendRef": {"name": "shared"}, "source": {"path": name, "digest": digest}},
        }


def everything(place: Place, kubectl: Kubectl, engine: dict[str, Any], tag: str) -> None:
    """Install the platform, then what a user would apply."""
    kubectl.apply(*_files("namespace.yaml"))
    chart(place, kubectl, engine, tag)
    kubectl.apply(*_files("norms.yaml"))
    for adapter in adapters():
        kubectl("apply", "--server-side", "--filename=-", stdin=json.dumps(adapter))
    kubectl.apply(MANIFESTS / "agents.yaml")


def _files(*names: str) -> list[Path]:
    return [EXAMPLES / "kubernetes" / name for name in names]
