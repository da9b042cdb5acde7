import aiohttp
from agenttype_runtime import probe_server


async def answers(ready, *paths):
    runner = await probe_server.serve(0, lambda: b"one 1\n", ready)
    try:
        [port] = [port for host, port, *_ in runner.addresses if host == "0.0.0.0"]  # IPv6 has one of its own
        async with aiohttp.ClientSession() as session:
            found = []
            for path in paths:
                async with session.get(f"http://127.0.0.1:{port}{path}") as response:
                    found.append((response.status, await response.text()))
            return found
    finally:
        await runner.cleanup()


async def test_a_program_that_can_be_counted_on_is_ready_and_alive():
    assert await answers(lambda: True, "/healthz", "/readyz") == [(200, "ok\n"), (200, "ok\n")]


async def test_a_program_that_cannot_is_alive_and_not_ready():
    assert await answers(lambda: False, "/healthz", "/readyz") == [(200, "ok\n"), (503, "not ok\n")]


async def test_metrics_are_what_the_program_says():
    assert await answers(lambda: True, "/metrics") == [(200, "one 1\n")]
