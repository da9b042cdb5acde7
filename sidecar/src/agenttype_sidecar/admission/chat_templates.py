"""What chat templates were seen to add to prompts, beyond what is taken for granted. Pure.

A template may say something of its own in front of every prompt: some models bring instructions of hundreds of tokens.
How many is known from the first answer or count on, and every later prompt of the model is held with them. Until then
a call that comes close to a limit is counted by the engine.
"""

from typing import Final

from agenttype_sidecar.admission.demand import Demand

#: No template says more than this of its own: a backend that reports more is not believed.
MOST: Final = 4096


class ChatTemplates:
    """Remembers the longest of each model, with tools and without; as many as the policy names models."""

    def __init__(self) -> None:
        self._added: dict[tuple[str, str, bool], int] = {}

    def knows(self, call: Demand) -> bool:
        """Return whether a prompt of this kind was seen, or its bound holds whatever a template says."""
        return not call.bounded or _key(call) in self._added

    def adds(self, call: Demand) -> int:
        """Return the tokens to hold for a prompt beside what its bytes bound."""
        return self._added.get(_key(call), 0) if self._added and call.bounded else 0

    def saw(self, call: Demand, prompt: int, held: int) -> None:
        """Take note that a prompt had so many tokens, of so many that were held for it."""
        key = _key(call)
        if prompt > held and call.bounded:
            claim = call.claim()
            beyond = prompt - claim.prompt if claim is not None else 0
            self._added[key] = max(self._added.get(key, 0), min(beyond, MOST))
        elif key not in self._added:
            self._added[key] = 0


def _key(call: Demand) -> tuple[str, str, bool]:
    return call.target.backend.name, call.target.model, call.has_tools
