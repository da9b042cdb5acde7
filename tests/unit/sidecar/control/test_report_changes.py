import asyncio

from agenttype_api.sidecar_report import PolicyReport
from agenttype_sidecar.control.report_changes import Changes


def a_report(**members):
    return PolicyReport(policy_hash="0123", **members)


def test_a_report_has_a_new_sequence_only_where_something_in_it_is_new():
    changes = Changes()
    reports = [a_report(), a_report(), a_report(exhausted=("run",)), a_report(exhausted=("run",)), a_report()]
    assert [changes.numbered(report).sequence for report in reports] == [1, 1, 2, 2, 3]


async def test_whoever_waits_is_woken_by_a_change():
    changes = Changes()
    changes.numbered(a_report())
    waiting = [asyncio.create_task(changes.passed(1, 60)) for _ in range(1000)]
    await asyncio.sleep(0)
    assert not any(task.done() for task in waiting)
    changes.numbered(a_report(stopped="enough"))
    await asyncio.gather(*waiting)


async def test_what_has_passed_already_is_not_waited_for():
    changes = Changes()
    changes.numbered(a_report())
    await asyncio.wait_for(changes.passed(0, 60), 1)


async def test_a_wait_ends_without_a_change():
    changes = Changes()
    changes.numbered(a_report())
    await asyncio.wait_for(changes.passed(1, 0.01), 1)
    await asyncio.wait_for(changes.passed(1, -5), 1)
    assert changes._waiting == set()


async def test_nobody_waits_once_the_process_ends():
    changes = Changes()
    changes.numbered(a_report())
    waiting = asyncio.create_task(changes.passed(1, 60))
    await asyncio.sleep(0)
    changes.end()
    await asyncio.wait_for(waiting, 1)
    await asyncio.wait_for(changes.passed(1, 60), 1)
