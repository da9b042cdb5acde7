"""The inner loop's files, read by real parsers: every path and target in them exists.

Tilt itself needs Docker and is run by hand; what a parser and the file system can tell is told here.
"""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import starlark

ROOT = Path(__file__).resolve().parents[2]


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


@pytest.mark.parametrize("room", ["operator", "sidecar", "wrapper", "gate"])
def test_every_copied_path_of_a_dockerfile_exists(room):
    text = (ROOT / room / "Dockerfile").read_text().replace("\\\n", " ")
    copied = [
        source
        for line in text.splitlines()
        if line.startswith("COPY ") and "--from=" not in line
        for source in line.split()[1:-1]
        if not source.startswith("--")
    ]

    assert copied
    assert [source for source in copied if not list(ROOT.glob(source.strip("/")))] == []
