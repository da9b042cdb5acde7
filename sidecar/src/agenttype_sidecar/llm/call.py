"""One call, as policy sees it: read once and strictly, because a guess would be a way around the budget."""

from typing import Any, Final, NamedTuple

from agenttype_api.policy import Credential

from agenttype_sidecar.budget import reservation
from agenttype_sidecar.budget.reservation import Claim, Grant
from agenttype_sidecar.errors import MalformedBody
from agenttype_sidecar.llm import prompt_bound, tokenize
from agenttype_sidecar.llm.body import Body
from agenttype_sidecar.llm.paths import Endpoint, Operation
from agenttype_sidecar.routing.routes import Routes, Target

#: The bound of `/v1/completions` if the caller sets none, in every implementation.
_COMPLETION_TOKENS: Final = 16
#: More than any answer has; a larger bound means no bound, and the ledger could not hold it.
_MOST_TOKENS: Final = 2**31 - 1
#: Used at every call, and looking up a member of an enumeration is slow.
_COUNT: Final = Operation.COUNT
_POD_TOKEN: Final = Credential.POD_TOKEN
_BOUNDS: Final = {
    Operation.CHAT: ("max_tokens", "max_completion_tokens"),
    Operation.RESPONSES: ("max_output_tokens",),
    Operation.EMBEDDINGS: (),
}
#: Members with which an engine sends all the text of its answer as it writes it. Others may make it write tokens
#: without text (`logit_bias`, `ignore_eos`), or hold text back (`tools`, stop words as long as an answer).
_SHOWING: Final = frozenset({
    "model", "messages", "system", "input", "instructions", "max_tokens", "max_output_tokens", "stream", "temperature",
    "top_p", "top_k", "min_p", "presence_penalty", "frequency_penalty", "seed", "metadata", "user", "store",
    "truncation", "thinking", "reasoning", "include_reasoning", "previous_response_id", "prompt_cache_key",
    "service_tier", "safety_identifier", "parallel_tool_calls", "tool_choice", "cache_salt",
})  # fmt: skip
#: Operations that answer with a usage chunk on request.
_CHUNKED: Final = (Operation.CHAT, Operation.COMPLETIONS)


class LlmCall(NamedTuple):
    """A call that has a route.

    Attributes:
        answers: How many answers it asks for.
        prompts: How many prompts it carries.
        output: Tokens per answer, as the caller bounds them; None if it does not.
        bounded: Whether its bytes bound its prompt's tokens; not with images, files, or a template of its own.
        keeps_usage: Whether the caller asked for the usage chunk of a stream.
        keeps_count: Whether it asked for the running count too.
    """

    endpoint: Endpoint
    body: Body
    target: Target
    stream: bool
    answers: int
    prompts: int
    output: int | None
    bounded: bool
    keeps_usage: bool
    keeps_count: bool

    @property
    def is_ours(self) -> bool:
        """Whether the backend is an engine behind our gate, whose behaviour we know."""
        return self.target.backend.credential is _POD_TOKEN

    @property
    def requested_model(self) -> str:
        """The model's name as the caller wrote it."""
        return str(self.body.get("model"))

    @property
    def is_free(self) -> bool:
        """Whether it costs nothing; then nothing is held for it and no limit counts it."""
        return self.endpoint.operation is _COUNT

    @property
    def has_tools(self) -> bool:
        """Whether it offers tools, for which a chat template may add text."""
        return bool(self.body.get("tools"))

    def claim(self, exact: int | None = None) -> Claim | None:
        """Return the call's claim on the budget, None if nothing bounds its prompt.

        Args:
            exact: tokens of the prompt, if they were counted.
        """
        context = self.target.backend.max_model_len
        surplus = prompt_bound.surplus(self.body) if self.bounded and exact is None else None
        if exact is not None:
            prompt = exact + tokenize.uncounted(self.body)
        elif surplus is not None:
            # A text longer than the context is embedded in parts.
            most = None if self.endpoint.operation is Operation.EMBEDDINGS else context
            size = self.body.size + surplus
            prompt = reservation.prompt_bound(size, most, self.prompts, tools=self.has_tools)
        elif context is not None:
            prompt = context * self.prompts
        else:
            return None
        return Claim(prompt, self.output, self.answers, context)

    @property
    def shows_all_text(self) -> bool:
        """Whether all that the model writes appears in the stream as text, as it is written.

        Only our own engines guarantee that, and it is needed only where there is no running count. Even an engine
        holds a tool call back until it is complete, and tokens past the answer's end have no text.
        """
        if not self.is_ours or self.endpoint.operation in _CHUNKED or self.body.get("include_reasoning") is False:
            return False
        return all(name in _SHOWING or not self.body.get(name) for name in self.body.members)

    @property
    def reports_each_token(self) -> bool:
        """Whether one of our engines with a running count reports every token, shown or not.

        It reports nothing while it collects tokens, parses a tool call, or writes reasoning that it must not show.
        """
        get = self.body.get
        return not (get("tools") or get("stream_interval") or get("include_reasoning") is False)


