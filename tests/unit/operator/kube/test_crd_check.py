"""Outdated CustomResourceDefinitions are found and told; the API server is a table of definitions."""

import copy

import pytest
from agenttype_api import definitions
from agenttype_operator.kube import errors
from agenttype_operator.kube.crd_check import COMMAND, CrdCheck


class Table:
    """Returns the definitions that it holds, or raises."""

    def __init__(self):
        self.held = {found["metadata"]["name"]: found for found in definitions.custom_resource_definitions()}
        self.raises = None

    async def get(self, _, namespace, name):
        assert namespace == ""
        if self.raises:
            raise self.raises
        return self.held.get(name)

    def lose_a_field(self):
        """Hold the definition of AgentType as it was before spec.description; return the one of today."""
        today = self.held["agenttypes.agenttype.dev"]
        older = copy.deepcopy(today)
        del older["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["description"]
        self.held["agenttypes.agenttype.dev"] = older
        return today


@pytest.fixture
def table():
    return Table()


@pytest.fixture
def crds(table):
    return CrdCheck(table)


async def test_current_definitions_say_nothing(crds):
    assert await crds.check() == []
    assert crds.outdated("AgentType") == ""
    assert len(crds) == 0


async def test_an_outdated_definition_is_told_with_the_field_and_the_command(crds, table):
    table.lose_a_field()

    assert await crds.check() == ["AgentType"]
    assert "spec.description" in crds.outdated("AgentType")
    assert COMMAND in crds.outdated("AgentType")
    assert crds.outdated("ModelBackend") == ""
    assert len(crds) == 1


async def test_a_definition_that_became_current_is_told_once(crds, table):
    today = table.lose_a_field()
    await crds.check()
    table.held["agenttypes.agenttype.dev"] = today

    assert await crds.check() == ["AgentType"]
    assert await crds.check() == []
    assert crds.outdated("AgentType") == ""


async def test_a_definition_that_is_not_there_is_told(crds, table):
    del table.held["agentbudgets.agenttype.dev"]

    assert await crds.check() == ["AgentBudget"]


@pytest.mark.parametrize("error", [errors.Refused("no right"), errors.Unavailable("silent")], ids=["403", "503"])
async def test_a_definition_that_cannot_be_read_stays_as_it_was(crds, table, error):
    table.lose_a_field()
    await crds.check()
    table.raises = error

    assert await crds.check() == []
    assert crds.outdated("AgentType")
