"""Which pods are asked, and when: a real client against a server that counts."""

import aiohttp
import pytest
from agenttype_api import keys
from agenttype_api.sidecar_report import PolicyReport
from agenttype_operator.pods.report_client import ReportClient
from aiohttp import web


class Pod:
    """A control port."""

    def __init__(self):
        self.asked = 0
        self.body = {"policyHash": "new"}

    async def answer(self, _):
        self.asked += 1
        return web.json_response(self.body)


@pytest.fixture
async def control_port():
    pod = Pod()
    app = web.Application()
    app.router.add_get(keys.POLICY_STATUS_PATH, pod.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    pod.port = runner.addresses[0][1]
    yield pod
    await runner.cleanup()


@pytest.fixture
async def reports(control_port):
    async with aiohttp.ClientSession() as session:
        yield ReportClient(session, control_port.port)


def a_pod(container="c1", ip="127.0.0.1"):
    statuses = [{"name": "agenttype-sidecar", "containerID": container}]
    return {"metadata": {"name": "one", "uid": "u"}, "status": {"podIP": ip, "initContainerStatuses": statuses}}


async def test_a_pod_that_acknowledged_is_not_asked_again(reports, control_port):
    await reports.policies([a_pod()], "new")
    await reports.policies([a_pod()], "new")

    assert control_port.asked == 1


async def test_a_pod_is_asked_until_it_acknowledges(reports, control_port):
    await reports.policies([a_pod()], "newer")
    control_port.body = {"policyHash": "newer"}
    await reports.policies([a_pod()], "newer")

    assert reports.report(a_pod(), PolicyReport).policy_hash == "newer"


async def test_a_restarted_container_is_asked_again(reports, control_port):
    await reports.policies([a_pod()], "new")
    assert reports.report(a_pod("c2"), PolicyReport) is None

    await reports.policies([a_pod("c2")], "new")

    assert control_port.asked == 2


@pytest.mark.parametrize("ip", ["127.0.0.1", "127.0.0.9"], ids=["it answered", "it did not"])
async def test_a_pod_counts_as_asked_whether_it_answered_or_not(reports, ip):
    assert not reports.asked(a_pod(ip=ip))

    await reports.policies([a_pod(ip=ip)], "new")

    assert reports.asked(a_pod(ip=ip))
    assert not reports.asked(a_pod("c2", ip=ip))


@pytest.mark.parametrize("body", [{}, {"policyHash": 1}, {"policyHash": "new", "unknown": 1}], ids=str)
async def test_an_answer_that_makes_no_sense_is_no_answer(reports, control_port, body):
    control_port.body = body
    await reports.policies([a_pod()], "new")

    assert reports.report(a_pod(), PolicyReport) is None


@pytest.mark.parametrize("ip", ["", "127.0.0.9"], ids=["no address", "no server there"])
async def test_a_pod_that_cannot_be_reached_is_no_failure(reports, ip):
    await reports.policies([a_pod(ip=ip)], "new")

    assert reports.report(a_pod(ip=ip), PolicyReport) is None


async def test_a_pod_that_is_gone_is_forgotten(reports):
    await reports.policies([a_pod()], "new")
    reports.forget("u")

    assert reports.report(a_pod(), PolicyReport) is None
