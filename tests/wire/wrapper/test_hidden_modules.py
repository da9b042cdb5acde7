"""The sitecustomize that ours hides runs as if ours were not there."""

import os
import shutil
import subprocess
import sys

import pytest
from support.programs import wrapped_agents

USES_THEIRS = "import sitecustomize; print(sitecustomize.theirs, sitecustomize.__name__); " + wrapped_agents.SAYS_STATE


@pytest.fixture
def theirs(tmp_path):
    place = tmp_path / "theirs"
    place.mkdir()
    (place / "sitecustomize.py").write_text("theirs = 'ran'\n")
    return place


def test_the_users_own_module_runs_and_is_the_one_that_the_agent_sees(installed, theirs):
    ended = installed.run("-c", USES_THEIRS, PYTHONPATH=str(theirs))
    assert ended == wrapped_agents.Ended(0, "ran sitecustomize\nactive\n", "")


def test_the_users_own_module_runs_when_the_wrapper_is_off(installed, theirs):
    ended = installed.run("-c", USES_THEIRS, PYTHONPATH=str(theirs), AGENTTYPE_WRAPPER="off")
    assert ended == wrapped_agents.Ended(0, "ran sitecustomize\noff\n", "")


def test_the_users_own_module_runs_when_the_wrapper_is_broken(damaged, theirs):
    damaged.damage("_agenttype_wrapper/start.py", "raise SystemExit")
    ended = damaged.run("-c", USES_THEIRS, PYTHONPATH=str(theirs))
    assert ended == wrapped_agents.Ended(0, "ran sitecustomize\nfailed;SystemExit\n", "")


def test_the_module_of_a_virtual_environment_runs(volume, tmp_path):
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    [packages] = (tmp_path / "venv" / "lib").glob("python*/site-packages")
    (packages / "sitecustomize.py").write_text("theirs = 'ran'\n")
    python = str(tmp_path / "venv" / "bin" / "python")
    ended = wrapped_agents.run([python, "-c", USES_THEIRS], volume.environment())
    assert ended == wrapped_agents.Ended(0, "ran sitecustomize\nactive\n", "")


@pytest.mark.parametrize("source", ["1 / 0", "import nothing_of_this_name", "raise SystemExit(4)"])
def test_an_error_of_the_users_own_module_shows_as_it_would_without_us(installed, theirs, source):
    (theirs / "sitecustomize.py").write_text(source)
    bare = wrapped_agents.run([installed.python, "-c", "print('agent')"], {"PYTHONPATH": str(theirs)})
    ended = installed.run("-c", "print('agent')", PYTHONPATH=str(theirs))
    assert (ended.status, ended.stdout) == (bare.status, bare.stdout)
    assert ended.stderr.splitlines()[:2] == bare.stderr.splitlines()[:2]


def test_two_copies_of_the_wrapper_start_it_once_and_run_the_users_module(installed, theirs, tmp_path):
    second = shutil.copytree(installed.path, tmp_path / "second")
    counts = "import sys; print(sum('HookedImports' in type(f).__name__ for f in sys.meta_path)); "
    ended = installed.run("-c", counts + USES_THEIRS, PYTHONPATH=f"{second}{os.pathsep}{theirs}")
    assert ended == wrapped_agents.Ended(0, "1\nran sitecustomize\nactive\n", "")


@pytest.mark.parametrize("installed", ["3.8", "3.11", "3.13"], indirect=True)  # no virtual environment runs it
def test_usercustomize_still_runs(installed, theirs):
    (theirs / "usercustomize.py").write_text("import builtins; builtins.user = 'ran'\n")
    ended = installed.run("-c", "print(user)", PYTHONPATH=str(theirs), HOME=str(theirs))
    assert ended == wrapped_agents.Ended(0, "ran\n", "")
