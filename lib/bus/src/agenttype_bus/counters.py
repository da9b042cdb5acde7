"""Counters that only grow: each message of a subject adds to its sum (Nats-Incr), and the answer says the sum."""

import json

from agenttype_bus.jetstream import Entry, JetStream, Message
from agenttype_bus.operation_labels import Operation
from agenttype_bus.streams import Stream


class Counters:
    """The counters of one stream; each has a subject."""

    def __init__(self, jetstream: JetStream, stream: Stream) -> None:
        self._jetstream = jetstream
        self._stream = stream

    async def add(self, subject: str, amount: int, message_id: str) -> int:
        """Add once, however often it is repeated within minutes; return a sum not below that after the addition.

        Raises:
            Unavailable: It may or may not be added.
        """
        headers = {"Nats-Incr": f"+{amount}", "Nats-Msg-Id": message_id}
        answer = await self._jetstream.publish(Operation.ADD, self._stream, Message(subject, b"", headers))
        if "val" in answer:
            return int(answer["val"])
        if not answer.get("duplicate"):
            raise self._jetstream.failed(Operation.ADD, "the stream does not count: the server must be 2.12 or newer")
        # It was added before, and the answer leaves out what the sum was; a later one is no smaller.
        found = await self._jetstream.last(Operation.ADD, self._stream, subject)
        if found.revision < answer["seq"]:
            raise self._jetstream.failed(Operation.ADD, "the counter was read from a server that is behind")
        return _sum(found)

    async def total(self, subject: str) -> int:
        """Return a counter's sum, perhaps an old one; 0 where it has none.

        Raises:
            Unavailable: There is no answer.
        """
        return _sum(await self._jetstream.last(Operation.GET, self._stream, subject))


def _sum(entry: Entry) -> int:
    return int(json.loads(entry.value)["val"]) if entry.value else 0
