"""Callers that leave at any byte: what they began ends within a tenth of a second, which only an idle machine shows."""

import json
import socket
import struct
import time

import pytest
from agenttype_sidecar.llm import usage
from support import process_watch
from support.hostile import streams
from support.hostile.cases import post
from support.programs.sidecars import a_chat, a_policy, sidecar, together
from support.servers.recording_upstream import chunked, recording
from support.servers.scripted_upstream import Say
from support.waiting import until

CALL = post(body=json.dumps(a_chat(stream=True, max_tokens=40)).encode())
LINGER_NOT = struct.pack("ii", 1, 0)
#: A stream that has said what three tokens cost, and goes on.
BEGUN = chunked(*[streams.event(usage=streams.USAGE | {"completion_tokens": number}) for number in (1, 2, 3)], end=b"")


@pytest.fixture
def upstream():
    with recording() as running:
        yield running


def vanish(car, said: bytes, hear: int = 0) -> float:
    """Say so much, hear so much, and leave with a reset; return when."""
    with socket.create_connection(("127.0.0.1", car.data_port), timeout=10) as caller:
        caller.sendall(said)
        while hear:
            hear -= len(caller.recv(hear))
        caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOT)
        return time.monotonic()


def test_a_caller_that_vanishes_at_any_byte_of_a_stream_ends_it_at_once_and_pays_for_what_came(upstream):
    with sidecar(policy=a_policy(upstream.url, 10**9)) as car:
        upstream.answers([Say(BEGUN)])
        with socket.create_connection(("127.0.0.1", car.data_port), timeout=10) as caller:
            caller.sendall(CALL)
            heard = b""
            while heard.count(b"data: ") < 3 or not heard.endswith(b"\r\n"):
                heard += caller.recv(65536)
        until(lambda: len(upstream.departures) == 1)
        delays = []
        for offset in range(1, len(heard)):
            upstream.forget()
            upstream.answers([Say(BEGUN)])
            left = vanish(car, CALL, hear=offset)
            until(lambda: upstream.departures, within=20)
            delays.append(upstream.departures[0] - left)
        assert len(delays) > 300
        assert sorted(delays)[len(delays) * 95 // 100] < 0.1
        until(lambda: car.held() == 0)
        # What was told, and what an engine may have written before it heard of the end.
        assert car.spent() == len(heard) * (3 + 3 + usage.UNSEEN)
        assert car.total("agenttype_llm_requests_total", 'outcome="caller_gone"') == len(heard)


def test_a_caller_that_vanishes_at_any_byte_of_its_request_costs_nothing(upstream):
    with sidecar(policy=a_policy(upstream.url, 10**9)) as car:
        sockets = process_watch.sockets(car.process.pid)
        for offset in range(len(CALL)):
            vanish(car, CALL[:offset])
        until(lambda: process_watch.sockets(car.process.pid) <= sockets)
        assert (upstream.arrivals, upstream.noise) == ([], [])
        assert (car.spent(), car.held()) == (0, 0)
        assert car.chat().status == 200


def test_an_engine_whose_stream_is_cut_by_a_new_policy_is_left_within_a_tenth_of_a_second(upstream):
    with sidecar(policy=a_policy(upstream.url, 10**9)) as car:
        assert car.chat().status == 200
        upstream.answers([Say(BEGUN)])

        def work(number):
            if number == 0:
                car.chat(stream=True)
                return time.monotonic()
            until(lambda: len(upstream.arrivals) == 2)
            return car.set_policy(a_policy(upstream.url, 1))

        ended = together(2, work)[0]
        until(lambda: upstream.departures)
        assert upstream.departures[0] - ended < 0.1
