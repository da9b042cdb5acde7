"""The requests that the real engine and its stand-in must answer alike, in the order in which they are sent.

A CPU of another kind rounds otherwise, and a model may then say other words, or more of them. So none of these
requests leaves the model a choice that shows in what is compared: each has a bound of tokens, and each answer's end
is forced, by a script that the engine must follow (`structured_outputs`, a schema of one value) or by `ignore_eos`.
"""

from dataclasses import dataclass, field
from typing import Any

FRANCE = [{"role": "user", "content": "What is the capital of France?"}]
CHAT, TEXT, MESSAGES, RESPONSES = "/v1/chat/completions", "/v1/completions", "/v1/messages", "/v1/responses"
EMBEDDINGS = "/v1/embeddings"
LOAD, UNLOAD = "/v1/load_lora_adapter", "/v1/unload_lora_adapter"
# Makes the real engine say these words and end; the stand-in reads them from the mark in the prompt.
WORDS = "one two three"
SCRIPTED = {"structured_outputs": {"choice": [WORDS]}}
SAY = [{"role": "user", "content": f"Count. [[say={WORDS}]]"}]
# The same for Anthropic's protocol, whose only script is a schema; the real engine says the words in quotes.
ANTHROPIC_SCRIPT = {"output_config": {"format": {"type": "json_schema", "schema": {"enum": [WORDS]}}}}


@dataclass(frozen=True)
class Exchange:
    """One request. `raw` is sent as it is; `leave_after` hangs up after so many events, 0 before any."""

    name: str
    path: str
    body: Any = None
    method: str = "POST"
    raw: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    leave_after: int | None = None


def _chat(name: str, **body: Any) -> Exchange:
    bounded = {"model": "base", "messages": FRANCE, "temperature": 0, "max_tokens": 40}
    return Exchange(name, CHAT, bounded | body)


def _text(name: str, **body: Any) -> Exchange:
    bounded = {"model": "base", "prompt": "Once upon a time", "temperature": 0, "max_tokens": 40}
    return Exchange(name, TEXT, bounded | body)


def _messages(name: str, **body: Any) -> Exchange:
    return Exchange(name, MESSAGES, {"model": "base", "max_tokens": 40, "messages": FRANCE, "temperature": 0} | body)


def _responses(name: str, **body: Any) -> Exchange:
    bounded = {"model": "base", "input": FRANCE[0]["content"], "temperature": 0, "max_output_tokens": 40}
    return Exchange(name, RESPONSES, bounded | body)


def _embeddings(name: str, **body: Any) -> Exchange:
    return Exchange(name, EMBEDDINGS, {"model": "base", "input": "Hello there"} | body)


def _load(name: str, lora: str, folder: str, **body: Any) -> Exchange:
    return Exchange(name, LOAD, {"lora_name": lora, "lora_path": "{adapters}/" + folder} | body)


USAGE = {"include_usage": True}
CONTINUOUS = USAGE | {"continuous_usage_stats": True}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {}}}
SHORT = {"max_tokens": 3, "ignore_eos": True}
# Forty words before those that are to be said.
MANY_WORDS = [{"role": "user", "content": f"{'w ' * 40}[[say={WORDS}]]"}]

