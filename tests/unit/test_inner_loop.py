"""The inner loop's files, read by real parsers: every path and target in them exists.

Tilt itself needs Docker and is run by hand; what a parser and the file system can tell is told here.
"""

import configparser
import json
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import starlark

from examples.demo import install

ROOT = Path(__file__).resolve().parents[2]


def paths(*patterns):
    return [path.relative_to(ROOT) for pattern in patterns for path in ROOT.glob(pattern)]


def package(room):
    [found] = (ROOT / room / "src").glob("agenttype_*/__init__.py")
    return found.parent.name


def copies(dockerfile):
    """What a Dockerfile copies from its context, with ROOM filled in."""
    text = (ROOT / dockerfile).read_text().replace("\\\n", " ").replace("${ROOM}", "sidecar")
    return [
        source
        for line in text.splitlines()
        if line.startswith("COPY ") and "--from=" not in line
        for source in line.split()[1:-1]
        if not source.startswith("--")
    ]


PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
WORKSPACE_ROOMS = sorted(
    str(path) for member in PYPROJECT["tool"]["uv"]["workspace"]["members"] for path in paths(member)
)


class Tilt:
    """Takes the Tiltfile's calls down, as Tilt would run them."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []

    def run(self) -> "Tilt":
        module = starlark.Module()
        module["TRIGGER_MODE_MANUAL"] = 1
        names = ("allow_k8s_contexts", "local_resource", "docker_build", "sync", "k8s_yaml", "helm", "k8s_resource")
        for name in names:
            module.add_callable(name, self._taker(name))
        text = (ROOT / "Tiltfile").read_text()
        # Tilt's dialect allows loops at the top; the parser here wants them in a function.
        body = "".join(f"    {line}\n" if line else "\n" for line in text.splitlines())
        wrapped = f"def tiltfile():\n{body}\ntiltfile()\n"
        dialect = starlark.Dialect.extended()
        starlark.eval(module, starlark.parse("Tiltfile", wrapped, dialect), starlark.Globals.standard())
        return self

    def of(self, name: str) -> list[tuple[tuple[Any, ...], dict[str, Any]]]:
        return [(arguments, named) for called, arguments, named in self.calls if called == name]

    def _taker(self, name: str) -> Any:
        def take(*arguments: Any, **named: Any) -> str:
            self.calls.append((name, arguments, named))
            return name

        return take


@pytest.fixture(scope="module")
def tilt() -> Tilt:
    return Tilt().run()


def test_only_the_kind_cluster_of_the_setup_script_is_allowed(tilt):
    script = (ROOT / ".devcontainer/setup-kind.sh").read_text()
    name = re.search(r"^name=(\S+)$", script, re.MULTILINE)

    assert name
    assert tilt.of("allow_k8s_contexts") == [((f"kind-{name[1]}",), {})]


def test_every_image_of_the_chart_is_built(tilt):
    values = (ROOT / "charts/agenttype/values.yaml").read_text()
    wanted = set(re.findall(r"^  \w+: (agenttype-\w+)$", values, re.MULTILINE))

    assert {arguments[0] for arguments, _ in tilt.of("docker_build")} == wanted


def test_every_path_of_an_image_exists(tilt):
    builds = [named for _, named in tilt.of("docker_build")]
    paths = [path for named in builds for path in (named["dockerfile"], *named["only"])]

    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_every_synced_folder_exists_and_lands_on_its_package(tilt):
    synced = [arguments for arguments, _ in tilt.of("sync")]

    assert synced
    assert [(here, there) for here, there in synced if not (ROOT / here).is_dir()] == []
    assert [(here, there) for here, there in synced if Path(here).name != Path(there).name] == []


def test_three_images_are_updated_live(tilt):
    live = [arguments[0] for arguments, named in tilt.of("docker_build") if named.get("live_update")]

    assert live == ["agenttype-operator", "agenttype-sidecar", "agenttype-gate"]


def test_the_chart_and_its_values_exist(tilt):
    [(arguments, named)] = tilt.of("helm")

    assert (ROOT / arguments[0] / "Chart.yaml").is_file()
    assert [path for path in named["values"] if not (ROOT / path).is_file()] == []


def test_every_watched_folder_exists_and_every_make_target_too(tilt):
    resources = [named for _, named in tilt.of("local_resource")]
    makefile = (ROOT / "Makefile").read_text()
    targets = [named["cmd"].removeprefix("make ") for named in resources if named["cmd"].startswith("make ")]

    assert [path for named in resources for path in named["deps"] if not (ROOT / path).exists()] == []
    assert [target for target in targets if f"\n{target}:" not in makefile] == []


def test_the_dev_container_is_valid_and_its_script_runs_in_bash():
    container = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text())

    assert (ROOT / ".devcontainer" / container["build"]["dockerfile"]).is_file()
    assert ".devcontainer/setup-kind.sh" in container["postCreateCommand"]
    subprocess.run(["bash", "-n", ROOT / ".devcontainer/setup-kind.sh"], check=True)


@pytest.mark.parametrize("dockerfile", ["Dockerfile", "wrapper/Dockerfile"])
def test_every_copied_path_of_a_dockerfile_exists(dockerfile):
    copied = copies(dockerfile)

    assert copied
    assert [source for source in copied if not list(ROOT.glob(source.strip("/")))] == []


# Lists of rooms: a new room is in all of them, or a test says where it is missing.


def test_the_workspace_has_every_folder_with_a_distribution():
    assert set(WORKSPACE_ROOMS) == {str(path.parent) for path in paths("*/pyproject.toml", "lib/*/pyproject.toml")}


def test_every_room_is_checked_for_types_and_for_its_dependencies():
    checked = re.search(r"^ROOMS := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    mypy = PYPROJECT["tool"]["mypy"]

    assert checked
    assert set(checked[1].split()) == set(WORKSPACE_ROOMS)
    assert set(mypy["files"]) == {f"{room}/src" for room in WORKSPACE_ROOMS}
    assert set(mypy["mypy_path"].split(":")) == set(mypy["files"])


def test_every_room_is_installed_for_developers():
    named = {tomllib.loads((ROOT / room / "pyproject.toml").read_text())["project"]["name"] for room in WORKSPACE_ROOMS}
    ours = {name.partition("[")[0] for name in PYPROJECT["dependency-groups"]["dev"] if name.startswith("agenttype-")}

    assert ours == named
    assert set(PYPROJECT["tool"]["uv"]["sources"]) == named


def test_every_room_is_known_to_the_import_contracts():
    contracts = configparser.ConfigParser()
    contracts.read(ROOT / ".importlinter")

    assert set(contracts["importlinter"]["root_packages"].split()) == {package(room) for room in WORKSPACE_ROOMS}


def test_the_dockerfile_shows_uv_every_room():
    shown = {source.removesuffix("/pyproject.toml") for source in copies("Dockerfile") if source.endswith(".toml")}

    assert shown - {"pyproject.toml"} == set(WORKSPACE_ROOMS)


def test_tilt_sends_every_room_that_the_dockerfile_copies(tilt):
    for _, named in tilt.of("docker_build"):
        if named["dockerfile"] == "Dockerfile":
            sent = set(named["only"])
            unsent = [
                source
                for source in copies("Dockerfile")
                if not sent & {source, source.split("/")[0], source.strip("/")}
            ]
            assert unsent == []


def test_the_tag_of_the_demo_changes_with_every_room_of_an_image():
    packed = {"wrapper", *install.PROGRAMS}

    assert {"crds", "lib", "Dockerfile", "uv.lock", *packed} == set(install.SOURCES)
    assert packed < set(WORKSPACE_ROOMS)
