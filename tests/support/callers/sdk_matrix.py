"""Which unmodified SDKs are run, and how many requests each makes of a budget that is used up."""

from typing import Final, NamedTuple

STATUSES: Final = (402, 403, 429)


class Row(NamedTuple):
    """One SDK on one route.

    Attributes:
        name: As docs/protocols.md names it.
        route: The path that it calls.
        sdk: Its environment in tests/support/callers/sdks.
        program: Its program there.
        requests: Until it gives up, for each of `STATUSES`.
    """

    name: str
    route: str
    sdk: str
    program: str
    requests: tuple[int, int, int] = (1, 1, 1)


CHAT, RESPONSES, MESSAGES = "/v1/chat/completions", "/v1/responses", "/v1/messages"
MATRIX: Final = (
    Row("openai (Python)", CHAT, "openai", "openai_chat.py"),
    Row("openai (Python)", RESPONSES, "openai", "openai_responses.py"),
    Row("anthropic (Python)", MESSAGES, "anthropic", "anthropic_messages.py"),
    Row("litellm", CHAT, "litellm", "litellm_openai.py"),
    Row("litellm", MESSAGES, "litellm", "litellm_anthropic.py"),
    Row("langchain-openai", CHAT, "langchain", "langchain_openai_chat.py"),
    Row("langchain-anthropic", MESSAGES, "langchain", "langchain_anthropic_chat.py"),
    Row("pydantic-ai", CHAT, "pydantic-ai", "pydantic_ai_chat.py"),
    Row("pydantic-ai", RESPONSES, "pydantic-ai", "pydantic_ai_responses.py"),
    Row("pydantic-ai", MESSAGES, "pydantic-ai", "pydantic_ai_anthropic.py"),
    Row("openai-agents", RESPONSES, "openai-agents", "openai_agents.py"),
    Row("autogen", CHAT, "autogen", "autogen_chat.py"),
    Row("openai (JavaScript)", CHAT, "node", "openai_chat.mjs"),
    Row("openai (JavaScript)", RESPONSES, "node", "openai_responses.mjs"),
    Row("@anthropic-ai/sdk", MESSAGES, "node", "anthropic_messages.mjs"),
    Row("ai + @ai-sdk/openai", RESPONSES, "node", "ai_openai.mjs", requests=(1, 1, 3)),
    Row("ai + @ai-sdk/anthropic", MESSAGES, "node", "ai_anthropic.mjs"),
)
