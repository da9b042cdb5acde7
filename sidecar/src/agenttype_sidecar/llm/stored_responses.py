"""Which of the responses that backends keep are this agent's. Pure.

A backend keeps the responses of all its users, and gives them to any caller that names one. So a name is valid only if
the response was made through this sidecar and its answer was passed on to the end; any other name is unknown here. The
latest names are remembered, and the ledger keeps them across restarts.
"""

from typing import Any, Final

from agenttype_sidecar.budget.response_owners import ResponseOwners
from agenttype_sidecar.errors import UnknownResponse
from agenttype_sidecar.llm.body import Body
from agenttype_sidecar.llm.call import LlmCall
from agenttype_sidecar.llm.paths import Operation

_LONGEST: Final = 128


class StoredResponses:
    """Knows which backend keeps which response."""

    def __init__(self, responses: ResponseOwners) -> None:
        self._responses = responses

    def remember(self, call: LlmCall, ids: tuple[str, ...]) -> None:
        """Record what a call's backend keeps from now on."""
        if call.endpoint.operation is not Operation.RESPONSES or call.body.get("store") is False:
            return
        for name in ids:
            if len(name) <= _LONGEST and name.isascii():  # half a surrogate pair, for example, could not be recorded
                self._responses.keep(name, call.target.backend.name)

    def forget(self, name: str) -> None:
        """Record that a response is no longer kept."""
        self._responses.forget(name)

    def backend(self, name: str) -> str | None:
        """Return the name of the backend that keeps a response, None if it is not known."""
        return self._responses.backend(name)

    def owner(self, call: LlmCall) -> str | None:
        """Return the name of the backend that keeps what a call builds on, None if it builds on nothing known."""
        if call.endpoint.operation is not Operation.RESPONSES:
            return None
        owners = (self._responses.backend(name) for name in _named(call) if isinstance(name, str))
        return next((owner for owner in owners if owner is not None), None)

    def check(self, call: LlmCall) -> None:
        """Refuse a call that builds on something that is not this agent's.

        Raises:
            UnknownResponse: It names a response, an item or a conversation that was not made here.
        """
        if any(self._is_foreign(name, call) for name in _named(call)):
            raise UnknownResponse("the call builds on a response that this sidecar has not passed on, or not recently")

    def _is_foreign(self, name: Any, call: LlmCall) -> bool:
        return not isinstance(name, str) or self._responses.backend(name) != call.target.backend.name


def _named(call: LlmCall) -> list[Any]:
    """Return the names in a call of what backends keep."""
    if call.endpoint.operation is not Operation.RESPONSES:
        return []
    names = [call.body.get("previous_response_id"), call.body.get("conversation"), *_references(call.body)]
    return [name for name in names if name is not None]


def _references(body: Body) -> list[Any]:
    items_in = body.get("input")
    items = items_in if isinstance(items_in, list) else []
    return [item.get("id", "") for item in items if isinstance(item, dict) and _is_reference(item)]


def _is_reference(item: dict[str, Any]) -> bool:
    return item.get("type") == "item_reference" or (item.get("type") is None and "role" not in item)
