"""Entries that are read and replaced by key: the last message of each subject of a stream."""

from agenttype_bus.jetstream import Entry, JetStream, Message
from agenttype_bus.operation_labels import Operation
from agenttype_bus.streams import Stream


class KeyValue:
    """The entries of one stream; a key is a subject, and a write names the revision that it replaces."""

    def __init__(self, jetstream: JetStream, stream: Stream) -> None:
        self._jetstream = jetstream
        self._stream = stream

    async def get(self, key: str) -> Entry:
        """Read one entry.

        Raises:
            Unavailable: There is no answer.
        """
        return await self._jetstream.last(Operation.GET, self._stream, key)

    async def put(self, key: str, value: bytes, revision: int, seconds: int | None = None) -> int:
        """Write an entry whose revision is still the given one (0: it does not exist); return its new revision.

        Args:
            key: the entry's subject.
            value: what it is to be.
            revision: the one that was read.
            seconds: after which the entry is gone; None: it stays.

        Raises:
            WrongRevision: It has another revision; nothing happened, and nothing will.
            Unavailable: It may or may not be written.
        """
        headers = {"Nats-Expected-Last-Subject-Sequence": str(revision)}
        if seconds is not None:
            headers["Nats-TTL"] = str(seconds)
        answer = await self._jetstream.publish(Operation.PUT, self._stream, Message(key, value, headers))
        return int(answer["seq"])

    async def changed(self, pattern: str, after: int) -> dict[str, Entry]:
        """Return the entries under a wildcard that were written after a revision, by key; 0: all of them.

        Raises:
            Unavailable: There is no answer.
        """
        found: dict[str, Entry] = {}
        while page := await self._jetstream.page(Operation.LIST, self._stream, pattern, after):
            found |= page
            after = max(entry.revision for entry in page.values())
        return found
