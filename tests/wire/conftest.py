"""What many of these tests begin with, and which of them count the lines that their programs run."""

import os
from pathlib import Path

import pytest
from support.programs.nats_servers import nats_server

HERE = Path(__file__).parent
#: Counting makes a program half as slow again, so only these files count: they run what unit tests do not.
COUNTED = {
    "cli/test_run.py",
    "gate/test_adapter_controller.py",
    "gate/test_front_proxy.py",
    "nats/test_auth_callout.py",
    "nats/test_shared_budgets.py",
    "sidecar/test_calls.py",
    "sidecar/test_protocols.py",
    "sidecar/test_tls.py",
    "simulator/test_process.py",
    "tools/test_http.py",
    "tools/test_merged.py",
    "tools/test_policy.py",
    "wrapper/test_harmless.py",
    "wrapper/test_hidden_modules.py",
    "wrapper/test_install_on_volumes.py",
    "wrapper/test_reach.py",
}
COVERAGE = "COVERAGE_PROCESS_START"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    """Hide from the programs of all other files that lines are counted."""
    asked = os.environ.get(COVERAGE)
    # Side by side, tests of other folders pass here too.
    if asked and item.path.is_relative_to(HERE) and str(item.path.relative_to(HERE)) not in COUNTED:
        del os.environ[COVERAGE]
    try:
        return (yield)
    finally:
        if asked:
            os.environ[COVERAGE] = asked


@pytest.fixture
def nats():
    """One NATS server, without anybody who asks who comes."""
    with nats_server() as server:
        yield server
