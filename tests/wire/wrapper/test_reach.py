"""Which Python processes the wrapper reaches, and what it leaves as it was in them."""

import subprocess
import sys

import pytest
from support.programs import wrapped_agents

CHILD_STATE = """
import multiprocessing, os

def child():
    print(os.environ.get("AGENTTYPE_WRAPPER_STATE"), flush=True)

if __name__ == "__main__":
    process = multiprocessing.get_context("{method}").Process(target=child)
    process.start()
    process.join()
"""
OTHER_INSTRUMENTATION = """
import importlib.util, sys

class Finder:
    asked = False
    def find_spec(self, name, path=None, target=None):
        if name == "http.client" and not self.asked:
            self.asked = True
            return importlib.util.find_spec(name)

sys.meta_path.insert({position}, Finder())
import http.client
original = http.client.HTTPConnection.endheaders
print(hasattr(original, "__agenttype__"), hasattr(original.__wrapped__, "__agenttype__"))
"""
AT_START = {
    "_agenttype_wrapper",
    "_agenttype_wrapper.environment",
    "_agenttype_wrapper.start",
    "sitecustomize",
}


@pytest.mark.parametrize("option", ["-s", "-B", "-O", "-u", "-Werror"])
def test_the_wrapper_is_active_with_the_option(installed, option):
    assert installed.run(option, "-c", wrapped_agents.SAYS_STATE).stdout == "active\n"


@pytest.mark.parametrize("option", ["-E", "-I", "-S"])
def test_python_itself_keeps_the_wrapper_out_with_the_option(installed, option):
    assert installed.run(option, "-c", wrapped_agents.SAYS_STATE).stdout == "None\n"


def test_the_wrapper_is_active_in_a_virtual_environment(volume, tmp_path):
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    python = str(tmp_path / "venv" / "bin" / "python")
    ended = wrapped_agents.run([python, "-c", wrapped_agents.SAYS_STATE], volume.environment())
    assert ended == wrapped_agents.Ended(0, "active\n", "")


def test_the_wrapper_is_active_for_a_user_without_a_name(installed):
    ended = installed.run("-c", wrapped_agents.SAYS_STATE, before=wrapped_agents.as_unknown_user())
    assert ended == wrapped_agents.Ended(0, "active\n", "")


def test_the_wrapper_is_active_on_a_read_only_file_system(installed):
    before = wrapped_agents.with_mount(f"--bind -o ro {installed.root}", installed.root)
    ended = installed.run("-c", wrapped_agents.SAYS_STATE, before=before)
    assert ended == wrapped_agents.Ended(0, "active\n", "")


def test_an_environment_of_nothing_but_the_path_is_enough(installed):
    ended = wrapped_agents.run([installed.python, "-c", wrapped_agents.SAYS_STATE], {"PYTHONPATH": str(installed.path)})
    assert ended == wrapped_agents.Ended(0, "idle\n", "")


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_children_are_reached(installed, tmp_path, method):
    script = tmp_path / "agent.py"
    script.write_text(CHILD_STATE.format(method=method))
    assert installed.run(str(script)) == wrapped_agents.Ended(0, "active\n", "")


def test_the_start_imports_nothing_but_the_wrapper(installed):
    says_modules = "import sys; print(*sorted(sys.modules))"
    bare = wrapped_agents.run([installed.python, "-c", says_modules], {}).stdout.split()
    wrapped = installed.run("-c", says_modules).stdout.split()
    assert set(wrapped) - set(bare) == AT_START


def test_no_bytecode_is_written_beside_the_wrapper(installed):
    before = sorted(installed.path.rglob("*"))
    installed.run("-c", "import http.client")
    assert sorted(installed.path.rglob("*")) == before


def test_a_hooked_module_keeps_its_loader_and_its_source(installed):
    asks = (
        "import http.client, inspect, importlib.util as u; "
        "print(type(http.client.__loader__).__name__, type(http.client.__spec__.loader).__name__,"
        " 'class HTTPConnection' in inspect.getsource(http.client), u.find_spec('http.client') is http.client.__spec__)"
    )
    assert installed.run("-c", asks).stdout == "SourceFileLoader SourceFileLoader True True\n"


def test_a_hooked_method_keeps_its_name_and_signature(installed):
    asks = "import http.client, inspect; print(inspect.signature(http.client.HTTPConnection.endheaders))"
    bare = wrapped_agents.run([installed.python, "-c", asks], {})
    assert installed.run("-c", asks) == bare


def test_a_module_that_is_reloaded_is_hooked_once(installed):
    asks = (
        "import importlib, http.client; importlib.reload(http.client); original = http.client.HTTPConnection.endheaders"
        "; print(hasattr(original, '__agenttype__'), hasattr(original.__wrapped__, '__agenttype__'))"
    )
    assert installed.run("-c", asks).stdout == "True False\n"


@pytest.mark.parametrize("position", [0, 1], ids=["before ours", "after ours"])
def test_a_module_is_hooked_once_beside_other_instrumentation(installed, position):
    ended = installed.run("-c", OTHER_INSTRUMENTATION.format(position=position))
    assert ended == wrapped_agents.Ended(0, "True False\n", "")
