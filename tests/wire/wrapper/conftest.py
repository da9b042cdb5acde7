import pytest
from support import interpreters
from support.programs import wrapped_agents

VERSIONS = ("3.8", "3.11", "3.13")  # the oldest that is supported, the one of our images, a new one


@pytest.fixture(scope="session", params=VERSIONS)
def installed(request, tmp_path_factory):
    """A volume per supported Python, for tests that only read it."""
    root = tmp_path_factory.mktemp("volume")
    return wrapped_agents.Volume(root, interpreters.find(request.param)).install()


@pytest.fixture
def damaged(installed, tmp_path):
    """A volume of the test's own, to damage."""
    return installed.copy(tmp_path / "volume")


@pytest.fixture
def volume(tmp_path):
    """A volume of the test's own, under the Python of the tests."""
    return wrapped_agents.Volume(tmp_path / "volume").install()
