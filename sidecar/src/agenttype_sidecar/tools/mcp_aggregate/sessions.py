"""Sessions of the merged endpoint, for callers of the older era: a random name for what belongs together.

A session is no proof of anything: whoever reaches this port is the agent. It ends when the caller says so, or when
newer ones need its place; a caller that hears 404 opens another, as the specification has it.
"""

import asyncio
import secrets
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Final

from agenttype_sidecar.tools.mcp.messages import MessageId
from agenttype_sidecar.tools.refusals import Cancelled

#: How many are kept; an agent that opens them without end only loses its own oldest.
MOST: Final = 256


class InFlight:
    """One request that is being answered, and may be called off: also before its server has been asked.

    Attributes:
        is_off: Whether it was.
    """

    def __init__(self) -> None:
        self.is_cancelled = False
        self._task: asyncio.Task[dict[str, Any]] | None = None

    async def ask(self, request: Callable[[], Coroutine[Any, Any, dict[str, Any]]]) -> dict[str, Any]:
        """Ask the server, in a task that can be called off, and return its answer.

        Raises:
            Cancelled: It was called off.
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
        """Ask no server, or ask no further."""
        self.is_cancelled = True
        if self._task is not None:
            self._task.cancel()


@dataclass(slots=True)
class Session:
    """One caller's session; `running` are its requests by the ids that it gave them."""

    identity: str
    running: dict[MessageId, InFlight] = field(default_factory=dict)


class Sessions:
    """All sessions, the one used last at the end."""

    def __init__(self) -> None:
        self._open: OrderedDict[str, Session] = OrderedDict()

    def opened(self) -> tuple[Session, list[Session]]:
        """Return a new session, and those that had to end for it."""
        session = Session(secrets.token_urlsafe(24))
        self._open[session.identity] = session
        ended = []
        while len(self._open) > MOST:
            ended.append(self._open.popitem(last=False)[1])
        return session, ended

    def get(self, identity: bytes) -> Session | None:
        """Return a session, None where there is none of this name."""
        session = self._open.get(identity.decode("latin-1"))
        if session is not None:
            self._open.move_to_end(session.identity)
        return session

    def closed(self, identity: bytes) -> Session | None:
        """End a session and return it, None where there is none of this name."""
        return self._open.pop(identity.decode("latin-1"), None)
