"""The environment an agent gets: what wins, what is kept, what is joined."""

from agenttype_api import environment, keys
from support.kinds import an_agent_type

SIDECAR = environment.Endpoints()


def merged(*user, **spec):
    return environment.merge(user, an_agent_type(**spec), SIDECAR)


def value_of(env, name):
    return next(entry for entry in env if entry["name"] == name).get("value")


def test_calls_go_to_the_sidecar_whatever_the_user_set():
    env = merged({"name": "OPENAI_BASE_URL", "value": "https://elsewhere.test/v1"})

    assert value_of(env, "OPENAI_BASE_URL") == "http://127.0.0.1:15001/openai/v1"
    assert [entry["name"] for entry in env].count("OPENAI_BASE_URL") == 1


def test_a_key_of_the_user_never_reaches_the_agent():
    env = merged({"name": "OPENAI_API_KEY", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}})

    assert value_of(env, "OPENAI_API_KEY") == keys.PLACEHOLDER_KEY


def test_a_list_of_the_user_is_joined_behind_ours():
    env = merged({"name": "PYTHONPATH", "value": "/app/lib"})

    assert value_of(env, "AGENTTYPE_USER_PYTHONPATH") == "/app/lib"
    assert value_of(env, "PYTHONPATH") == "/opt/agenttype/python:$(AGENTTYPE_USER_PYTHONPATH)"


def test_a_list_from_a_reference_is_joined_too():
    source = {"configMapKeyRef": {"name": "c", "key": "k"}}
    env = merged({"name": "PYTHONPATH", "valueFrom": source})

    assert {"name": "AGENTTYPE_USER_PYTHONPATH", "valueFrom": source} in env


def test_no_reference_is_written_to_a_name_that_nobody_defined():
    assert value_of(merged(), "PYTHONPATH") == "/opt/agenttype/python"


def test_a_reference_follows_what_it_refers_to():
    names = [entry["name"] for entry in merged({"name": "PYTHONPATH", "value": "/app"})]

    assert names.index("AGENTTYPE_USER_PYTHONPATH") < names.index("PYTHONPATH")


def test_the_user_can_refer_to_our_tool_urls():
    tools = [{"name": "norms-table", "mcp": {"url": "http://norms/mcp"}}]
    env = merged({"name": "MCP", "value": "$(AGENTTYPE_TOOL_NORMS_TABLE_URL)"}, tools=tools)
    names = [entry["name"] for entry in env]

    assert value_of(env, "AGENTTYPE_TOOL_NORMS_TABLE_URL") == "http://127.0.0.1:15001/mcp/norms-table"
    assert names.index("AGENTTYPE_TOOL_NORMS_TABLE_URL") < names.index("MCP")


def test_a_default_yields_to_the_user():
    env = merged({"name": "LITELLM_LOCAL_MODEL_COST_MAP", "value": "False"})

    assert value_of(env, "LITELLM_LOCAL_MODEL_COST_MAP") == "False"


def test_other_variables_pass_in_their_order():
    env = merged({"name": "B", "value": "1"}, {"name": "A", "value": "$(B)"})

    assert [entry["name"] for entry in env][-2:] == ["B", "A"]


def test_without_the_wrapper_pythonpath_is_left_alone():
    env = merged({"name": "PYTHONPATH", "value": "/app"}, injection={"wrapper": []})

    assert value_of(env, "PYTHONPATH") == "/app"
