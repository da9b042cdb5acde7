"""Why a call is refused: one word for one reason, in every component that refuses.

The word stands in the body (OpenAI's `code`, MCP's `data.code`), in the header `x-agenttype-reason`, and as the label
`reason` of metrics. Words that SDKs or protocols fix are theirs: `insufficient_quota`, `model_not_found` and
`rate_limit_exceeded` are OpenAI's; `parse_error`, `invalid_request`, `method_not_found` and `invalid_params` are
JSON-RPC's. `docs/refusals.md` is generated from here. A contract test holds the refusals of every component to this
list: each says a word of it with a status of its row, and no word is left unsaid.
"""

from enum import StrEnum
from typing import Final, Self

SIDECAR: Final = "sidecar"
GATE: Final = "gate"


class RefusalReason(StrEnum):
    """A reason, with what its row in the documentation says.

    Attributes:
        statuses: HTTP statuses of the answer. A refused call of MCP is often answered with 200 and an error inside.
        said_by: Components that say it.
        meaning: What is wrong, in one sentence.
        fix: What to do.
    """

    statuses: tuple[int, ...]
    said_by: tuple[str, ...]
    meaning: str
    fix: str

    def __new__(
        cls, word: str, statuses: int | tuple[int, ...], said_by: str | tuple[str, ...], meaning: str, fix: str
    ) -> Self:
        """Make a member of a row."""
        member = str.__new__(cls, word)
        member._value_ = word
        member.statuses = (statuses,) if isinstance(statuses, int) else statuses
        member.said_by = (said_by,) if isinstance(said_by, str) else said_by
        member.meaning = meaning
        member.fix = fix
        return member

    # The request.
    MALFORMED_BODY = (
        "malformed_body", 400, (SIDECAR, GATE),
        "The body is not one JSON object that every reader reads alike, or a member has a value that cannot be used.",
        "Send one JSON object in UTF-8, each member once, with a text as `model`.",
    )  # fmt: skip
    NESTED_TOO_DEEPLY = (
        "nested_too_deeply", 400, SIDECAR,
        "The message has more levels than can be written again.",
        "Send a flatter message.",
    )  # fmt: skip
    BODY_TIMEOUT = (
        "body_timeout", 408, (SIDECAR, GATE),
        "The body did not arrive in time.",
        "Send the whole body at once, and look at the network between caller and component.",
    )  # fmt: skip
    BODY_TOO_LARGE = (
        "body_too_large", 413, (SIDECAR, GATE),
        "The body is larger than the component takes.",
        "Send less; at the gate raise `--max-body`.",
    )  # fmt: skip
    PATH_NOT_FOUND = (
        "path_not_found", 404, (SIDECAR, GATE),
        "Nothing is served at this path.",
        "Use a path of the list in docs/protocols.md or docs/gate.md.",
    )  # fmt: skip
    METHOD_NOT_ALLOWED = (
        "method_not_allowed", 405, SIDECAR,
        "The path is served, but not with this method.",
        "Use a method that the message names.",
    )  # fmt: skip
    WEBSOCKET_UNSUPPORTED = (
        "websocket_unsupported", 426, SIDECAR,
        "The call asks for a WebSocket.",
        "Use HTTP; streams come as server-sent events.",
    )  # fmt: skip
    FOREIGN_ORIGIN = (
        "foreign_origin", 403, SIDECAR,
        "A page of another site calls through a browser on this machine.",
        "Call from a program, or from a page of this machine.",
    )  # fmt: skip

    # Who calls.
    INVALID_TOKEN = (
        "invalid_token", 401, GATE,
        "There is no token, or the API server does not vouch for it.",
        "Call through the sidecar, which sends a token of the pod for the audience `agenttype.dev/gate`.",
    )  # fmt: skip
    CALLER_NOT_ALLOWED = (
        "caller_not_allowed", 403, GATE,
        "The token is good, but no agent of this backend runs under its account.",
        "Give the agent a route to this ModelBackend, and wait for the gate to read it.",
    )  # fmt: skip
    TOKEN_REVIEW_UNAVAILABLE = (
        "token_review_unavailable", 503, GATE,
        "The API server cannot be asked about the token, so no call is let in.",
        "Look at the gate's log and at the API server; the gate needs the right to create TokenReviews.",
    )  # fmt: skip

    # The model.
    MODEL_NOT_FOUND = (
        "model_not_found", 404, (SIDECAR, GATE),
        "No route of the agent matches the model, or the gate serves no such model to this agent.",
        "Add the name to `models[].match` of the AgentType; `GET /v1/models` lists the names that work.",
    )  # fmt: skip
    RESPONSE_NOT_FOUND = (
        "response_not_found", 404, SIDECAR,
        "No stored response of this name was made through this sidecar.",
        "Name a response that this pod has made, or send the whole conversation.",
    )  # fmt: skip
    WRONG_PROTOCOL = (
        "wrong_protocol", 400, SIDECAR,
        "The backend of the model's route does not speak the protocol of the call.",
        "Use the SDK of the backend's protocol, or route the model to another ModelBackend.",
    )  # fmt: skip
    UNMETERABLE = (
        "unmeterable", 400, SIDECAR,
        "The call asks for work that cannot be measured, and a limit or rule of the agent depends on measuring it.",
        "Leave out the member that the message names, or remove the limit.",
    )  # fmt: skip
    HOSTED_TOOL = (
        "hosted_tool", 400, SIDECAR,
        "The call asks the provider to call tool servers, which the agent's policy does not reach.",
        "Add the server to `tools` of the AgentType and let the agent call it.",
    )  # fmt: skip
    UNPRICED_MODEL = (
        "unpriced_model", 400, SIDECAR,
        "Costs are limited, and a model that can answer the call has no price.",
        "Add the model to `prices` of the ModelBackend; 0 is a price.",
    )  # fmt: skip

    # Budgets, rates and rules.
    INSUFFICIENT_QUOTA = (
        "insufficient_quota", (402, 403, 429), SIDECAR,
        "What is left of a limit does not hold the call, or the limit ended while the answer was being written.",
        "Wait for the limit's window to begin again, or raise the limit that `x-agenttype-limit` names.",
    )  # fmt: skip
    BUDGET_HELD = (
        "budget_held", 429, SIDECAR,
        "Calls under way hold what is left of a limit, and did not give it back in time.",
        "Repeat after `Retry-After`, ask for fewer `max_tokens`, or run fewer calls at once.",
    )  # fmt: skip
    REQUEST_EXCEEDS_BUDGET = (
        "request_exceeds_budget", 400, SIDECAR,
        "The call needs more than a whole limit has.",
        "Send less or ask for fewer `max_tokens`, or raise the limit that `x-agenttype-limit` names.",
    )  # fmt: skip
    RATE_LIMIT_EXCEEDED = (
        "rate_limit_exceeded", 429, SIDECAR,
        "The agent calls faster, or more at once, than `rateLimits` or the tool's `callsPerMinute` allow.",
        "Repeat after `Retry-After`, or raise the rate.",
    )  # fmt: skip
    POLICY_VIOLATION = (
        "policy_violation", 403, SIDECAR,
        "A rule of the agent's policy forbids the message.",
        "Look at the rule that `x-agenttype-rule` names.",
    )  # fmt: skip
    AGENT_STOPPED = (
        "agent_stopped", 403, SIDECAR,
        "The agent was stopped for good by a rule or a budget.",
        "Read the condition Ready of the AgentType; change its spec to start the agent again.",
    )  # fmt: skip

    # Tools.
    TOOL_SERVER_NOT_FOUND = (
        "tool_server_not_found", 404, SIDECAR,
        "The policy names no tool server of this path.",
        "Add it to `tools` of the AgentType; `GET $AGENTTYPE_CONTROL_URL/tools` lists those that are there.",
    )  # fmt: skip
    TOOL_NOT_FOUND = (
        "tool_not_found", (200, 400), SIDECAR,
        "No tool server at `/mcp` offers a tool of this name.",
        "List the tools again.",
    )  # fmt: skip
    TOOL_NOT_ALLOWED = (
        "tool_not_allowed", 403, SIDECAR,
        "The policy does not allow this tool, or this method and path of an HTTP API.",
        "Add it to `allow` of the tool in the AgentType.",
    )  # fmt: skip
    AMBIGUOUS_PATH = (
        "ambiguous_path", 400, SIDECAR,
        "Two readers could take the path, or the body of a GET, for different things.",
        "Write the path plainly: no dot or empty segments, semicolons or encoded separators.",
    )  # fmt: skip
    ARGUMENTS_TOO_LARGE = (
        "arguments_too_large", 413, SIDECAR,
        "The tool call's message is larger than `limits.argumentBytes` of the tool.",
        "Send less, or raise the bound.",
    )  # fmt: skip
    RESULT_TOO_LARGE = (
        "result_too_large", 502, SIDECAR,
        "The tool's result is larger than `limits.resultBytes` of the tool.",
        "Ask the tool for less, or raise the bound.",
    )  # fmt: skip
    TOOL_CALLS_EXHAUSTED = (
        "tool_calls_exhausted", 429, SIDECAR,
        "The run has made its `limits.callsPerRun` calls of the tool server.",
        "Go on without the tool, or raise the bound.",
    )  # fmt: skip
    TOOL_UNAVAILABLE = (
        "tool_unavailable", 502, SIDECAR,
        "The tool server does not answer, or its answer cannot be checked.",
        "Look at the tool server; its address is in `tools` of the AgentType.",
    )  # fmt: skip
    TOOL_TIMEOUT = (
        "tool_timeout", 504, SIDECAR,
        "The tool server did not answer in time.",
        "Look at the tool server, or raise `limits.timeout` of the tool.",
    )  # fmt: skip
    CANCELLED = (
        "cancelled", 499, SIDECAR,
        "The caller called the tool call off.",
        "Nothing.",
    )  # fmt: skip

    # The Model Context Protocol.
    PARSE_ERROR = (
        "parse_error", 400, SIDECAR,
        "The body is not one JSON message that every reader reads alike.",
        "Send one JSON-RPC message in UTF-8, each member once.",
    )  # fmt: skip
    INVALID_REQUEST = (
        "invalid_request", (200, 400), SIDECAR,
        "The message is not one that JSON-RPC and MCP know, or its headers name another call than its body.",
        "Use an MCP client; the message says what is wrong.",
    )  # fmt: skip
    METHOD_NOT_FOUND = (
        "method_not_found", (200, 404), SIDECAR,
        "`/mcp` offers tools only, and this method of MCP is about something else.",
        "Use the server's own endpoint, `/mcp/NAME`.",
    )  # fmt: skip
    INVALID_PARAMS = (
        "invalid_params", (200, 400), SIDECAR,
        "`params._meta` lacks what this version of MCP requires.",
        "Send the members that the message names.",
    )  # fmt: skip
    INVALID_CURSOR = (
        "invalid_cursor", (200, 400), SIDECAR,
        "The cursor is not one that this endpoint gave.",
        "List again without a cursor.",
    )  # fmt: skip
    HEADER_MISMATCH = (
        "header_mismatch", 400, SIDECAR,
        "A header of MCP does not say what the body says.",
        "Let the headers `mcp-*` repeat the body.",
    )  # fmt: skip
    UNSUPPORTED_PROTOCOL_VERSION = (
        "unsupported_protocol_version", 400, SIDECAR,
        "The endpoint does not speak this version of MCP.",
        "Use a version of `data.supported`.",
    )  # fmt: skip
    SESSION_MISSING = (
        "session_missing", 400, SIDECAR,
        "This version of MCP needs the header `mcp-session-id`.",
        "Send the session that came with the answer to `initialize`.",
    )  # fmt: skip
    SESSION_NOT_FOUND = (
        "session_not_found", 404, SIDECAR,
        "There is no such session; it ended, or the sidecar was restarted.",
        "Call `initialize` again.",
    )  # fmt: skip

    # What is behind.
    WARMING = (
        "warming", 503, (SIDECAR, GATE),
        "The engine or the adapter is still starting.",
        "Repeat after `Retry-After`; look at the conditions of the ModelBackend and the LoraAdapter if it stays.",
    )  # fmt: skip
    OVERLOADED = (
        "overloaded", 503, GATE,
        "The gate holds as many calls as fit in its memory.",
        "Repeat after `Retry-After`; raise `--max-held` and the gate's memory.",
    )  # fmt: skip
    ADAPTER_UNUSABLE = (
        "adapter_unusable", 503, GATE,
        "The adapter cannot be loaded, and waiting does not help.",
        "Read the condition Loaded of the LoraAdapter.",
    )  # fmt: skip
    CIRCUIT_OPEN = (
        "circuit_open", 503, SIDECAR,
        "The backend failed too often recently and is not asked for some seconds.",
        "Repeat after `Retry-After`; look at the backend, or give the route a `fallback`.",
    )  # fmt: skip
    UPSTREAM_FAILED = (
        "upstream_failed", 502, (SIDECAR, GATE),
        "The backend or engine took the call and broke off before it answered; it may have worked on it.",
        "Look at the backend's log.",
    )  # fmt: skip
    UPSTREAM_TIMEOUT = (
        "upstream_timeout", 504, (SIDECAR, GATE),
        "The backend or engine took the call and did not answer in time; it may have worked on it.",
        "Look at the backend's load, or ask for less.",
    )  # fmt: skip
    CERTIFICATE_REFUSED = (
        "certificate_refused", 502, SIDECAR,
        "The backend's certificate cannot be trusted, so nothing was sent.",
        "Renew the certificate, or name its authority in `caRef` of the ModelBackend.",
    )  # fmt: skip
    CREDENTIAL_UNAVAILABLE = (
        "credential_unavailable", 503, SIDECAR,
        "The file with the key or token for the backend or tool cannot be read.",
        "Create the Secret and key that `credentialRef` names.",
    )  # fmt: skip
    LEDGER_UNAVAILABLE = (
        "ledger_unavailable", 503, SIDECAR,
        "The ledger of the budget cannot be written, so nothing may be spent.",
        "Look at the sidecar's log; the volume of the ledger may be full.",
    )  # fmt: skip
    NATS_UNREACHABLE = (
        "nats_unreachable", 503, SIDECAR,
        "NATS does not answer, so a limit that pods share cannot be counted and nothing may be spent from it.",
        "Look at the NATS server and at the condition BudgetAvailable of the AgentType.",
    )  # fmt: skip
