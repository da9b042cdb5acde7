"""What a sidecar may do in NATS."""

import pytest
from agenttype_bus import permissions
from agenttype_bus.errors import InvalidName


@pytest.mark.parametrize(
    "name", [("team-a", "a.b"), ("team-a", "*"), (">", "green"), ("team-a", "gr een"), ("team-a", ""), ("", "green")]
)
def test_a_name_that_is_more_than_one_part_of_a_subject_gets_no_permissions(name):
    with pytest.raises(InvalidName):
        permissions.of_sidecar(*name)


def test_no_right_reaches_beyond_the_agent_and_its_namespace_s_budgets_but_looking_within_the_namespace():
    granted = permissions.of_sidecar("team-a", "green")
    looks = [subject for subject in granted.publish if subject.endswith("_team-a")]

    assert granted.subscribe == ("_INBOX_team-a_green.>",)
    assert {subject.rsplit("_", 2)[0] for subject in looks} == {"$JS.API.DIRECT.GET.AT_LEASE"}
    assert all(
        ".team-a.agent.green.>" in subject or ".team-a.budget.>" in subject
        for subject in granted.publish
        if subject not in looks
    )