GROUPS: dict[str, list[Exchange]] = {
    "server": [
        Exchange("health", "/health", method="GET"),
        Exchange("version", "/version", method="GET"),
        Exchange("models", "/v1/models", method="GET"),
        Exchange("an unknown path", "/v1/nothing", method="GET"),
        Exchange("a wrong method", CHAT, method="GET"),
        Exchange("a trailing slash", "/v1/models/", method="GET"),
        Exchange("one model", "/v1/models/base", method="GET"),
    ],
    "chat": [
        _chat("a natural end", messages=SAY, **SCRIPTED),
        _chat("a bounded answer", **SHORT),
        _chat("max_completion_tokens wins", max_tokens=9, max_completion_tokens=3, ignore_eos=True),
        _chat("two answers", n=2, temperature=1, **SHORT),
        _chat("a stop string", messages=SAY, stop=["two"], **SCRIPTED),
        _chat("a kept stop string", messages=SAY, stop="two", include_stop_str_in_output=True, **SCRIPTED),
        _chat("content parts", messages=[{"role": "user", "content": [{"type": "text", "text": "Hi"}]}], **SHORT),
        _chat("token ids", return_token_ids=True, **SHORT),
        _chat("logprobs", logprobs=True, top_logprobs=2, **SHORT),
        _chat("no model", model="", **SHORT),
        _chat("tools that may not be used", tools=[TOOL], tool_choice="none", **SHORT),
        _chat("an unknown field", colour="green", **SHORT),
        _chat("numbers as text", max_tokens="3", ignore_eos=True),
        Exchange(
            "an id from the caller",
            CHAT,
            {"model": "base", "messages": FRANCE} | SHORT,
            headers={"x-request-id": "mine-1"},
        ),
    ],
    "chat-stream": [
        _chat("a natural end", messages=SAY, stream=True, **SCRIPTED),
        _chat("a bounded answer", stream=True, **SHORT),
        _chat("usage at the end", stream=True, stream_options=USAGE, **SHORT),
        _chat("usage in every chunk", stream=True, stream_options=CONTINUOUS, **SHORT),
        _chat("usage at a natural end", messages=SAY, stream=True, stream_options=CONTINUOUS, **SCRIPTED),
        _chat("continuous without include", stream=True, stream_options={"continuous_usage_stats": True}, **SHORT),
        _chat("two answers", stream=True, stream_options=USAGE, n=2, temperature=1, **SHORT),
        _chat("a stop string", stream=True, messages=SAY, stop=["two"], **SCRIPTED),
        _chat("token ids", stream=True, return_token_ids=True, **SHORT),
        _chat("logprobs", stream=True, logprobs=True, top_logprobs=1, **SHORT),
    ],
    "completions": [
        Exchange("the default bound", TEXT, {"model": "base", "prompt": "Once", "temperature": 0, "ignore_eos": True}),
        _text("two answers", n=2, temperature=1, **SHORT),
        _text("two prompts", prompt=["Once", "Twice"], **SHORT),
        _text("a prompt of ids", prompt=[504, 3575], **SHORT),
        _text("token ids", return_token_ids=True, **SHORT),
        _text("logprobs", logprobs=2, **SHORT),
        _text("logprobs in a stream", logprobs=2, stream=True, **SHORT),
        _text("stream", stream=True, **SHORT),
        _text("stream with usage", stream=True, stream_options=USAGE, **SHORT),
        _text("stream with continuous usage", stream=True, stream_options=CONTINUOUS, **SHORT),
        _text("stream of two prompts", prompt=["Once", "Twice"], stream=True, stream_options=USAGE, **SHORT),
        _text("no prompt", prompt=""),
    ],
    "anthropic": [
        _messages("a natural end", messages=SAY, **ANTHROPIC_SCRIPT),
        _messages("a bounded answer", max_tokens=2),
        _messages("a system prompt", system="Be short.", max_tokens=2),
        _messages("stream", messages=SAY, stream=True, **ANTHROPIC_SCRIPT),
        _messages("a bounded stream", stream=True, max_tokens=2),
        _messages("a stop sequence", messages=SAY, stop_sequences=["e"], **ANTHROPIC_SCRIPT),
        _messages("a stop sequence in a stream", messages=SAY, stop_sequences=["e"], stream=True, **ANTHROPIC_SCRIPT),
        _messages("tools", tools=[{"name": "f", "input_schema": {"type": "object"}}]),
        _messages("an unknown model", model="nope"),
        _messages("no bound", max_tokens=None),
        _messages("a zero bound", max_tokens=0),
        _messages("a bound above the context", max_tokens=999_999),
        _messages("an empty model", model=""),
        Exchange("no messages", MESSAGES, {"model": "base", "max_tokens": 3}),
        Exchange("count tokens", MESSAGES + "/count_tokens", {"model": "base", "messages": FRANCE}),
        Exchange("count for an unknown model", MESSAGES + "/count_tokens", {"model": "nope", "messages": FRANCE}),
        Exchange(
            "count with a system prompt",
            MESSAGES + "/count_tokens",
            {"model": "base", "system": "Be short.", "messages": FRANCE},
        ),
        Exchange("count without messages", MESSAGES + "/count_tokens", {"model": "base"}),
    ],
    "responses": [
        _responses("a bounded answer", max_output_tokens=2),
        _responses("a natural end", input=SAY[0]["content"], **SCRIPTED),
        _responses("items", input=SAY, **SCRIPTED),
        _responses("stream", input=SAY, stream=True, **SCRIPTED),
        _responses("a bounded stream", stream=True, max_output_tokens=2),
        _responses("an unknown model", model="nope"),
        _responses("instructions", instructions="Be short.", max_output_tokens=2),
        _responses(
            "parts", input=[{"role": "user", "content": [{"type": "input_text", "text": "Hi"}]}], max_output_tokens=2
        ),
        _responses("an id from the caller", request_id="resp_mine", max_output_tokens=2),
        _responses("not to be kept", store=False, max_output_tokens=2),
        _responses("after what nobody kept", previous_response_id="resp_nothing"),
        _responses("in the background of an engine that keeps nothing", background=True),
        _responses("a zero bound", max_output_tokens=0),
        _responses("a bound above the context", max_output_tokens=999_999),
        _responses("a bound that is no number", max_output_tokens="many"),
        _responses("an input above the context", input="word " * 2100),
        Exchange("what nobody kept", RESPONSES + "/resp_nothing", method="GET"),
        Exchange("cancel what nobody kept", RESPONSES + "/resp_nothing/cancel"),
        Exchange("delete what nobody kept", RESPONSES + "/resp_nothing", method="DELETE"),
        Exchange("the input of what nobody kept", RESPONSES + "/resp_nothing/input_items", method="GET"),
    ],
    "tokens": [
        Exchange("tokenize a prompt", "/tokenize", {"model": "base", "prompt": "Hello there"}),
        Exchange("tokenize a chat", "/tokenize", {"model": "base", "messages": FRANCE}),
        Exchange("token strings", "/tokenize", {"prompt": "Hello", "return_token_strs": True}),
        Exchange("tokenize for an unknown model", "/tokenize", {"model": "nope", "prompt": "Hello"}),
        Exchange("embeddings", "/v1/embeddings", {"model": "base", "input": "Hello"}),
    ],
    "errors": [
        _chat("an unknown model", model="nope"),
        _text("an unknown model of text", model="nope"),
        Exchange("bad json", CHAT, raw=b'{"model": '),
        Exchange("an empty body", CHAT, raw=b""),
        Exchange("a list as body", CHAT, body=[1]),
        Exchange("another content type", CHAT, raw=b"{}", headers={"content-type": "text/plain"}),
        Exchange("no messages", CHAT, {"model": "base"} | SHORT),
        _chat("messages as text", messages="hello"),
        _chat("no message at all", messages=[]),
        _chat("a message without role", messages=[{"content": "hi"}]),
        _chat("a model that is no text", model=7),
        _chat("max_tokens that is no number", max_tokens="many"),
        _chat("two mistakes", max_tokens="many", n="few"),
        _chat("max_tokens of zero", max_tokens=0),
        _chat("max_tokens below zero", max_tokens=-1),
        _chat("max_completion_tokens of zero", max_completion_tokens=0),
        _chat("max_tokens above the context", max_tokens=999_999),
        _chat("max_completion_tokens above the context", max_completion_tokens=999_999),
        _chat("a prompt above the context", messages=[{"role": "user", "content": "word " * 2100}]),
        _chat("prompt and bound above the context", max_tokens=2040, messages=MANY_WORDS, **SCRIPTED),
        _chat("no answers", n=0),
        _chat("two greedy answers", n=2, **SHORT),
        _chat("a hot temperature", temperature=3),
        _chat("a cold temperature", temperature=-1),
        _chat("top_p of zero", top_p=0),
        _chat("usage without stream", stream_options=USAGE),
        _chat("min above max", min_tokens=9, max_tokens=3),
        _chat("a stream that is no truth", stream="maybe"),
        _chat("a fraction of a token", max_tokens=1.5),
        _chat("automatic tools", tools=[TOOL]),
        _text("text above the context", prompt="word " * 2100),
        _text("text with a zero bound", max_tokens=0),
    ],
    "adapters": [
        _load("load", "green", "green"),
        Exchange("models with an adapter", "/v1/models", method="GET"),
        _chat("chat with an adapter", model="green", **SHORT),
        _chat("stream with an adapter", model="green", stream=True, stream_options=USAGE, **SHORT),
        _messages("anthropic with an adapter", model="green", max_tokens=2),
        _load("load again", "green", "green"),
        _load("load in place", "green", "green", load_inplace=True),
        _load("load with unknown fields", "extra", "green", colour="green"),
        _load("load as the base", "base", "green"),
        _load("load without a name", "", "green"),
        Exchange("load without a path", LOAD, {"lora_name": "x", "lora_path": ""}),
        Exchange("load with a missing field", LOAD, {"lora_name": "x"}),
        Exchange("load with another content type", LOAD, raw=b"{}", headers={"content-type": "text/plain"}),
        _load("load nothing", "nothing", "nothing"),
        _load("load without config", "without-config", "without-config"),
        _load("load without weights", "without-weights", "without-weights"),
        _load("load a bad config", "bad-config", "bad-config"),
        _load("load a truncated file", "truncated", "truncated"),
        _load("load a rank too big", "rank-too-big", "rank-too-big"),
        _load("load dora", "dora", "dora"),
        _load("load pissa", "pissa", "pissa"),
        _load("load a bias", "with-bias", "with-bias"),
        _load("load an unknown module", "unknown-module", "unknown-module"),
        Exchange("unload the extra", UNLOAD, {"lora_name": "extra"}),
        Exchange("unload", UNLOAD, {"lora_name": "green"}),
        Exchange("unload again", UNLOAD, {"lora_name": "green"}),
        Exchange("unload without a name", UNLOAD, {"lora_name": ""}),
        Exchange("unload with a missing field", UNLOAD, {}),
        _chat("chat after unloading", model="green", **SHORT),
        Exchange("models at the end", "/v1/models", method="GET"),
    ],
    "leaving": [
        Exchange(
            "leave a stream",
            CHAT,
            {"model": "base", "messages": FRANCE, "stream": True, "max_tokens": 500, "ignore_eos": True},
            leave_after=3,
        ),
        Exchange(
            "leave before the answer",
            CHAT,
            {"model": "base", "messages": FRANCE, "max_tokens": 500, "ignore_eos": True},
            leave_after=0,
        ),
    ],
    "metrics": [Exchange("metrics", "/metrics", method="GET")],
}

