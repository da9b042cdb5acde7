"""What Prometheus reads: a format that its own parser takes, and no more series than the policy has names."""

import http.client
import json

import pytest
from prometheus_client.parser import text_string_to_metric_families
from support.programs.sidecars import a_policy, a_route, sidecar
from support.programs.simulators import simulator

INVENTED = 10_000


@pytest.fixture(scope="module")
def engine():
    with simulator(max_model_len=4096) as running:
        yield running


def series(process):
    """Every series of a scrape: name and labels."""
    text = process.control("/metrics").body.decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items())))
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def call_all(process, path, messages):
    """Make many calls on one connection; return the statuses that were seen."""
    connection = http.client.HTTPConnection("127.0.0.1", process.data_port, timeout=60)
    seen = set()
    for message in messages:
        connection.request("POST", path, json.dumps(message).encode(), {"content-type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        seen.add(answer.status)
    connection.close()
    return seen


def test_a_scrape_is_read_by_prometheus_own_parser(engine):
    with sidecar(a_policy(engine.url)) as process:
        process.chat(max_tokens=2)
        families = list(text_string_to_metric_families(process.control("/metrics").body.decode()))

    ours = [family for family in families if family.name.startswith("agenttype_")]
    assert all(family.documentation and family.type != "unknown" for family in ours)
    assert len({family.name for family in families}) == len(families)


def test_invented_model_names_make_no_new_series(engine):
    names = [
        {"model": f"invented-{n}", "max_tokens": 1, "messages": [{"role": "user", "content": "x"}]}
        for n in range(INVENTED)
    ]
    with sidecar(a_policy(engine.url, routes=(a_route("gpt-*"),))) as process:
        call_all(process, "/v1/chat/completions", names[:1])
        before = series(process)
        statuses = call_all(process, "/v1/chat/completions", names[1:])
        after = series(process)

    assert (statuses, after) == ({404}, before)


def test_names_that_a_wide_route_takes_make_no_new_series_either(engine):
    names = [
        {"model": f"invented-{n}", "max_tokens": 1, "messages": [{"role": "user", "content": "x"}]} for n in range(300)
    ]
    with sidecar(a_policy(engine.url)) as process:
        call_all(process, "/v1/chat/completions", names[:1])
        before = series(process)
        statuses = call_all(process, "/v1/chat/completions", names[1:])
        after = series(process)

    assert (statuses, after) == ({200}, before)
