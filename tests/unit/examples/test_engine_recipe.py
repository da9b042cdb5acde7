from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
ENGINE = ROOT / "examples" / "engine"
SETTINGS = json.loads((ENGINE / "settings.json").read_text())


def environment(recipe: str) -> dict[str, str]:
    text = (ENGINE / recipe).read_text().replace("\\\n", " ")
    words = shlex.split(re.search(r"^ENV (.*)$", text, re.MULTILINE)[1])
    return dict(word.split("=", 1) for word in words)


@pytest.mark.parametrize("recipe", ["Dockerfile", "Dockerfile.runtime"])
def test_an_image_carries_the_environment_that_the_engine_needs(recipe):
    assert environment(recipe) == SETTINGS["env"] | {"HOME": "/tmp"}


def test_the_whole_image_starts_with_the_flags_of_the_settings():
    text = (ENGINE / "Dockerfile").read_text().replace("\\\n", " ")
    command = json.loads(re.search(r"^CMD (.*)$", text, re.MULTILINE)[1])
    assert command == ["--model", "/opt/engine/model", *SETTINGS["args"]]


def dtype(arguments: list[str]) -> str:
    return arguments[arguments.index("--dtype") + 1]


def test_wherever_the_engine_runs_on_a_cpu_it_computes_in_float32():
    # In bfloat16 CPUs of different kinds give different words.
    values = yaml.safe_load((ROOT / "charts/agenttype/values-cpu.yaml").read_text())
    converter = (ENGINE / "convert.py").read_text()
    training = (ROOT / "examples/adapters/train.py").read_text()
    assert dtype(SETTINGS["args"]) == "float32"
    assert dtype(values["backend"]["args"]) == "float32"
    assert set(re.findall(r"torch\.(b?float\d+)", converter)) == {"float32"}
    assert "\nDTYPE = torch.float32\n" in training


def test_an_engine_that_is_not_prepared_is_told_with_the_command_that_makes_it(tmp_path):
    found = subprocess.run(
        [sys.executable, str(ENGINE / "prepare.py"), "--check"],
        env={"XDG_CACHE_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 1
    assert "run: python3" in found.stderr
    assert "prepare.py" in found.stderr
    assert list(tmp_path.iterdir()) == []
