"""What chat templates were seen to add to prompts, beyond what is taken for granted. Pure.

A template may say something of its own in front of every prompt: some models bring instructions of hundreds of tokens.
Nobody tells how many before the first answer does; from then on every prompt of the model is held with them.
"""

from typing import Final

from agenttype_sidecar.llm import call as calls
from agenttype_sidecar.llm.call import Call

#: No template says more than this of its own: a backend that reports more is not believed.
MOST: Final = 4096


class Templates:
    """Remembers the longest of each model, with tools and without; as many as the policy names models."""

    def __init__(self) -> None:
        self._added: dict[tuple[str, str, bool], int] = {}

    def adds(self, call: Call) -> int:
        """Return the tokens to hold for a prompt beside what its bytes bound."""
        return self._added.get(_key(call), 0) if self._added else 0

    def saw(self, call: Call, prompt: int) -> None:
        """Take note that a prompt had so many tokens."""
        ask = calls.ask(call)
        if call.bounded and ask is not None and prompt > ask.prompt:
            key = _key(call)
            self._added[key] = max(self._added.get(key, 0), min(prompt - ask.prompt, MOST))


def _key(call: Call) -> tuple[str, str, bool]:
    return call.target.backend.name, call.target.model, bool(call.body.get("tools"))
