import sys

import pytest
from support import interpreters
from support.programs import wrapped_agents

VERSIONS = ("3.8", "3.11", "3.13")  # the oldest that is supported, the one of our images, a new one
OWN = "own"  # the one of the tests, in a virtual environment, where the lines that are run can be counted


@pytest.fixture(scope="session", params=[*VERSIONS, OWN])
def installed(request, tmp_path_factory):
    """A volume per supported Python, for tests that only read it."""
    python = sys.executable if request.param == OWN else interpreters.find(request.param)
    return wrapped_agents.Volume(tmp_path_factory.mktemp("volume"), python).install()


@pytest.fixture
def damaged(installed, tmp_path):
    """A volume of the test's own, to damage."""
    return installed.copy(tmp_path / "volume")


@pytest.fixture
def volume(tmp_path):
    """A volume of the test's own, under the Python of the tests."""
    return wrapped_agents.Volume(tmp_path / "volume").install()
