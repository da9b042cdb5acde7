"""Unmodified clients beside the wrapper: where their calls go and what marks them, by environment variables alone."""

import json
import re
import sys

import pytest
from support import interpreters, recorders
from support.callers import sdk_environments
from support.programs import wrapped_agents

TRACEPARENT = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01")
PROCESS = re.compile(r"[0-9]+-[0-9a-f]{16}")
MARKS = {"traceparent", "x-agenttype-process", "x-agenttype-wrapper"}

MESSAGES = "messages = [{'role': 'user', 'content': 'hello'}]\n"
SDKS = {
    "openai": (
        "openai",
        "/v1/chat/completions",
        "import openai; openai.OpenAI().chat.completions.create(model='m', messages=messages)",
    ),
    "openai, async": (
        "openai",
        "/v1/chat/completions",
        (
            "import asyncio, openai; "
            "asyncio.run(openai.AsyncOpenAI().chat.completions.create(model='m', messages=messages))"
        ),
    ),
    "openai on Python 3.8": (
        "oldest",
        "/v1/chat/completions",
        "import openai; openai.OpenAI().chat.completions.create(model='m', messages=messages)",
    ),
    "anthropic": (
        "anthropic",
        "/v1/messages",
        "import anthropic; anthropic.Anthropic().messages.create(model='m', max_tokens=9, messages=messages)",
    ),
    "mistralai": (
        "mistralai",
        "/v1/chat/completions",
        "from mistralai.client import Mistral; Mistral(api_key='k').chat.complete(model='m', messages=messages)",
    ),
    "mistralai, async, of a named server": (
        "mistralai",
        "/v1/chat/completions",
        (
            "import asyncio; from mistralai.client import Mistral; "
            "asyncio.run(Mistral('k', 'eu').chat.complete_async(model='m', messages=messages))"
        ),
    ),
    "huggingface_hub": (
        "huggingface_hub",
        "/v1/chat/completions",
        (
            "from huggingface_hub import InferenceClient; "
            "InferenceClient().chat.completions.create(model='m', messages=messages)"
        ),
    ),
    "huggingface_hub, async, of a named provider": (
        "huggingface_hub",
        "/v1/chat/completions",
        (
            "import asyncio; from huggingface_hub import AsyncInferenceClient; "
            "asyncio.run(AsyncInferenceClient('m', provider='together').chat_completion(messages))"
        ),
    ),
}

AIOHTTP = """
import aiohttp, asyncio
async def call():
    async with aiohttp.ClientSession() as session, session.get({url}, headers={headers}) as answer:
        await answer.read()
asyncio.run(call())
"""
HTTPX_ASYNC = """
import asyncio, httpx
async def call():
    async with httpx.AsyncClient(follow_redirects=True) as client:
        await client.get({url}, headers={headers})
asyncio.run(call())
"""
LIBRARIES = {
    "requests": ("http", "import requests; requests.get({url}, headers={headers})"),
    "urllib": ("http", "import urllib.request as u; u.urlopen(u.Request({url}, headers={headers})).read()"),
    "httpx": ("http", "import httpx; httpx.get({url}, headers={headers}, follow_redirects=True)"),
    "httpx, async": ("http", HTTPX_ASYNC),
    "aiohttp": ("http", AIOHTTP),
    "requests on Python 3.8": ("oldest", "import requests; requests.get({url}, headers={headers})"),
    "urllib3 on Python 3.8": (
        "oldest",
        "import urllib3; urllib3.PoolManager().request('GET', {url}, headers={headers})",
    ),
    "httpx on Python 3.8": ("oldest", "import httpx; httpx.get({url}, headers={headers}, follow_redirects=True)"),
    "aiohttp on Python 3.8": ("oldest", AIOHTTP),
}

each_sdk = pytest.mark.parametrize(("sdk", "path", "agent"), SDKS.values(), ids=SDKS.keys())
each_library = pytest.mark.parametrize(("sdk", "agent"), LIBRARIES.values(), ids=LIBRARIES.keys())


@pytest.fixture
def volume(tmp_path):
    return wrapped_agents.Volume(tmp_path / "volume").install()


@pytest.fixture
def elsewhere():
    with recorders.recording() as recorder:
        yield recorder


@pytest.fixture
def sidecar(elsewhere):
    """What listens where the sidecar would; it redirects to another server."""
    with recorders.recording(redirect_to=f"{elsewhere.url}/arrived") as recorder:
        yield recorder


