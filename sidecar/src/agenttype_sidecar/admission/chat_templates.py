"""What chat templates were seen to add to prompts, beyond the assumed bound. Pure.

A template may put text of its own before every prompt; some models have instructions of hundreds of tokens. The first
answer or count shows how many, and later prompts of the model are held with them. Until then, the engine counts any
call that comes close to a limit.
"""

from typing import Final

from agenttype_sidecar.admission.demand import Demand

#: No template adds more than this; a larger reported number is cut to it.
MOST: Final = 4096


class ChatTemplates:
    """Remembers the largest addition of each model, with and without tools; bounded by the models of the policy."""

    def __init__(self) -> None:
        self._added: dict[tuple[str, str, bool], int] = {}

    def knows(self, call: Demand) -> bool:
        """Return whether a prompt of this kind was seen, or its bound does not depend on the template."""
        return not call.bounded or _key(call) in self._added

    def adds(self, call: Demand) -> int:
        """Return the tokens to hold for a prompt in addition to its bound by bytes."""
        return self._added.get(_key(call), 0) if self._added and call.bounded else 0

    def saw(self, call: Demand, prompt: int, held: int) -> None:
        """Record that a prompt had `prompt` tokens where `held` were held for it."""
        key = _key(call)
        if prompt > held and call.bounded:
            claim = call.claim()
            beyond = prompt - claim.prompt if claim is not None else 0
            self._added[key] = max(self._added.get(key, 0), min(beyond, MOST))
        elif key not in self._added:
            self._added[key] = 0


def _key(call: Demand) -> tuple[str, str, bool]:
    return call.target.backend.name, call.target.model, call.has_tools
