"""Disks that fill, files that rot, ends that come too early, floods: what was spent stays known."""

import http.client
import json
import resource
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from support import process_watch
from support.hostile.cases import post
from support.programs.sidecars import a_chat, a_limit, a_policy, sidecar, together
from support.programs.simulators import simulator
from support.servers.recording_upstream import recording
from support.waiting import until

CHAT = "/v1/chat/completions"
CALL = post(body=json.dumps(a_chat(stream=True, max_tokens=40)).encode())
#: Statuses of a budget that is spent.
SPENT = (402, 429)


@pytest.fixture
def upstream():
    with recording() as running:
        yield running


def test_sixty_four_callers_race_for_the_last_call_and_one_gets_it(upstream):
    with sidecar(policy=a_policy(upstream.url, limits=(a_limit(3, "Requests", "calls"),))) as car:
        assert [car.chat(max_tokens=2).status for _ in range(2)] == [200, 200]
        answers = car.at_once(*[a_chat(max_tokens=2)] * 64)
        assert (answers.count(200), sum(map(answers.count, SPENT))) == (1, 63)
        assert len(upstream.arrivals) == 3
        assert (car.spent("calls"), car.held("calls")) == (3, 0)
        assert car.total("agenttype_budget_overspend_total") == 0


def test_sixty_four_callers_race_for_the_last_tokens_and_none_is_overspent():
    with simulator(tokens_per_second=300) as vllm, sidecar(policy=a_policy(vllm.url, 400)) as car:
        answers = car.at_once(*[a_chat(max_tokens=30, ignore_eos=True)] * 64)
        used = vllm.total("vllm:prompt_tokens_total") + vllm.total("vllm:generation_tokens_total")
        assert set(answers) <= {200, *SPENT}
        assert 0 < used == car.spent() <= 400
        assert car.total("agenttype_budget_overspend_total") == 0


def test_sigterm_lets_fifty_live_streams_end_whole(tmp_path):
    with simulator(tokens_per_second=25) as vllm, ThreadPoolExecutor(50) as callers:
        policy = a_policy(vllm.url, 10**9)
        with sidecar(policy=policy, folder=tmp_path) as car:
            body = a_chat(stream=True, max_tokens=40, ignore_eos=True)
            answers = [callers.submit(car.post, CHAT, body) for _ in range(50)]
            until(lambda: vllm.total("vllm:num_requests_running") == 50)
            assert car.end() == 0
            ends = [answer.result().events[-1] for answer in answers]
        assert ends == ["[DONE]"] * 50
        used = vllm.total("vllm:prompt_tokens_total") + vllm.total("vllm:generation_tokens_total")
        with sidecar(policy=policy, folder=tmp_path) as car:
            assert car.spent() == used
            assert car.total("agenttype_holds_orphaned_total") == 0


def test_a_disk_that_fills_during_a_stream_spoils_neither_the_stream_nor_the_books(tmp_path):
    with simulator(tokens_per_second=25) as vllm, ThreadPoolExecutor(1) as callers:
        policy = a_policy(vllm.url, 10**9)
        with sidecar(policy=policy, folder=tmp_path) as car:
            answer = callers.submit(car.chat, stream=True, max_tokens=30, ignore_eos=True)
            until(lambda: vllm.total("vllm:num_requests_running") == 1)
            car.fill_disk()
            assert answer.result().events[-1] == "[DONE]"
            assert car.until_refused().json["error"]["code"] == "ledger_unavailable"
            assert car.health("/healthz").status == 200
            car.free_disk()
            assert car.chat(max_tokens=2).status == 200
            assert car.end() == 0
        used = vllm.total("vllm:prompt_tokens_total") + vllm.total("vllm:generation_tokens_total")
        with sidecar(policy=policy, folder=tmp_path) as car:
            assert car.spent() == used


def test_a_process_that_dies_while_its_disk_is_full_forgets_nothing(tmp_path):
    with simulator() as vllm:
        policy = a_policy(vllm.url, 10**9)
        with sidecar(policy=policy, folder=tmp_path) as car:
            car.chat(max_tokens=4)
            car.fill_disk()
            car.until_refused()
            car.kill_after(0)
        used = vllm.total("vllm:prompt_tokens_total") + vllm.total("vllm:generation_tokens_total")
        with sidecar(policy=policy, folder=tmp_path) as car:
            assert car.spent() >= used


# The ledger's file.


@pytest.fixture(scope="module")
def a_ledger(tmp_path_factory):
    """The folder of a sidecar that has spent something and ended in order."""
    folder = tmp_path_factory.mktemp("spent")
    with recording() as upstream, sidecar(policy=a_policy(upstream.url, 10**9), folder=folder) as car:
        for _ in range(20):
            assert car.chat(max_tokens=4).status == 200
        assert car.end() == 0
    return {path.name: path.read_bytes() for path in (folder / "ledger").iterdir()}


def page_size(data: bytes) -> int:
    return int.from_bytes(data[16:18], "big")


def overwritten(at: int, size: int):
    return lambda data: data[:at] + b"\xa5" * size + data[at + size :]


def overwritten_in(page: int, at: int, size: int):
    """Spoil bytes of one page of the file; a negative place counts from the page's end."""
    return lambda data: overwritten((page - 1 + (at < 0)) * page_size(data) + at, size)(data)


def replaced(other: bytes):
    return lambda _: other


