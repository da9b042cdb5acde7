"""Responses that a backend keeps, after the sidecar that passed them on has ended: in order, or killed."""

import json
import sqlite3

import pytest
from support.programs.sidecars import a_policy, sidecar
from support.programs.simulators import simulator
from support.waiting import until

RESPONSES = "/v1/responses"
BODY = {"model": "m", "input": "hello", "max_output_tokens": 4}


@pytest.fixture(scope="module")
def policy():
    with simulator("--store-responses") as vllm:
        yield a_policy(vllm.url, 1_000_000)


def made(car):
    """The name of a response that a sidecar has passed on."""
    return car.post(RESPONSES, BODY).json["id"]


def is_on_record(car, name):
    files = (car.folder / "ledger").glob("ledger.db*")
    return any(name.encode() in file.read_bytes() for file in files)


def built_on(car, name):
    return car.post(RESPONSES, BODY | {"previous_response_id": name})


def test_a_response_can_be_built_on_after_a_restart(policy, tmp_path):
    with sidecar(policy=policy, folder=tmp_path) as car:
        name = made(car)
        assert car.end() == 0
    with sidecar(policy=policy, folder=tmp_path) as car:
        answer = built_on(car, name)
        assert (answer.status, answer.json["previous_response_id"]) == (200, name)
        assert car.get(f"{RESPONSES}/{name}").json["id"] == name


def test_a_response_that_was_streamed_can_be_built_on_after_a_kill(policy, tmp_path):
    with sidecar(policy=policy, folder=tmp_path) as car:
        answer = car.post(RESPONSES, BODY | {"stream": True})
        name = json.loads(answer.events[-1])["response"]["id"]
        until(lambda: is_on_record(car, name))
        car.process.kill()
        car.process.wait()
    with sidecar(policy=policy, folder=tmp_path) as car:
        assert built_on(car, name).status == 200


def test_a_response_whose_record_is_damaged_is_nobodys_and_the_others_stay(policy, tmp_path):
    with sidecar(policy=policy, folder=tmp_path) as car:
        damaged, whole = made(car), made(car)
        assert car.end() == 0
    db = sqlite3.connect(tmp_path / "ledger" / "ledger.db", isolation_level=None)
    db.execute("UPDATE response SET backend = 'another' WHERE name = ?", (damaged,))
    db.close()
    with sidecar(policy=policy, folder=tmp_path) as car:
        answers = [built_on(car, damaged), car.get(f"{RESPONSES}/{damaged}"), built_on(car, whole)]
        assert [answer.status for answer in answers] == [404, 404, 200]


def test_a_response_that_another_run_has_passed_on_is_nobodys_here(policy):
    with sidecar(policy=policy) as one, sidecar(policy=policy) as other:
        name = made(one)
        assert [built_on(car, name).status for car in (one, other)] == [200, 404]