def run(volume, sidecar, sdk, agent, **others):
    """Run the agent with what its pod's environment would hold."""
    base = interpreters.find("3.8") if sdk == "oldest" else sys.executable
    volume.python = sdk_environments.python_with(sdk, base)
    ended = volume.run(
        "-c",
        MESSAGES + agent,
        LLM_SIDECAR_URL=sidecar.url,
        OPENAI_BASE_URL=f"{sidecar.url}/v1",
        OPENAI_API_KEY="placeholder",
        ANTHROPIC_BASE_URL=sidecar.url,
        ANTHROPIC_API_KEY="placeholder",
        NO_PROXY="127.0.0.1,localhost",
        **others,
    )
    assert ended.status == 0, ended.stderr


@each_sdk
def test_the_calls_of_an_sdk_arrive_at_the_sidecar_and_are_marked(volume, sidecar, sdk, path, agent):
    run(volume, sidecar, sdk, agent)
    [call] = sidecar.calls
    assert (call.path, json.loads(call.body)["model"]) == (path, "m")
    assert TRACEPARENT.fullmatch(call.headers["traceparent"])
    assert PROCESS.fullmatch(call.headers["x-agenttype-process"])
    assert call.headers["x-agenttype-wrapper"] == "active"


@each_library
def test_a_plain_call_to_the_sidecar_is_marked(volume, sidecar, sdk, agent):
    run(volume, sidecar, sdk, agent.format(url=f"'{sidecar.url}/v1/models'", headers="{}"))
    [call] = sidecar.calls
    assert TRACEPARENT.fullmatch(call.headers["traceparent"])
    assert call.headers["x-agenttype-wrapper"] == "active"


@each_library
def test_a_trace_of_the_agents_own_is_kept(volume, sidecar, sdk, agent):
    run(volume, sidecar, sdk, agent.format(url=f"'{sidecar.url}/v1/models'", headers="{'TraceParent': 'its own'}"))
    [call] = sidecar.calls
    assert call.headers["traceparent"] == "its own"


@each_library
def test_a_call_to_any_other_address_carries_no_header_of_ours(volume, sidecar, elsewhere, sdk, agent):
    run(volume, sidecar, sdk, agent.format(url=f"'{elsewhere.url}/'", headers="{}"))
    [call] = elsewhere.calls
    assert MARKS.isdisjoint(call.headers)


@each_library
def test_a_redirect_to_another_address_takes_no_header_of_ours_along(volume, sidecar, elsewhere, sdk, agent):
    run(volume, sidecar, sdk, agent.format(url=f"'{sidecar.url}/redirect'", headers="{}"))
    assert sidecar.calls[0].headers.keys() >= MARKS
    [call] = elsewhere.calls
    assert (call.path, MARKS & call.headers.keys()) == ("/arrived", set())


@pytest.mark.parametrize(
    "agent",
    [
        "import requests; requests.get('{0}/', proxies={{'http': '{1}'}})",
        "import httpx; httpx.get('{0}/', proxy='{1}', trust_env=False)",
        "import urllib.request as u; u.build_opener(u.ProxyHandler({{'http': '{1}'}})).open('{0}/').read()",
    ],
    ids=["requests", "httpx", "urllib"],
)
def test_a_call_that_only_passes_the_sidecar_as_a_proxy_carries_no_header_of_ours(volume, sidecar, agent):
    run(volume, sidecar, "http", agent.format("http://tools.example.org", sidecar.url), no_proxy="")
    [call] = sidecar.calls
    assert (call.path, MARKS & call.headers.keys()) == ("http://tools.example.org/", set())


@pytest.mark.parametrize(
    ("sdk", "agent"),
    [
        (
            "mistralai",
            (
                "from mistralai.client import Mistral; "
                "Mistral(api_key='k', server_url='{0}').chat.complete(model='m', messages=messages)"
            ),
        ),
        (
            "huggingface_hub",
            (
                "from huggingface_hub import InferenceClient; "
                "InferenceClient(base_url='{0}').chat_completion(messages, model='m')"
            ),
        ),
        (
            "huggingface_hub",
            "from huggingface_hub import InferenceClient; InferenceClient().chat_completion(messages, model='{0}')",
        ),
    ],
    ids=["mistralai", "huggingface_hub, of the client", "huggingface_hub, of the call"],
)
def test_a_server_of_the_users_own_is_kept(volume, sidecar, elsewhere, sdk, agent):
    run(volume, sidecar, sdk, agent.format(elsewhere.url))
    assert (len(elsewhere.calls), sidecar.calls) == (1, [])


def test_a_forked_worker_has_a_process_id_of_its_own(volume, sidecar):
    agent = (
        "import os, requests\n"
        f"requests.get('{sidecar.url}/parent')\n"
        "child = os.fork()\n"
        f"requests.get('{sidecar.url}/' + ('again' if child else 'child'))\n"
        "child and os.waitpid(child, 0)\n"
    )
    run(volume, sidecar, "http", agent)
    process = {call.path: call.headers["x-agenttype-process"] for call in sidecar.calls}
    assert process["/again"] == process["/parent"]
    assert process["/child"] != process["/parent"]
