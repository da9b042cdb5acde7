"""Sessions of the merged endpoint, for callers of the older era: a random name for what belongs together.

A session is no proof of anything: whoever reaches this port is the agent. It ends when the caller says so, or when
newer ones need its place; a caller that hears 404 opens another, as the specification has it.
"""

import asyncio
import secrets
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any, Final

from agenttype_sidecar.tools.messages import MessageId

#: How many are kept; an agent that opens them without end only loses its own oldest.
MOST: Final = 256


@dataclass(slots=True)
class Session:
    """One caller's session; `running` are its calls by the ids that it gave them."""

    identity: str
    running: dict[MessageId, asyncio.Task[dict[str, Any]]] = field(default_factory=dict)


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