# Answers are kept only by an engine that is told to; it never forgets one, so its memory grows with every call.
STORE_ENVIRONMENT = {"VLLM_ENABLE_RESPONSES_API_STORE": "1"}
STORE_GROUPS: dict[str, list[Exchange]] = {
    "stored": [
        _responses("a kept answer", request_id="resp_first", max_output_tokens=2),
        Exchange("what was kept", RESPONSES + "/resp_first", method="GET"),
        _responses(
            "an answer after it", previous_response_id="resp_first", request_id="resp_second", max_output_tokens=2
        ),
        _responses("an answer not to be kept", store=False, request_id="resp_gone", max_output_tokens=2),
        Exchange("what was not kept", RESPONSES + "/resp_gone", method="GET"),
        _responses("a kept stream", stream=True, request_id="resp_stream", max_output_tokens=2),
        Exchange("what was streamed", RESPONSES + "/resp_stream", method="GET"),
        _responses("after what nobody kept", previous_response_id="resp_nothing"),
        Exchange("cancel what is done", RESPONSES + "/resp_first/cancel"),
        Exchange("delete what was kept", RESPONSES + "/resp_first", method="DELETE"),
        Exchange("the input of what was kept", RESPONSES + "/resp_first/input_items", method="GET"),
    ],
}

