import json

import pytest
from agenttype_api.policy import WireProtocol
from agenttype_sidecar import errors
from agenttype_sidecar.llm import error_responses, paths

OPENAI, ANTHROPIC = WireProtocol.OPENAI, WireProtocol.ANTHROPIC
SPENT = errors.BudgetSpent("nothing left", "run", 7)
NEVER = errors.NeverFits("too large", "run")


@pytest.mark.parametrize(
    ("error", "openai", "anthropic"),
    [
        (SPENT, (402, "insufficient_quota", "insufficient_quota"), (402, "billing_error")),
        (
            errors.BudgetSpent("m", "run", 7, status=429),
            (429, "insufficient_quota", "insufficient_quota"),
            (402, "billing_error"),
        ),
        (errors.UnpricedModel("m"), (400, "invalid_request_error", "unpriced_model"), (400, "invalid_request_error")),
        (errors.AgentStopped("m"), (403, "permission_error", "agent_stopped"), (403, "permission_error")),
        (NEVER, (400, "invalid_request_error", "request_exceeds_budget"), (400, "invalid_request_error")),
        (errors.MalformedBody("m"), (400, "invalid_request_error", "malformed_body"), (400, "invalid_request_error")),
        (errors.WrongProtocol("m"), (400, "invalid_request_error", "wrong_protocol"), (400, "invalid_request_error")),
        (errors.UnknownModel("m"), (404, "invalid_request_error", "model_not_found"), (404, "not_found_error")),
        (errors.UnknownPath("m"), (404, "invalid_request_error", "path_not_found"), (404, "not_found_error")),
        (errors.BudgetHeld("m", "run"), (429, "tokens", "budget_held"), (429, "rate_limit_error")),
        (errors.BodyTooLarge("m"), (413, "invalid_request_error", "body_too_large"), (413, "request_too_large")),
        (errors.LedgerUnavailable("m"), (503, "server_error", "ledger_unavailable"), (503, "overloaded_error")),
        (errors.BackendWarming("m"), (503, "server_error", "warming"), (503, "overloaded_error")),
        (errors.UpstreamFailed("m"), (502, "server_error", "upstream_failed"), (502, "api_error")),
        (errors.UpstreamTimedOut("m"), (504, "server_error", "upstream_timeout"), (504, "timeout_error")),
    ],
)
def test_a_refusal_is_told_in_the_callers_protocol(error, openai, anthropic):
    status, _, body = error_responses.refusal(error, OPENAI)
    fault = json.loads(body)["error"]
    assert (status, fault["type"], fault["code"]) == openai
    status, _, body = error_responses.refusal(error, ANTHROPIC)
    content = json.loads(body)
    assert (status, content["error"]["type"]) == anthropic
    assert content["type"] == "error"


@pytest.mark.parametrize("protocol", [OPENAI, ANTHROPIC])
def test_a_spent_budget_stops_retries_and_names_the_limit(protocol):
    headers = dict(error_responses.refusal(SPENT, protocol)[1])
    assert headers[b"x-should-retry"] == b"false"
    assert (headers[b"x-agenttype-limit"], headers[b"x-agenttype-remaining"]) == (b"run", b"7")
    assert b"retry-after" not in headers


@pytest.mark.parametrize(
    "error", [errors.LedgerUnavailable("m"), errors.BackendWarming("m"), errors.UpstreamFailed("m")]
)
def test_what_may_pass_says_when_to_come_back(error):
    headers = dict(error_responses.refusal(error, OPENAI)[1])
    assert int(headers[b"retry-after"]) <= 60
    assert b"x-should-retry" not in headers


@pytest.mark.parametrize(
    ("reset", "expected"),
    [(None, (None, None, b"false")), (3600.0, (b"3600", None, b"false")), (59.2, (b"60", b"60", b"true")),
     (0.1, (b"1", b"1", b"true"))],
)  # fmt: skip
def test_a_spent_budget_says_when_it_starts_anew_and_to_come_back_where_that_is_soon(reset, expected):
    headers = dict(error_responses.refusal(errors.BudgetSpent("m", "minute", 0, reset=reset), OPENAI)[1])
    assert tuple(headers.get(name) for name in (b"x-agenttype-reset", b"retry-after", b"x-should-retry")) == expected


OPENAIS = (
    b'data: {"error":{"message":"gone","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}'
    b"\n\ndata: [DONE]\n\n"
)
RESPONSES = (
    b'event: error\ndata: {"type":"error","code":"insufficient_quota","message":"gone","param":null,'
    b'"error":{"message":"gone","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}\n\n'
)
ANTHROPICS = b'event: error\ndata: {"type":"error","error":{"type":"billing_error","message":"gone"}}\n\n'


@pytest.mark.parametrize(
    ("path", "expected"),
    [("/v1/chat/completions", OPENAIS), ("/v1/responses", RESPONSES), ("/v1/messages", ANTHROPICS)],
)
def test_a_stream_that_we_end_ends_in_the_words_of_its_protocol(path, expected):
    assert error_responses.ending(errors.BudgetSpent("gone", "run", 0), paths.endpoint(path)) == expected


def test_a_response_that_we_end_is_told_to_have_failed():
    opening = b'{"type":"response.created","response":{"id":"resp_1","status":"in_progress","error":null}}'
    ended = error_responses.ending(errors.RuleViolated("no-keys"), paths.endpoint("/v1/responses"), opening)
    _, failed = ended.removesuffix(b"\n\n").split(b"\n\n")
    assert failed.startswith(b"event: response.failed\ndata: ")
    response = json.loads(failed.partition(b"data: ")[2])["response"]
    assert (response["id"], response["status"]) == ("resp_1", "failed")
    assert response["error"]["code"] == "invalid_prompt"
    assert "no-keys" in response["error"]["message"]


@pytest.mark.parametrize("opening", [b"", b"no JSON", b"[]", b"{}", b'{"response":null}', b'{"response":[]}', b"1"])
def test_a_response_whose_opening_says_nothing_ends_with_the_error(opening):
    ended = error_responses.ending(errors.RuleViolated("no-keys"), paths.endpoint("/v1/responses"), opening)
    assert ended.count(b"event: ") == 1