def read(endpoint: Endpoint, body: Body, routes: Routes) -> LlmCall:
    """Return what a body asks for.

    Raises:
        MalformedBody: A member that policy reads is not as the protocol requires.
        UnknownModel: No route matches.
        WrongProtocol: The backend does not speak the protocol.
    """
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise MalformedBody("the body must name a model, as a string")
    target = routes.find(model, endpoint.protocol)
    options = body.get("stream_options")
    if options is None:
        options = {}
    elif not isinstance(options, dict):
        raise MalformedBody("stream_options must be an object")
    amount = _prompts(body, endpoint)
    return LlmCall(
        endpoint=endpoint,
        body=body,
        target=target,
        stream=_flag(body, "stream"),
        answers=_answers(body, endpoint) * amount,
        prompts=amount,
        output=_output(body, endpoint),
        bounded=target.backend.counts_bytes and prompt_bound.is_all_text(body, endpoint),
        keeps_usage=options.get("include_usage") is True,
        keeps_count=options.get("continuous_usage_stats") is True,
    )


def aimed(call: LlmCall, target: Target) -> LlmCall:
    """Return the same call for another target."""
    if target is call.target:
        return call
    bounded = target.backend.counts_bytes and prompt_bound.is_all_text(call.body, call.endpoint)
    return call._replace(target=target, bounded=bounded)


def rewritten(call: LlmCall, grant: Grant) -> bytes:
    """Return the body that goes upstream: model, bound and usage are ours, all other bytes are the caller's."""
    changes: dict[str, Any] = {}
    model = call.target.route.model
    if model is not None and model != call.body.get("model"):
        changes["model"] = model
    context = call.target.backend.max_model_len if call.is_ours else None
    if grant.output is not None:
        _bound(call, grant.output if context is None else min(grant.output, context), changes)
    elif context is not None and call.output is not None and call.output > context:
        # Agents ask for what the original model of this name can write; an engine refuses more than its context.
        _bound(call, context, changes)
    if call.stream and call.endpoint.operation in _CHUNKED:
        options = call.body.get("stream_options") or {}
        wanted = {**options, "include_usage": True}
        if counts_running(call, grant):
            wanted["continuous_usage_stats"] = True
        if wanted != options:
            changes["stream_options"] = wanted
    return call.body.spliced(changes)


def counts_running(call: LlmCall, grant: Grant) -> bool:
    """Return whether to ask for a running count, so that a cut stream is charged for what it delivered."""
    if grant.output is None or not call.is_ours or not call.stream:
        return False
    # The engine counts several answers separately and gives no sum.
    return call.answers == 1 and call.endpoint.operation in _CHUNKED


def tokenize_body(call: LlmCall) -> bytes | None:
    """Return the body for the engine's `/tokenize`, None if that cannot render the call's prompt."""
    model = call.target.route.model or call.requested_model
    return tokenize.question(call.body, call.endpoint, model)


def _bound(call: LlmCall, output: int, changes: dict[str, Any]) -> None:
    names = _bounds(call.endpoint)
    named = [name for name in names if call.body.get(name) is not None]
    for name in named:
        if call.body.get(name) > output:
            changes[name] = output
    if names and not named:
        # Reasoning models refuse max_tokens; our engines accept both.
        modern = call.endpoint.operation is Operation.CHAT and not call.is_ours
        changes["max_completion_tokens" if modern else names[0]] = output


def _bounds(endpoint: Endpoint) -> tuple[str, ...]:
    return _BOUNDS.get(endpoint.operation, ("max_tokens",))


def _output(body: Body, endpoint: Endpoint) -> int | None:
    if endpoint.operation is Operation.EMBEDDINGS:
        return 0
    bounds = [bound for name in _bounds(endpoint) if (bound := _whole(body, name, least=0)) is not None]
    # Servers differ in which of two bounds wins, so the larger is what the call can cost.
    found = max(bounds, default=None)
    if found is None and endpoint.operation is Operation.COMPLETIONS:
        return _COMPLETION_TOKENS
    return None if found is None else min(found, _MOST_TOKENS)


def _answers(body: Body, endpoint: Endpoint) -> int:
    if endpoint.operation is Operation.EMBEDDINGS:
        return 1
    # Not every protocol has these members, but a server that speaks several may read them in all.
    return max(_whole(body, "n", least=1) or 1, _whole(body, "best_of", least=1) or 1)


def _prompts(body: Body, endpoint: Endpoint) -> int:
    match endpoint.operation:
        case Operation.COMPLETIONS:
            embeds = body.get("prompt_embeds")  # in addition to the prompts, or instead of them
            return _many(body.get("prompt")) + (0 if embeds is None else _many(embeds))
        case Operation.EMBEDDINGS:
            return max(_many(body.get("input")), _many(body.get("messages")))
        case _:
            return 1


def _many(prompt: Any) -> int:
    """Return the number of prompts: one for a text or a list of numbers, else the length of the list."""
    return len(prompt) if isinstance(prompt, list) and prompt and not isinstance(prompt[0], int) else 1


def _whole(body: Body, name: str, *, least: int) -> int | None:
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise MalformedBody(f"{name} must be a whole number of {least} or more")
    return value


def _flag(body: Body, name: str) -> bool:
    value = body.get(name)
    if value is None:
        return False
    if not isinstance(value, bool):
        raise MalformedBody(f"{name} must be true or false")
    return value