# An engine generates or it embeds.
EMBEDDING_FLAGS = ("--runner", "pooling", "--convert", "embed")
EMBEDDING_GROUPS: dict[str, list[Exchange]] = {
    "embeddings": [
        _embeddings("a text"),
        _embeddings("two texts", input=["Hello", "Hello there"]),
        _embeddings("ids", input=[504, 3575]),
        _embeddings("two lists of ids", input=[[504], [3575, 19556]]),
        _embeddings("as base64", encoding_format="base64"),
        _embeddings("an unknown model", model="nope"),
        _embeddings("a text above the context", input="word " * 2100),
        _chat("a chat"),
        _responses("a response"),
        Exchange("tokenize", "/tokenize", {"model": "base", "prompt": "Hello there"}),
    ],
}

# Calls of tools need an engine that was started with these flags.
TOOL_FLAGS = ("--enable-auto-tool-choice", "--tool-call-parser", "hermes")
TOOL_SCHEMA = {
    "type": "object",
    "properties": {"id": {"type": "integer"}},
    "required": ["id"],
    "additionalProperties": False,
}
TOOLS = [{"type": "function", "function": {"name": "look_up", "description": "d", "parameters": TOOL_SCHEMA}}]
# The small model can not be trusted with a call, and would fill it with spaces or make another one after it: it may
# make one, with these arguments and no blank more. A schema of one value is said as it is written.
ARGUMENTS = {"id": 7}
ONE_VALUE = {"type": "object", "enum": [ARGUMENTS]}
ONE_CALL = {
    "tools": [
        {
            "type": "function",
            "function": {"name": "look_up", "description": "d", "strict": True, "parameters": ONE_VALUE},
        }
    ],
    "parallel_tool_calls": False,
}
ANTHROPIC_CALL = {
    "tools": [{"name": "look_up", "description": "d", "strict": True, "input_schema": ONE_VALUE}],
    "tool_choice": {"type": "any", "disable_parallel_tool_use": True},
}
ASK = [{"role": "user", "content": '[[call=look_up {"id": 7}]] Look up 7'}]
AFTER_WORDS = [{"role": "user", "content": f"[[say=one]] {ASK[0]['content']}"}]
A_CALL = '<tool_call>\n{"name": "look_up", "arguments": {"id": 7}}\n</tool_call>'
CALLED = {"id": "call-1", "type": "function", "function": {"name": "look_up", "arguments": '{"id": 7}'}}
TURNS = [
    {"role": "user", "content": "Look up 7."},
    {"role": "assistant", "content": None, "tool_calls": [CALLED]},
    {"role": "tool", "tool_call_id": "call-1", "content": "Seven. [[say=one two three]]"},
]


