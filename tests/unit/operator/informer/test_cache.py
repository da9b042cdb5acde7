from agenttype_operator.informer.cache import Cache
from agenttype_operator.kube import kinds
from agenttype_operator.kube.kinds import Key
from support.kinds import agent_manifest  # the builders of tests/support

MAP = kinds.CONFIG_MAP


def a_map(version, name="one", uid="u1", **metadata):
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "a", "uid": uid, "resourceVersion": str(version), **metadata},
    }


def key(name="one"):
    return Key("ConfigMap", "a", name)


def test_an_older_observation_never_replaces_a_newer_one():
    cache = Cache()
    cache.put(MAP, a_map(10))

    assert cache.put(MAP, a_map(9)) is None
    assert cache.put(MAP, a_map(10)) is None
    assert cache.put(MAP, a_map(100)).new.raw["metadata"]["resourceVersion"] == "100"


def test_an_answer_that_comes_after_the_deletion_brings_nothing_back():
    cache = Cache()
    cache.put(MAP, a_map(10))
    cache.remove(MAP, a_map(12))

    assert cache.put(MAP, a_map(11)) is None
    assert cache.get(key()) is None


def test_an_object_that_left_our_sight_may_return_with_a_newer_version():
    cache = Cache()
    cache.put(MAP, a_map(10))
    cache.remove(MAP, a_map(12))

    assert cache.put(MAP, a_map(13))


def test_the_deletion_of_a_predecessor_leaves_the_successor():
    cache = Cache()
    cache.put(MAP, a_map(20, uid="u2"))

    assert cache.remove(MAP, a_map(21, uid="u1")) is None
    assert cache.get(key())


def test_a_listing_evicts_what_it_lacks_but_not_what_is_newer_than_it():
    cache = Cache()
    cache.put(MAP, a_map(10))
    cache.put(MAP, a_map(50, "two", "u2"))

    changes = cache.replace(MAP, [a_map(30, "three", "u3")], version=40)

    assert {(change.key.name, change.new is None) for change in changes} == {("one", True), ("three", False)}
    assert cache.get(key("two"))


def test_children_are_found_by_their_controller_until_they_are_gone():
    cache = Cache()
    owned = a_map(1, ownerReferences=[{"uid": "o", "kind": "AgentType", "name": "x", "controller": True}])
    cache.put(MAP, owned)

    assert cache.children("o") == [key()]
    cache.remove(MAP, owned)
    assert cache.children("o") == []


def test_what_does_not_parse_is_kept_with_the_reason():
    cache = Cache()
    raw = agent_manifest()
    raw["metadata"] |= {"uid": "u", "resourceVersion": "1"}
    raw["spec"]["replicas"] = "many"
    cache.put(kinds.AGENT_TYPE, raw)

    entry = cache.get(Key("AgentType", "default", "green"))
    assert entry.model is None
    assert entry.error.startswith("spec.replicas: ")


def test_pods_are_kept_without_their_spec():
    cache = Cache()
    pod = {**a_map(1), "kind": "Pod", "spec": {"containers": []}, "status": {"podIP": "10.0.0.1"}}
    pod["metadata"]["labels"] = {"agenttype.dev/agent-type": "green"}
    cache.put(kinds.POD, pod)

    [kept] = cache.pods(Key("AgentType", "a", "green"))
    assert kept["status"] == {"podIP": "10.0.0.1"}
    assert "spec" not in kept
