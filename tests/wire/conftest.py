"""What many of these tests begin with."""

import pytest
from support.programs.nats_servers import nats_server


@pytest.fixture
def nats():
    """One NATS server, without anybody who asks who comes."""
    with nats_server() as server:
        yield server
