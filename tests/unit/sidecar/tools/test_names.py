"""Names of tools in the list of all servers."""

import re

from agenttype_sidecar.tools.mcp_aggregate import names
from hypothesis import given
from hypothesis import strategies as st

SERVERS = st.from_regex(r"[a-z]([-a-z0-9]{0,38}[a-z0-9])?", fullmatch=True)
TOOLS = st.text(min_size=1, max_size=140)


def test_a_plain_name_says_whose_it_is_and_what():
    assert names.aggregate_name("crm", "lookup_customer") == "crm_lookup_customer"
    assert names.split("crm_lookup_customer") == ("crm", "lookup_customer")


def test_what_does_not_fit_ends_with_digits_of_its_own():
    assert names.aggregate_name("crm", "a.b") == "crm_a_b_2e7336dc8e"
    assert len(names.aggregate_name("crm", "x" * 100)) == names.LONGEST


def test_a_tool_cannot_take_the_name_that_another_was_given():
    given_name = names.aggregate_name("crm", "a.b")

    assert names.aggregate_name("crm", given_name.removeprefix("crm_")) != given_name


def test_a_cut_name_is_found_in_its_servers_list_only():
    assert names.split(names.aggregate_name("crm", "a.b")) == ("crm", None)


def test_what_was_never_given_out_is_no_name():
    assert [names.split(name) for name in ("crm", "crm_", "", "crm_a.b", "x" * 65)] == [None] * 5


@given(SERVERS, TOOLS)
def test_every_name_is_one_that_every_models_api_takes(server, tool):
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,64}", names.aggregate_name(server, tool))


@given(st.tuples(SERVERS, TOOLS), st.tuples(SERVERS, TOOLS))
def test_two_tools_never_share_a_name(one, other):
    assert one == other or names.aggregate_name(*one) != names.aggregate_name(*other)


@given(SERVERS, TOOLS)
def test_a_name_leads_back_to_its_server_and_its_tool(server, tool):
    found = names.split(names.aggregate_name(server, tool))

    assert found is not None
    assert found.server == server
    assert found.tool in (tool, None)