NAMED = {"type": "function", "function": {"name": "look_up"}}


def _tools(name: str, say: str | None = A_CALL, **body: Any) -> Exchange:
    forced = {"structured_outputs": {"choice": [say]}} if say else {}
    return _chat(name, **{"tools": TOOLS, "messages": ASK, "max_tokens": 100} | forced | body)


TOOL_GROUPS: dict[str, list[Exchange]] = {
    "tools": [
        _tools("a call"),
        _tools("a call in a stream", stream=True, stream_options=USAGE),
        _tools("a call with continuous usage", stream=True, stream_options=CONTINUOUS),
        _tools("a call after words", "one " + A_CALL, messages=AFTER_WORDS),
        _tools("a call after words in a stream", "one " + A_CALL, messages=AFTER_WORDS, stream=True),
        _tools("words although there are tools", "one two three", messages=SAY),
        _tools("words in a stream", "one two three", messages=SAY, stream=True),
        _tools("after the tool answered", "one two three", messages=TURNS),
        _tools("tools that may not be used", "one two three", messages=SAY, tool_choice="none"),
        _tools("a required call", None, tool_choice="required", **ONE_CALL),
        _tools("a required call in a stream", None, tool_choice="required", stream=True, **ONE_CALL),
        _tools("a named call", None, tool_choice=NAMED, **ONE_CALL),
        _tools("a named call in a stream", None, tool_choice=NAMED, stream=True, **ONE_CALL),
        _chat("no tools", messages=SAY, **SCRIPTED),
        _chat("no tools in a stream", messages=SAY, stream=True, stream_options=USAGE, **SCRIPTED),
        _chat("a bound without tools", stream=True, **SHORT),
        _messages("an anthropic call in a stream", messages=ASK, max_tokens=100, stream=True, **ANTHROPIC_CALL),
        _messages("anthropic words in a stream", messages=SAY, stream=True, **ANTHROPIC_SCRIPT),
    ],
}

#: Every group, with the flags and the environment of the engine that it is sent to.
SETUPS: list[tuple[dict[str, list[Exchange]], tuple[str, ...], dict[str, str]]] = [
    (GROUPS, (), {}),
    (TOOL_GROUPS, TOOL_FLAGS, {}),
    (STORE_GROUPS, (), STORE_ENVIRONMENT),
    (EMBEDDING_GROUPS, EMBEDDING_FLAGS, {}),
]
