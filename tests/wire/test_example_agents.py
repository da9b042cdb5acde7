"""The example agents as processes, against a scripted model and the real norms server."""

import pytest
from example_agents import GREEN, NORMS, RED, eventually, free_port, running
from scripted_model import ScriptedModel, serving

LOG = "sshd[4022]: Failed password for eve from 192.0.2.7 port 4022"
NORM = "Key logins from the office network are normal; failed passwords are not."
SUSPICIOUS = "VERDICT: suspicious | REASON: repeated login failure"
FILES = [path for folder in (GREEN, RED, NORMS) for path in folder.iterdir() if path.is_file()]


@pytest.fixture
def model():
    says = {"Topic:": "PROBE: Who reads backups?", "Who": "Nobody does.", "": SUSPICIOUS}
    with serving(ScriptedModel(says)) as scripted:
        yield scripted


@pytest.fixture
def env(model):
    return {"OPENAI_BASE_URL": model.url, "OPENAI_API_KEY": "any"}


@pytest.fixture(scope="module")
def norms(tmp_path_factory):
    with running(NORMS, tmp_path_factory.mktemp("norms")) as program:
        yield program


@pytest.fixture
def own_norms(tmp_path):
    with running(NORMS, tmp_path) as program:
        yield program


@pytest.fixture
def green(tmp_path, env, norms):
    with running(GREEN, tmp_path, NORMS_MCP_URL=f"{norms.url}/mcp", **env) as program:
        yield program


@pytest.fixture
def red(tmp_path, env, green):
    with running(RED, tmp_path, GREEN_URL=green.url, TOPICS="backups", **env) as program:
        yield program


def mcp(program, method, **params):
    request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    return program.post("/mcp", request, accept="application/json, text/event-stream")


def test_red_questions_green_and_green_explains_with_the_norm_of_the_program(model, red):
    eventually(lambda: red.get("/exchange").body)
    said = red.get("/exchange").body[0]
    assert said["probe"] == "Who reads backups?"
    assert said["answer"] == "Nobody does."
    assert (said["verdict"], said["norm"]) == ("suspicious", NORM)
    assert model.asked() == [
        ("gpt-4o", "Topic: backups", False),
        ("gpt-4o", "Who reads backups?", False),
        ("gpt-4o-mini", f"Norm: {NORM}\n{said['log']}", True),
    ]


def test_red_makes_one_more_round_when_asked(red):
    eventually(lambda: red.get("/exchange").body)
    answer = red.post("/probe", {"topic": "load balancers"})
    assert (answer.status, answer.body["round"], answer.body["topic"]) == (200, 2, "load balancers")


def test_red_waits_for_a_green_that_comes_up_later(tmp_path, env):
    port = free_port()
    with running(RED, tmp_path, GREEN_URL=f"http://127.0.0.1:{port}", TOPICS="backups", **env) as red:
        eventually(lambda: "green is not up yet" in red.log.read_text())
        with running(GREEN, tmp_path, port=port, **env):
            eventually(lambda: red.get("/exchange").body)
            assert red.get("/exchange").body[0]["verdict"] == "suspicious"


@pytest.mark.parametrize(("path", "body"), [("/explain", {"log": LOG}), ("/ask", {"question": "Why?"})])
def test_a_spent_quota_costs_green_one_request_and_green_lives_on(model, green, path, body):
    model.spent = True
    answer = green.post(path, body)
    assert answer.status == 502
    assert answer.body["error"]["type"] == "RateLimitError"
    assert answer.body["error"]["code"] == "insufficient_quota"
    assert len(model.requests) == 1
    model.spent = False
    assert green.is_alive()
    assert green.post(path, body).status == 200


def test_a_refusal_becomes_part_of_what_red_reports(model, red):
    eventually(lambda: red.get("/exchange").body)
    model.spent = True
    answer = red.post("/probe", {"topic": "money"})
    assert answer.status == 502
    assert answer.body["error"] == {"type": "RateLimitError", "code": "insufficient_quota"}


def test_a_stream_that_is_cut_is_an_error_not_an_answer(model, green):
    model.cut_streams = True
    assert green.post("/explain", {"log": LOG}).status == 502
    assert green.is_alive()


def test_green_judges_without_a_norm_when_the_norms_server_is_away(tmp_path, model, env):
    with running(GREEN, tmp_path, NORMS_MCP_URL=f"http://127.0.0.1:{free_port()}/mcp", **env) as green:
        answer = green.post("/explain", {"log": LOG})
    assert answer.status == 200
    assert answer.body == {"verdict": "suspicious", "norm": None, "raw": f"{SUSPICIOUS} "}
    assert model.asked() == [("gpt-4o-mini", LOG, True)]


def test_the_norms_server_offers_two_tools_that_read_and_one_that_deletes(norms):
    tools = mcp(norms, "tools/list").body["result"]["tools"]
    assert [tool["name"] for tool in tools] == ["lookup_norm", "list_programs", "delete_norm"]


def test_a_deleted_norm_is_gone_and_an_unknown_one_is_a_tool_error(own_norms):
    assert not mcp(own_norms, "tools/call", name="delete_norm", arguments={"program": "cron"}).body["result"]["isError"]
    assert mcp(own_norms, "tools/call", name="lookup_norm", arguments={"program": "cron"}).body["result"]["isError"]


@pytest.mark.parametrize("name", ["own_norms", "green", "red"])
def test_sigterm_ends_an_example_in_seconds(request, name):
    assert request.getfixturevalue(name).terminate() in {0, -15}


def test_no_example_knows_who_runs_it():
    assert {GREEN / "app.py", RED / "app.py", NORMS / "server.py"} <= set(FILES)
    assert [path for path in FILES if b"agenttype" in path.read_bytes().lower()] == []


@pytest.mark.parametrize("folder", [GREEN, RED, NORMS], ids=lambda folder: folder.name)
def test_every_requirement_is_pinned(folder):
    lines = (folder / "requirements.txt").read_text().splitlines()
    assert [line for line in lines if line[0] not in " #" and "==" not in line] == []
