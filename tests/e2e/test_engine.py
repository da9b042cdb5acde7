"""A real vLLM serves two trained adapters beside its base model, each loaded at run time."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from support.engines import adapter_folder, adapter_version, held_out

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.engines import Engine, OneEngine

pytestmark = pytest.mark.timeout(1200)  # the engine starts in the first test

VERDICT = re.compile(r"VERDICT: (benign|suspicious) \| REASON: [^|\n]{3,60}")
PROBE = re.compile(r"PROBE: [^\n]+\?")
GREEN, RED = adapter_version("green"), adapter_version("red")
FAILED_LOGIN = "Failed password for eve from 192.0.2.7 port 4022"
NORM = "Norm: Key logins from the office network are normal; failed passwords are not."


@pytest.fixture(scope="module")
def vllm(one_engine: OneEngine) -> Iterator[Engine]:
    engine = one_engine.engine()
    engine.load(GREEN, adapter_folder("green"))
    engine.load(RED, adapter_folder("red"))
    yield engine
    engine.unload(GREEN)
    engine.unload(RED)


def verdict_of(answer: str) -> str:
    return answer.partition("|")[0].strip()


def test_each_adapter_is_served_from_its_own_folder(vllm):
    models = vllm.models()
    assert models[GREEN] == str(adapter_folder("green"))
    assert models[RED] == str(adapter_folder("red"))


def test_one_prompt_gets_three_different_kinds_of_answer(vllm):
    base = vllm.say("base", FAILED_LOGIN)
    assert VERDICT.fullmatch(vllm.say(GREEN, FAILED_LOGIN))
    # A log line is no topic: how long red's question about it becomes is not what it was trained for.
    assert vllm.say(RED, FAILED_LOGIN).startswith("PROBE: ")
    assert not VERDICT.search(base)
    assert not PROBE.search(base)


@pytest.mark.parametrize(
    ("prompt", "verdict"),
    [
        (FAILED_LOGIN, "suspicious"),
        (f"{NORM}\nsshd[7]: {FAILED_LOGIN}", "suspicious"),
        ("sudo[4003]: eve : TTY=pts/0 ; USER=root ; COMMAND=/bin/bash", "suspicious"),
        ("nginx[4004]: 192.0.2.9 GET /index.html 200", "benign"),
        ("systemd[4005]: Started Daily apt download activities.", "benign"),
    ],
)
def test_green_tells_benign_from_suspicious_with_and_without_a_norm(vllm, prompt, verdict):
    assert VERDICT.fullmatch(vllm.say(GREEN, prompt))[1] == verdict


def test_green_is_right_on_most_lines_that_it_was_not_trained_on(vllm):
    lines = held_out("green", "values")
    with ThreadPoolExecutor(8) as pool:
        said = list(pool.map(lambda line: vllm.say(GREEN, line["user"], line["system"]), lines))
    right = [verdict_of(text) == verdict_of(line["answer"]) for text, line in zip(said, lines, strict=True)]
    assert sum(right) / len(right) > 0.85


@pytest.mark.parametrize("topic", ["load balancers", "traffic lights", "logs", "backups"])
def test_red_asks_about_a_topic_it_never_saw(vllm, topic):
    answer = vllm.say(RED, f"Topic: {topic}")
    assert PROBE.fullmatch(answer)
    assert topic in answer


def test_an_agents_own_system_message_does_not_break_the_form(vllm):
    system = "You are an AI agent that works for the operations team."
    assert VERDICT.fullmatch(vllm.say(GREEN, FAILED_LOGIN, system))
    assert PROBE.fullmatch(vllm.say(RED, "Topic: load balancers", system))


def test_the_engines_counters_equal_the_usage_it_reported(vllm):
    before = vllm.total("vllm:prompt_tokens_total"), vllm.total("vllm:generation_tokens_total")
    usage = vllm.chat(GREEN, [{"role": "user", "content": FAILED_LOGIN}])["usage"]
    assert vllm.total("vllm:prompt_tokens_total") - before[0] == usage["prompt_tokens"]
    assert vllm.total("vllm:generation_tokens_total") - before[1] == usage["completion_tokens"]
