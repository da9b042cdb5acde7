"""The ports of health and control: they answer numbers to whoever asks properly, and give nobody a lever or an echo."""

import pytest
from support.callers.raw_caller import converse
from support.hostile.cases import MARK, get, request
from support.programs.sidecars import a_policy, sidecar

WORD = MARK.decode()


@pytest.fixture(scope="module")
def car():
    with sidecar(policy=a_policy("http://127.0.0.1:9", 1000)) as running:
        yield running
        assert "Traceback" not in running.log


@pytest.mark.parametrize(
    ("target", "status"),
    [
        (f"/{WORD}", 404), ("/", 404), (f"/agenttype/v1/{WORD}", 404), ("/agenttype/v1/budget/", 404),
        ("/agenttype/v1//budget", 404), ("/agenttype/v1/../v1/budget", 404), ("/metrics/", 404), ("/metrics/../x", 404),
        ("/%2e%2e/metrics", 404), (f"/agenttype/v1/policy?after={WORD}", 422), ("/agenttype/v1/policy?after=1.5", 422),
        (f"/agenttype/v1/policy?wait={WORD}", 422), ("/agenttype/v1/policy?after=9&wait=nan", 422),
        ("/agenttype/v1/policy?after=9&wait=1e999", 422), ("/agenttype/v1/policy?after=9&wait=-1", 200),
        ("/agenttype/v1/policy?after=" + "9" * 40, 200), ("/v1/chat/completions", 404), (f"/docs/{WORD}", 404),
    ],
)  # fmt: skip
async def test_the_control_port_echoes_nothing_and_redirects_nowhere(car, target, status):
    (answer,) = (await converse(car.control_port, get(target.encode()))).answers
    assert (answer.status, b"location" in answer.fields) == (status, False)
    assert MARK not in answer.body


@pytest.mark.parametrize("path", ["budget", "calls", "tools", "policy", "status"])
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
async def test_the_control_port_has_no_lever(car, method, path):
    said = get(f"/agenttype/v1/{path}".encode(), b"x-http-method-override: GET", method=method.encode())
    (answer,) = (await converse(car.control_port, said)).answers
    assert answer.status == 405


@pytest.mark.parametrize(
    ("target", "status"),
    [(f"/{WORD}", 404), ("/healthz/", 404), ("//healthz", 404), ("/healthz%2f", 404), ("/metrics", 404), ("/", 404)],
)
async def test_the_health_port_echoes_nothing(car, target, status):
    (answer,) = (await converse(car.health_port, get(target.encode()))).answers
    assert answer.status == status
    assert MARK not in answer.body


@pytest.mark.parametrize("port", ["health_port", "control_port"])
@pytest.mark.parametrize(
    "said",
    [
        request(b"content-length: 3", b"transfer-encoding: chunked", line=b"GET /metrics HTTP/1.1", body=b"0\r\n\r\n"),
        request(b"host: y", line=b"GET /metrics HTTP/1.1"),
        request(line=b"GET http://x/metrics HTTP/1.1"),
        request(b"a: b\nc: d", line=b"GET /healthz HTTP/1.1"),
        b"GET /healthz\r\n\r\n",
    ],
    ids=["length and encoding", "two hosts", "absolute form", "a hidden line", "no version"],
)
async def test_other_ports_are_as_strict_about_bytes(car, port, said):
    heard = await converse(getattr(car, port), said)
    assert (heard.statuses, heard.ended) == ((400,), "closed")