DAMAGES = {
    "nothing left": replaced(b""),
    "one byte left": lambda data: data[:1],
    "half a page": lambda data: data[: page_size(data) // 2],
    "one page": lambda data: data[: page_size(data)],
    "the last page missing": lambda data: data[: -page_size(data)],
    "text": replaced(b"not a database\n" * 1000),
    "zeros": lambda data: b"\0" * len(data),
    "the magic": overwritten(0, 16),
    "the page size": overwritten(16, 2),
    "the owner": overwritten(68, 4),
    "the schema": overwritten(100, 12),
    "the second page's head": overwritten_in(2, 0, 12),
    "the second page's cells": overwritten_in(2, -64, 64),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_ledger_is_refused_and_said_so_and_never_starts_empty(a_ledger, tmp_path, name):
    folder = tmp_path / "ledger"
    folder.mkdir()
    for file, data in a_ledger.items():
        (folder / file).write_bytes(data)
    ledger = folder / "ledger.db"
    ledger.write_bytes(DAMAGES[name](ledger.read_bytes()))
    with (
        pytest.raises(AssertionError, match=r"ended at once with 1:(.|\n)*the ledger .* is damaged"),
        sidecar(policy=a_policy("http://127.0.0.1:9", 10**9), folder=tmp_path),
    ):
        pass


@pytest.mark.parametrize("kind", ["folder", "link to nowhere"])
def test_a_ledger_that_is_no_file_is_refused(tmp_path, kind):
    (tmp_path / "ledger").mkdir()
    ledger = tmp_path / "ledger" / "ledger.db"
    {"folder": ledger.mkdir, "link to nowhere": lambda: ledger.symlink_to("/nowhere/at/all")}[kind]()
    with (
        pytest.raises(AssertionError, match=r"ended at once with 1:(.|\n)*the ledger"),
        sidecar(policy=a_policy("http://127.0.0.1:9", 10**9), folder=tmp_path),
    ):
        pass


def test_a_ledger_that_another_sidecar_has_is_refused(upstream, tmp_path):
    policy = a_policy(upstream.url, 10**9)
    with (
        sidecar(policy=policy, folder=tmp_path) as car,
        pytest.raises(AssertionError, match=r"ended at once with 1:(.|\n)*the ledger"),
        sidecar(policy=policy, folder=tmp_path),
    ):
        pass
    assert car.process.returncode is not None


# More of everything than there is.


def test_a_flood_of_connections_leaves_health_and_metrics_answering(upstream):
    with sidecar(policy=a_policy(upstream.url, 10**9)) as car:
        sockets = process_watch.sockets(car.process.pid)
        flood = [socket.create_connection(("127.0.0.1", car.data_port)) for _ in range(900)]
        began = time.monotonic()
        assert car.health("/healthz").status == 200
        assert car.spent() == 0
        assert time.monotonic() - began < 15
        told = together(8, lambda _: first_status(car))
        assert told == [503] * 8
        for connection in flood:
            connection.close()
        until(lambda: process_watch.sockets(car.process.pid) <= sockets)
        assert car.chat().status == 200


def first_status(car) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", car.data_port, timeout=10)
    connection.request("GET", "/v1/models")
    status = connection.getresponse().status
    connection.close()
    return status


def test_a_process_that_has_run_out_of_files_recovers(upstream):
    with sidecar(policy=a_policy(upstream.url, 10**9, timeouts={"warm_up_ms": 200})) as car:
        resource.prlimit(car.process.pid, resource.RLIMIT_NOFILE, (40, 40))
        flood = [socket.create_connection(("127.0.0.1", car.data_port)) for _ in range(100)]
        for connection in flood:
            connection.sendall(CALL[:30])
        for connection in flood:
            connection.close()
        until(lambda: car.process.poll() is None and process_watch.sockets(car.process.pid) < 12)
        assert car.chat().status == 200
        assert car.held() == 0


def test_a_process_that_may_open_few_files_leaves_health_answering_under_a_flood(upstream):
    with sidecar(policy=a_policy(upstream.url, 10**9), under=("prlimit", "--nofile=64:64")) as car:
        sockets = process_watch.sockets(car.process.pid)
        flood = [socket.create_connection(("127.0.0.1", car.data_port)) for _ in range(100)]
        until(lambda: process_watch.sockets(car.process.pid) >= 30)
        for _ in range(20):
            assert car.health("/healthz").status == 200
            assert car.spent() == 0
        for connection in flood:
            connection.close()
        until(lambda: process_watch.sockets(car.process.pid) <= sockets)
        assert car.chat().status == 200


def test_large_bodies_share_a_room_that_has_an_end_and_each_gets_its_turn(upstream):
    raw = json.dumps(a_chat(max_tokens=4)).encode()
    said = post(b"connection: close", body=b" " * 8_000_000 + raw)
    with sidecar(policy=a_policy(upstream.url, 10**9)) as car:
        assert car.chat(max_tokens=4).status == 200
        memory = process_watch.resident(car.process.pid)
        callers = [socket.create_connection(("127.0.0.1", car.data_port), timeout=60) for _ in range(24)]
        with ThreadPoolExecutor(2 * len(callers)) as pool:  # who has sent all says so while others still wait to send
            sending = [pool.submit(caller.sendall, said[:-1]) for caller in callers]
            # However the bodies share the room, the oldest goes on beyond it.
            until(lambda: any(each.done() for each in sending))
            assert car.chat(max_tokens=4).status == 200
            assert process_watch.resident(car.process.pid) - memory < 120 * 2**20
            answers = list(pool.map(last_byte_and_answer, callers, sending))
        assert answers == [b"HTTP/1.1 200 OK"] * len(callers)
        assert process_watch.resident(car.process.pid) - memory < 180 * 2**20
        assert car.held() == 0


def last_byte_and_answer(caller, sending) -> bytes:
    sending.result()
    caller.sendall(b"}")
    answer = b""
    while data := caller.recv(65536):
        answer += data
    caller.close()
    return answer.partition(b"\r\n")[0]
