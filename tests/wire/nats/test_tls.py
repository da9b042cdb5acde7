"""A store at tls://: who vouches for it, and that nothing is said to one that does not speak TLS."""

import asyncio
import json

import pytest
from agenttype_api.policy import Identity, Nats
from agenttype_sidecar.leases.nats_store import NatsStore
from agenttype_sidecar.leases.shares import Addition
from support.builders.certificates import Authority
from support.builders.lease_pods import an_account
from support.programs.nats_servers import nats_server
from support.waiting import until_async

ACCOUNT = an_account(100)


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    found = Authority(tmp_path_factory.mktemp("authority"))
    found.server("localhost")
    return found


@pytest.fixture
def nats(authority):
    stem = str(authority.certificate.with_name("authority-localhost-1"))
    with nats_server("--tls", "--tlscert", f"{stem}.pem", "--tlskey", f"{stem}.key", "--auth", "secret") as server:
        yield server


@pytest.fixture
def token(tmp_path):
    file = tmp_path / "token"
    file.write_text("secret\n")
    return file


@pytest.fixture
async def connect(token):
    opened = []

    def connected(port, authority=None, host="localhost"):
        store = NatsStore(
            Nats(url=f"tls://{host}:{port}", authority=authority),
            token,
            Identity(namespace="team-a", name="green", uid="1"),
        )
        opened.append(store)
        store.open()
        return store

    yield connected
    await asyncio.gather(*(store.close() for store in opened))


async def test_a_store_that_an_authority_of_ours_vouches_for_is_used(nats, authority, connect):
    store = connect(nats.port, authority.certificate.read_text())
    await until_async(lambda: store.reachable)
    assert await store.add(ACCOUNT, Addition("one", 7)) == 7


@pytest.mark.parametrize(
    ("host", "is_known"), [("localhost", False), ("127.0.0.1", True)], ids=["an unknown authority", "another name"]
)
async def test_a_store_that_nobody_vouches_for_is_not_used(nats, authority, connect, host, is_known):
    store = connect(nats.port, authority.certificate.read_text() if is_known else None, host)
    await until_async(lambda: store.failures["connect"] >= 1)
    assert not store.reachable


async def test_a_server_without_tls_is_told_nothing(connect, authority):
    heard = []

    async def plain(reader, writer):
        told = {"server_id": "x", "version": "2.12.0", "max_payload": 1048576, "auth_required": True, "headers": True}
        writer.write(b"INFO " + json.dumps(told).encode() + b"\r\n")
        heard.append(await reader.read(65536))
        writer.close()

    server = await asyncio.start_server(plain, "127.0.0.1", 0)
    async with server:
        store = connect(server.sockets[0].getsockname()[1], authority.certificate.read_text())
        await until_async(lambda: heard and store.failures["connect"] >= 1)
        assert set(heard) == {b""}
        assert not store.reachable
