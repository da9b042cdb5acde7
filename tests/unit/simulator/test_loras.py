"""Which adapters are served, and which are in memory."""

import pytest
from agenttype_simulator.errors import EngineDead, Refusal
from agenttype_simulator.loras import Adapters
from support.builders.lora_files import an_adapter


def adapters(room: int = 2) -> Adapters:
    return Adapters(("base",), max_rank=8, room=room)


def test_an_adapter_in_memory_outlives_its_files(tmp_path):
    loaded = adapters()
    folder = an_adapter(tmp_path / "green")
    loaded.load("green", str(folder))
    (folder / "adapter_config.json").unlink()
    loaded.recall("green")


def test_an_adapter_that_fell_out_of_memory_needs_its_files(tmp_path):
    loaded = adapters(room=1)
    green, red = an_adapter(tmp_path / "green"), an_adapter(tmp_path / "red")
    loaded.load("green", str(green))
    loaded.load("red", str(red))
    loaded.recall("green")
    (red / "adapter_config.json").unlink()
    with pytest.raises(EngineDead):
        loaded.recall("red")


def test_the_least_used_adapter_falls_out_of_memory(tmp_path):
    loaded = adapters(room=2)
    folders = {name: an_adapter(tmp_path / name) for name in ("a", "b", "c")}
    loaded.load("a", str(folders["a"]))
    loaded.load("b", str(folders["b"]))
    loaded.recall("a")
    loaded.load("c", str(folders["c"]))
    for folder in folders.values():
        (folder / "adapter_config.json").unlink()
    loaded.recall("a")
    loaded.recall("c")
    with pytest.raises(EngineDead):
        loaded.recall("b")


def test_a_refusal_does_not_tell_the_servers_layout():
    with pytest.raises(Refusal) as refusal:
        adapters().load("green", "/home/someone/adapters/green")
    assert refusal.value.message == "Loading lora green failed: No adapter found for <path>"
