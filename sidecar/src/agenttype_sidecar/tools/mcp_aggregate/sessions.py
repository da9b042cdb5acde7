"""Sessions of the aggregate endpoint, for callers of the older era: a random name for requests that belong together.

A session proves nothing: only the agent can reach this port. It ends when the caller ends it, or when newer sessions
need its place. A caller that gets 404 opens another, as the specification says.
"""

import asyncio
import secrets
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Final

from agenttype_sidecar.tools.mcp.messages import MessageId
from agenttype_sidecar.tools.refusals import Cancelled

#: How many are kept; an agent that opens more only loses its own oldest.
MOST: Final = 256


class InFlight:
    """One request that is being answered and may be cancelled, even before its server has been asked.

    Attributes:
        is_cancelled: Whether it was cancelled.
    """

    def __init__(self) -> None:
        self.is_cancelled = False
        self._task: asyncio.Task[dict[str, Any]] | None = None

    async def ask(self, request: Callable[[], Coroutine[Any, Any, dict[str, Any]]]) -> dict[str, Any]:
        """Ask the server in a task that can be cancelled, and return its answer.

        Raises:
            Cancelled: It was cancelled.
        """
        if self.is_cancelled:
            raise Cancelled
        self._task = asyncio.get_running_loop().create_task(request())
        try:
            return await self._task
        except asyncio.CancelledError:
            this = asyncio.current_task()
            if this is not None and this.cancelling():
                raise
            raise Cancelled from None

    def cancel(self) -> None:
        """Cancel the request, before or while its server is asked."""
        self.is_cancelled = True
        if self._task is not None:
            self._task.cancel()


@dataclass(slots=True)
class Session:
    """One caller's session; `running` has its requests by their ids."""

    identity: str
    running: dict[MessageId, InFlight] = field(default_factory=dict)


class Sessions:
    """All sessions, the most recently used at the end."""

    def __init__(self) -> None:
        self._open: OrderedDict[str, Session] = OrderedDict()

    def opened(self) -> tuple[Session, list[Session]]:
        """Return a new session, and the sessions that were ended for it."""
        session = Session(secrets.token_urlsafe(24))
        self._open[session.identity] = session
        ended = []
        while len(self._open) > MOST:
            ended.append(self._open.popitem(last=False)[1])
        return session, ended

    def get(self, identity: bytes) -> Session | None:
        """Return a session, None if there is none of this name."""
        session = self._open.get(identity.decode("latin-1"))
        if session is not None:
            self._open.move_to_end(session.identity)
        return session

    def closed(self, identity: bytes) -> Session | None:
        """End a session and return it, None if there is none of this name."""
        return self._open.pop(identity.decode("latin-1"), None)
