from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

ADAPTERS = Path(__file__).resolve().parents[3] / "examples" / "adapters"


def run(script: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ADAPTERS / script), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_committed_examples_are_what_the_generator_writes():
    assert run("data.py", "--check").returncode == 0


def test_the_committed_adapters_have_the_recorded_digests():
    assert run("digests.py").returncode == 0


@pytest.mark.parametrize("name", ["green", "red"])
def test_a_digest_is_the_hash_of_a_sorted_list_of_hashes(name):
    config = hashlib.sha256((ADAPTERS / name / "adapter_config.json").read_bytes()).hexdigest()
    weights = hashlib.sha256((ADAPTERS / name / "adapter_model.safetensors").read_bytes()).hexdigest()
    listing = f"{config}  adapter_config.json\n{weights}  adapter_model.safetensors\n"
    recorded = json.loads((ADAPTERS / "digests.json").read_text())[name]
    assert recorded == "sha256:" + hashlib.sha256(listing.encode()).hexdigest()


@pytest.mark.parametrize("name", ["green", "red"])
def test_an_adapter_is_small_and_names_no_place_of_its_base_model(name):
    config = json.loads((ADAPTERS / name / "adapter_config.json").read_text())
    assert (ADAPTERS / name / "adapter_model.safetensors").stat().st_size < 1_000_000
    assert config["base_model_name_or_path"] == "smollm2-135m-instruct"
    assert config["r"] == 8
    assert sorted(config["target_modules"]) == ["q_proj", "v_proj"]


def test_adapters_are_copied_whole_and_a_second_copy_changes_nothing(tmp_path):
    first, second = run("copy_to.py", tmp_path), run("copy_to.py", tmp_path)
    assert first.returncode == second.returncode == 0
    assert first.stdout.count("copied") == 2
    assert second.stdout.count("already there") == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["green", "red"]


def test_a_damaged_copy_is_replaced(tmp_path):
    run("copy_to.py", tmp_path)
    (tmp_path / "green" / "adapter_config.json").write_text("{}")
    run("copy_to.py", tmp_path)
    assert (tmp_path / "green" / "adapter_config.json").read_bytes() == (
        ADAPTERS / "green" / "adapter_config.json"
    ).read_bytes()
