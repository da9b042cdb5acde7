"""The whole way of a call without a cluster: manifests, compiled documents, sidecars, the gate, the engine."""

import threading
from contextlib import contextmanager

import pytest
from agenttype_api import compile as compiler
from agenttype_api import names
from support.builders.lora_files import an_adapter as adapter_files
from support.kinds import a_backend, an_adapter, an_agent_type
from support.programs.gates import digest_of, gate, write_policy
from support.programs.sidecars import sidecar
from support.programs.simulators import simulator
from support.servers.token_reviews import token_reviews
from support.waiting import until


def route(adapter=None):
    """A route for every name to the shared backend, to its base model or to an adapter."""
    return {"match": ["*"], "backendRef": {"name": "shared"}} | ({"adapterRef": {"name": adapter}} if adapter else {})


class Place:
    """What a namespace holds: two adapters, three agents, one backend, and the documents compiled from them."""

    def __init__(self, folder):
        self.folder = folder
        self.source = folder / "source"
        self.volume = folder / "adapters"
        self.volume.mkdir()
        self.gate_file = folder / "gate" / "gate.json"
        self.backends = {"shared": a_backend()}
        self.agents = [
            an_agent_type("green", models=[route("green")]),
            an_agent_type("red", models=[route("red")]),
            an_agent_type("plain", models=[route()]),
        ]
        self.adapters = {name: self.version(name, name, rank) for name, rank in (("green", 2), ("red", 4))}

    def version(self, name, folder, rank):
        """A LoraAdapter `name` whose files lie in `folder` of the volume."""
        files = adapter_files(self.source / folder, rank=rank)
        return an_adapter(name, path=folder, digest=digest_of(files))

    def served(self, name):
        return names.served_adapter(self.adapters[name])

    def write_gate(self):
        return write_policy(
            self.gate_file, compiler.gate_policy(self.backends["shared"], self.agents, self.adapters.values())
        )

    def policy(self, name, url):
        """An agent's document, with the gate where this test runs it."""
        agent = next(agent for agent in self.agents if agent.metadata.name == name)
        document = compiler.agent_policy(agent, compiler.Surroundings(self.backends, self.adapters))
        return document.model_copy(
            update={"backends": tuple(backend.model_copy(update={"url": url}) for backend in document.backends)}
        )


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


@pytest.fixture
def api(tmp_path):
    with token_reviews(tmp_path / "api") as running:
        yield running


@pytest.fixture
def vllm():
    with simulator(served_model_name="shared") as running:
        yield running


@pytest.fixture
def start_gate(place, api):
    return lambda engine, **more: gate(place.write_gate(), engine, place.source, place.volume, **api.options() | more)


@pytest.fixture
def start_agent(place, api, tmp_path):
    def starting(name, door):
        token = tmp_path / f"{name}-token"
        token.write_text(api.token(f"default/{name}"))
        return sidecar(place.policy(name, door.url), token=token)

    return starting


def test_each_agent_is_answered_by_its_own_adapter_and_the_books_balance(place, vllm, start_gate, start_agent):
    with (
        start_gate(vllm.url) as door,
        start_agent("green", door) as green,
        start_agent("red", door) as red,
        start_agent("plain", door) as plain,
    ):
        door.until_ready()
        models = [car.chat("hello", max_tokens=9).json["model"] for car in (green, red, plain, green)]
        assert [place.served("green"), place.served("red"), "shared", place.served("green")] == models
        for engine, direction in (("vllm:prompt_tokens_total", "input"), ("vllm:generation_tokens_total", "output")):
            metered = sum(
                car.total("agenttype_llm_tokens_total", f'direction="{direction}"') for car in (green, red, plain)
            )
            probed = door.metric(f'agenttype_gate_probe_tokens_total{{direction="{direction}"}}')
            assert vllm.total(engine) == metered + probed


def test_a_call_waits_for_an_engine_that_is_starting(place, start_gate, start_agent):
    with simulator(served_model_name="shared") as last_time:
        port = last_time.port
    with start_gate(f"http://127.0.0.1:{port}") as door, start_agent("green", door) as green:
        answers = []
        caller = threading.Thread(target=lambda: answers.append(green.chat("hello").status))
        caller.start()
        labels = f'agent_type="default/green",code="503",model="{place.served("green")}"'
        until(lambda: door.metric(f"agenttype_gate_requests_total{{{labels}}}") >= 1)
        with simulator(port=port, served_model_name="shared"):
            caller.join()
            assert answers == [200]


REFUSED = 'agenttype_gate_requests_total{agent_type="default/green",code="503",model="other"}'


def chats(vllm, model):
    return [call for call in vllm.arrived("/v1/chat/completions") if call["body"]["model"] == model]


@contextmanager
def calling(car):
    """Calls without a pause while the block runs; gives the list of statuses."""
    statuses, stop = [], threading.Event()

    def keep_calling():
        while not stop.is_set():
            statuses.append(car.chat("hello", max_tokens=2).status)

    caller = threading.Thread(target=keep_calling)
    caller.start()
    try:
        yield statuses
    finally:
        stop.set()
        caller.join()


def test_a_new_version_costs_no_call_where_the_gate_hears_of_it_first(place, vllm, start_gate, start_agent):
    with start_gate(vllm.url, linger_seconds=3) as door, start_agent("green", door) as green:
        door.until_ready()
        old = place.served("green")
        with calling(green) as statuses:
            place.adapters["green"] = place.version("green", "newer", 4)
            place.write_gate()
            door.until_state(place.served("green"), "Loaded")
            seen = len(statuses)
            until(lambda: len(statuses) > seen + 3)
            green.set_policy(place.policy("green", door.url))
            until(lambda: bool(chats(vllm, place.served("green"))))
            until(lambda: not (place.volume / old.replace("@", "/")).exists())
        assert set(statuses) == {200}


def test_a_new_version_costs_no_call_where_the_sidecar_hears_of_it_first(place, vllm, start_gate, start_agent):
    with start_gate(vllm.url) as door, start_agent("green", door) as green:
        door.until_ready()
        with calling(green) as statuses:
            place.adapters["green"] = place.version("green", "newer", 4)
            green.set_policy(place.policy("green", door.url))
            until(lambda: door.metric(REFUSED) > 0)
            place.write_gate()
            until(lambda: bool(chats(vllm, place.served("green"))))
        assert set(statuses) == {200}
