"""The example agents as processes, against the vLLM stand-in and the real norms server."""

import pytest
from support.ports import free_port
from support.programs.example_agents import GREEN, NORMS, RED, running
from support.programs.simulators import simulator
from support.waiting import until

CHAT = "/v1/chat/completions"
NORM = "Key logins from the office network are normal; failed passwords are not."
SUSPICIOUS = "VERDICT: suspicious | REASON: repeated login failure"
LOG = f"sshd[4022]: Failed password for eve from 192.0.2.7 port 4022 [[say={SUSPICIOUS}]]"
TOPIC = "backups [[say=PROBE: Who reads backups?]]"
QUOTA = {"error": {"message": "Spent.", "type": "insufficient_quota", "code": "insufficient_quota"}}
SPENT = {"status": 429, "headers": {"x-should-retry": "false"}, "body": QUOTA}
FILES = [path for folder in (GREEN, RED, NORMS) for path in folder.iterdir() if path.is_file()]


@pytest.fixture(scope="module")
def engine():
    with simulator(served_model_name=["gpt-4o", "gpt-4o-mini"]) as vllm:
        yield vllm


@pytest.fixture
def model(engine):
    """The engine, sound and with an empty list of arrivals."""
    engine.heal()
    engine.forget()
    return engine


def variables(engine):
    return {"OPENAI_BASE_URL": f"{engine.url}/v1", "OPENAI_API_KEY": "any"}


@pytest.fixture(scope="module")
def env(engine):
    return variables(engine)


@pytest.fixture(scope="module")
def norms(tmp_path_factory):
    with running(NORMS, tmp_path_factory.mktemp("norms")) as program:
        yield program


@pytest.fixture
def own_norms(tmp_path):
    with running(NORMS, tmp_path) as program:
        yield program


@pytest.fixture(scope="module")
def green(tmp_path_factory, env, norms):
    with running(GREEN, tmp_path_factory.mktemp("green"), NORMS_MCP_URL=f"{norms.url}/mcp", **env) as program:
        yield program


@pytest.fixture
def own_green(tmp_path, env):
    with running(GREEN, tmp_path, **env) as program:
        yield program


@pytest.fixture
def red(tmp_path, model, green):
    with running(RED, tmp_path, GREEN_URL=green.url, TOPICS=TOPIC, **variables(model)) as program:
        yield program


def mcp(program, method, **params):
    request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    return program.post("/mcp", request, accept="application/json, text/event-stream")


def asked(model):
    bodies = [request["body"] for request in model.arrived(CHAT)]
    return [(body["model"], body["messages"][0]["content"], body.get("stream", False)) for body in bodies]


def test_green_explains_a_log_line_with_the_norm_of_its_program(model, green):
    answer = green.post("/explain", {"log": LOG})
    assert (answer.status, answer.body) == (200, {"verdict": "suspicious", "norm": NORM, "raw": SUSPICIOUS})
    assert asked(model) == [("gpt-4o-mini", f"Norm: {NORM}\n{LOG}", True)]


def test_red_questions_green_and_has_a_log_line_explained(model, red):
    until(lambda: red.get("/exchange").body)
    said = red.get("/exchange").body[0]
    assert (said["probe"], said["norm"], "error" in said) == ("Who reads backups?", NORM, False)
    assert asked(model) == [
        ("gpt-4o", f"Topic: {TOPIC}", False),
        ("gpt-4o", "Who reads backups?", False),
        ("gpt-4o-mini", f"Norm: {NORM}\n{said['log']}", True),
    ]


def test_red_makes_one_more_round_when_asked(red):
    until(lambda: red.get("/exchange").body)
    answer = red.post("/probe", {"topic": "load balancers"})
    assert (answer.status, answer.body["round"], answer.body["topic"]) == (200, 2, "load balancers")


def test_red_waits_for_a_green_that_comes_up_later(tmp_path, env):
    port = free_port()
    with running(RED, tmp_path, GREEN_URL=f"http://127.0.0.1:{port}", TOPICS=TOPIC, **env) as red:
        until(lambda: "green is not up yet" in red.log.read_text())
        with running(GREEN, tmp_path, port=port, **env):
            until(lambda: red.get("/exchange").body)
            assert red.get("/exchange").body[0]["probe"] == "Who reads backups?"


@pytest.mark.parametrize(("path", "body"), [("/explain", {"log": LOG}), ("/ask", {"question": "Why?"})])
def test_a_spent_quota_costs_green_one_request_and_green_lives_on(model, green, path, body):
    model.fault(CHAT, **SPENT)
    answer = green.post(path, body)
    assert answer.status == 502
    assert answer.body["error"]["type"] == "RateLimitError"
    assert answer.body["error"]["code"] == "insufficient_quota"
    assert len(model.arrived(CHAT)) == 1
    model.heal()
    assert green.is_alive()
    assert green.post(path, body).status == 200


def test_a_refusal_becomes_part_of_what_red_reports(model, red):
    until(lambda: red.get("/exchange").body)
    model.fault(CHAT, **SPENT)
    answer = red.post("/probe", {"topic": "money"})
    assert answer.status == 502
    assert answer.body["error"] == {"type": "RateLimitError", "code": "insufficient_quota"}


def test_a_stream_that_is_cut_is_an_error_not_an_answer(model, green):
    model.fault(CHAT, reset_after_bytes=300)
    assert green.post("/explain", {"log": LOG}).status == 502
    assert green.is_alive()


def test_green_judges_without_a_norm_when_the_norms_server_is_away(tmp_path, model, env):
    with running(GREEN, tmp_path, NORMS_MCP_URL=f"http://127.0.0.1:{free_port()}/mcp", **env) as green:
        answer = green.post("/explain", {"log": LOG})
    assert (answer.status, answer.body) == (200, {"verdict": "suspicious", "norm": None, "raw": SUSPICIOUS})
    assert asked(model) == [("gpt-4o-mini", LOG, True)]


def test_the_norms_server_offers_two_tools_that_read_and_one_that_deletes(norms):
    tools = mcp(norms, "tools/list").body["result"]["tools"]
    assert [tool["name"] for tool in tools] == ["lookup_norm", "list_programs", "delete_norm"]


def test_a_deleted_norm_is_gone_and_an_unknown_one_is_a_tool_error(own_norms):
    assert not mcp(own_norms, "tools/call", name="delete_norm", arguments={"program": "cron"}).body["result"]["isError"]
    assert mcp(own_norms, "tools/call", name="lookup_norm", arguments={"program": "cron"}).body["result"]["isError"]


@pytest.mark.parametrize("name", ["own_norms", "own_green", "red"])
def test_sigterm_ends_an_example_in_seconds(request, name):
    assert request.getfixturevalue(name).terminate() in {0, -15}


def test_no_example_knows_who_runs_it():
    assert {GREEN / "app.py", RED / "app.py", NORMS / "server.py"} <= set(FILES)
    assert [path for path in FILES if b"agenttype" in path.read_bytes().lower()] == []


@pytest.mark.parametrize("folder", [GREEN, RED, NORMS], ids=lambda folder: folder.name)
def test_every_requirement_is_pinned(folder):
    lines = (folder / "requirements.txt").read_text().splitlines()
    assert [line for line in lines if line[0] not in " #" and "==" not in line] == []
