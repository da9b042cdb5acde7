"""The long poll: a real client against sidecars that answer when they have news."""

import asyncio
import json

import pytest
from agenttype_api import keys
from agenttype_operator.kube.kinds import Key
from agenttype_operator.pods.report_watch import ReportWatch, Timing
from support.waiting import until_async

OWNER = Key("AgentType", "default", "green")
QUICK = Timing(wait=30.0, grace=1.0, connect=1.0, pause=0.01, longest=0.05)


class Sidecar:
    """A control port that holds its answer back until its report has changed."""

    def __init__(self):
        self.report = {"policyHash": "h", "sequence": 1}
        self.asked = []
        self.connections = 0
        self.changed = asyncio.Condition()
        self.raw = None

    async def say(self, **members):
        async with self.changed:
            self.report = {**self.report, "sequence": self.report["sequence"] + 1, **members}
            self.changed.notify_all()

    async def serve(self, reader, writer):
        self.connections += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                target = head.split(b" ")[1].decode()
                self.asked.append(target)
                after = int(target.partition("after=")[2].partition("&")[0] or -1)
                async with self.changed:
                    await self.changed.wait_for(lambda after=after: self.report["sequence"] > after)
                body = json.dumps(self.report).encode()
                writer.write(self.raw or b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@pytest.fixture
async def sidecar():
    found = Sidecar()
    server = await asyncio.start_server(found.serve, "127.0.0.1", 0)
    found.port = server.sockets[0].getsockname()[1]
    found.server = server
    yield found
    server.close()


@pytest.fixture
async def heard():
    return []


@pytest.fixture
async def watcher(sidecar, heard):
    found = ReportWatch(lambda *said: heard.append(said), lambda: 1.0, sidecar.port, QUICK)
    yield found
    await found.close()


def a_pod(uid="u", container="c1", ip="127.0.0.1"):
    statuses = [{"name": "agenttype-sidecar", "containerID": container}]
    return {"metadata": {"name": "one", "uid": uid}, "status": {"podIP": ip, "initContainerStatuses": statuses}}


async def test_a_pod_is_asked_once_and_then_only_waited_for(sidecar, watcher, heard):
    watcher.follow(OWNER, [a_pod()])
    await until_async(lambda: len(sidecar.asked) == 2)

    [(owner, pod, report)] = heard

    assert (owner, pod["metadata"]["uid"], report.sequence) == (OWNER, "u", 1)
    assert sidecar.asked == [keys.POLICY_STATUS_PATH, f"{keys.POLICY_STATUS_PATH}?after=1&wait=30"]
    assert sidecar.connections == 1


async def test_news_are_heard_at_once(sidecar, watcher, heard):
    watcher.follow(OWNER, [a_pod()])
    await until_async(lambda: len(sidecar.asked) == 2)

    await sidecar.say(stopped="rule")
    await until_async(lambda: len(heard) == 2)

    assert heard[-1][2].stopped == "rule"


async def test_an_answer_without_news_is_not_heard(sidecar, watcher, heard):
    watcher.follow(OWNER, [a_pod()])
    await until_async(lambda: len(sidecar.asked) == 2)
    sidecar.raw = b'HTTP/1.1 200 OK\r\ncontent-length: 32\r\n\r\n{"policyHash":"h","sequence":  1}'

    await sidecar.say()
    await until_async(lambda: len(sidecar.asked) > 2)

    assert len(heard) == 1


async def test_following_again_asks_no_pod_again(sidecar, watcher):
    watcher.follow(OWNER, [a_pod()])
    await until_async(lambda: len(sidecar.asked) == 2)
    watcher.follow(OWNER, [a_pod()])

    assert (len(watcher), sidecar.connections) == (1, 1)


async def test_a_restarted_sidecar_is_watched_from_its_beginning(sidecar, watcher, heard):
    watcher.follow(OWNER, [a_pod()])
    await until_async(lambda: len(sidecar.asked) == 2)
    watcher.follow(OWNER, [a_pod(container="c2")])
    await until_async(lambda: len(heard) == 2)

    assert sidecar.connections == 2
    assert len(watcher) == 1


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 500 No\r\ncontent-length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\ncontent-length: 9999999\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n{}",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: " + b"x" * 20000 + b"\r\n\r\n",
    ],
    ids=["an error", "no length", "too long", "no report", "a length that is none", "no HTTP", "an endless head"],
)
async def test_an_answer_that_makes_no_sense_is_tried_again_later(sidecar, watcher, heard, raw):
    sidecar.raw = raw
    watcher.follow(OWNER, [a_pod()])
    await until_async(lambda: sidecar.connections >= 2)
    assert heard == []

    sidecar.raw = None
    await until_async(lambda: heard)


async def test_a_pod_that_cannot_be_reached_is_tried_until_it_can(sidecar, watcher, heard):
    sidecar.server.close()
    watcher.follow(OWNER, [a_pod()])
    await asyncio.sleep(0)
    server = await asyncio.start_server(sidecar.serve, "127.0.0.1", sidecar.port)
    async with server:
        await until_async(lambda: heard)
        watcher.forget("u")


async def test_a_pod_that_no_longer_runs_is_let_go(sidecar, watcher):
    watcher.follow(OWNER, [a_pod()])
    await until_async(lambda: len(sidecar.asked) == 2)
    watcher.follow(OWNER, [])
    watcher.forget("u")

    assert (len(watcher), watcher._watched, watcher._owners) == (0, {}, {})


async def test_a_pod_without_an_address_is_not_watched(watcher):
    watcher.follow(OWNER, [a_pod(ip="")])

    assert len(watcher) == 0
