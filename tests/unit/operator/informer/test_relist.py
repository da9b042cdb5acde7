"""What the relister does when events were lost; the cluster is a table of objects."""

import pytest
from agenttype_operator.informer.cache import Cache
from agenttype_operator.informer.informer import Informer
from agenttype_operator.informer.relist import Relister
from agenttype_operator.kube import kinds
from agenttype_operator.kube.client import Listing
from agenttype_operator.kube.kinds import Key
from agenttype_operator.metrics import Metrics
from support.kinds import agent_manifest

AGENT = Key("AgentType", "default", "green")


class Table:
    """Lists what it holds, and counts full listings."""

    def __init__(self):
        self.held = []
        self.version = 1
        self.listed = 0

    async def list(self, kind, namespace):
        self.listed += 1
        return await self.list_metadata(kind, namespace)

    async def list_metadata(self, kind, _):
        return Listing(self.held if kind is kinds.AGENT_TYPE else [], self.version)

    def hold(self, version):
        manifest = agent_manifest()
        metadata = {**manifest["metadata"], "uid": "u", "resourceVersion": str(version), "generation": version}
        self.held, self.version = [{**manifest, "metadata": metadata}], version


@pytest.fixture
def table():
    return Table()


@pytest.fixture
def informer():
    return Informer(Cache(), Key("ClusterRoleBinding", "", "gates"))


@pytest.fixture
def relister(table, informer, monkeypatch):
    monkeypatch.setattr("agenttype_operator.informer.relist._GRACE", 0)
    return Relister(table, informer, (), Metrics())


async def once(relister):
    for kind in kinds.WATCHED:
        await relister.compare(kind)


async def test_a_lost_deletion_is_found(relister, table, informer):
    table.hold(5)
    await relister.list_all()
    table.held, table.version = [], 9
    told = []
    informer.add_event_handler(told.append)

    await once(relister)

    assert informer.cache.get(AGENT) is None


async def test_a_lost_change_is_found_and_told(relister, table, informer):
    table.hold(5)
    await relister.list_all()
    table.hold(7)
    told = []
    informer.add_event_handler(told.append)

    await once(relister)

    assert told == [AGENT]


async def test_a_cache_that_is_right_costs_no_full_listing(relister, table):
    table.hold(5)
    await relister.list_all()
    before = table.listed

    await once(relister)

    assert table.listed == before
