"""A customer's agent must start even if the wrapper is broken, and must look as if it had none."""

import pytest
from support.programs import wrapped_agents

BROKEN = {
    "exception": ("raise RuntimeError('broken')", "RuntimeError"),
    "missing import": ("import nothing_of_this_name", "ModuleNotFoundError"),
    "syntax": ("def", "SyntaxError"),
    "exit": ("raise SystemExit(3)", "SystemExit"),
    "interrupt": ("raise KeyboardInterrupt", "KeyboardInterrupt"),
    "half written": ("", "AttributeError"),
}
USES_A_HOOKED_LIBRARY = "import http.client; http.client.HTTPConnection('127.0.0.1'); " + wrapped_agents.SAYS_STATE

broken = pytest.mark.parametrize(("source", "name"), BROKEN.values(), ids=BROKEN.keys())


@broken
def test_an_agent_starts_beside_a_wrapper_that_cannot(damaged, source, name):
    damaged.damage("_agenttype_wrapper/start.py", source)
    ended = damaged.run("-c", wrapped_agents.SAYS_STATE)
    assert ended == wrapped_agents.Ended(0, f"failed;{name}\n", "")


@broken
def test_a_library_is_imported_although_its_hook_is_broken(damaged, source, name):
    damaged.damage("_agenttype_wrapper/hooks/http_client.py", source)
    ended = damaged.run("-c", USES_A_HOOKED_LIBRARY)
    assert ended == wrapped_agents.Ended(0, f"degraded;http_client:{name}\n", "")


@broken
def test_a_library_is_imported_although_no_hook_can_be_reached(damaged, source, name):
    damaged.damage("_agenttype_wrapper/hooked.py", source)
    ended = damaged.run("-c", USES_A_HOOKED_LIBRARY)
    assert ended == wrapped_agents.Ended(0, f"degraded;hooked:{name}\n", "")


def test_a_file_that_the_agent_may_not_read_does_not_stop_it(damaged):
    place = damaged.path / "_agenttype_wrapper" / "start.py"
    damaged.damage("_agenttype_wrapper/start.py", "")
    place.chmod(0)
    ended = damaged.run("-c", wrapped_agents.SAYS_STATE, before=wrapped_agents.as_unknown_user())
    assert ended == wrapped_agents.Ended(0, "failed;PermissionError\n", "")


def test_an_address_that_is_no_url_does_not_stop_the_agent(installed):
    ended = installed.run("-c", USES_A_HOOKED_LIBRARY, LLM_SIDECAR_URL="not an address")
    assert ended == wrapped_agents.Ended(0, "degraded;http_client:ValueError\n", "")


def test_a_missing_volume_does_not_stop_the_agent(tmp_path):
    ended = wrapped_agents.Volume(tmp_path).run("-c", wrapped_agents.SAYS_STATE)
    assert ended == wrapped_agents.Ended(0, "None\n", "")


def test_debugging_shows_why_the_wrapper_did_not_start(damaged):
    damaged.damage("_agenttype_wrapper/start.py", "raise RuntimeError('the reason')")
    ended = damaged.run("-c", "pass", AGENTTYPE_DEBUG="1")
    assert (ended.status, ended.stdout) == (0, "")
    assert "RuntimeError: the reason" in ended.stderr


def test_debugging_shows_why_a_hook_failed(damaged):
    damaged.damage("_agenttype_wrapper/hooks/http_client.py", "raise RuntimeError('the reason')")
    ended = damaged.run("-c", "import http.client", AGENTTYPE_DEBUG="1")
    assert "RuntimeError: the reason" in ended.stderr


def test_a_child_tells_that_the_wrapper_failed_in_its_parent(installed):
    ended = installed.run("-c", wrapped_agents.SAYS_STATE, AGENTTYPE_WRAPPER_STATE="failed;OSError\r\nx: y")
    assert ended.stdout == "degraded;parent:OSErrorxy\n"


def test_the_kill_switch_keeps_the_wrapper_out(installed):
    says_finders = "import sys; print([f for f in sys.meta_path if 'agenttype' in type(f).__module__]); "
    ended = installed.run("-c", says_finders + wrapped_agents.SAYS_STATE, AGENTTYPE_WRAPPER="off")
    assert ended == wrapped_agents.Ended(0, "[]\noff\n", "")


def test_without_a_sidecar_the_wrapper_idles(installed):
    ended = installed.run("-c", wrapped_agents.SAYS_STATE, LLM_SIDECAR_URL="")
    assert ended == wrapped_agents.Ended(0, "idle\n", "")
