"""What the API server itself refuses, and with which words: the user reads them in `kubectl apply`."""

import json
import subprocess
from typing import Any

import pytest
from support import clusters
from support.kinds import (
    a_limit,
    a_rule,
    a_tool,
    adapter_manifest,
    agent_container,
    agent_manifest,
    backend_manifest,
    budget_manifest,
    external_manifest,
    pod,
)


def a_price(**members: Any) -> dict[str, Any]:
    return {"models": ["*"], "input": "2.50", "output": "10", **members}


def a_token(audience: str) -> dict[str, Any]:
    source = {"serviceAccountToken": {"audience": audience, "path": "t"}}
    return agent_manifest(template=pod(volumes=[{"name": "t", "projected": {"sources": [source]}}]))


CASES: list[tuple[str, dict[str, Any], str]] = [
    ("an unknown field", agent_manifest(budgett={}), ".spec.budgett: field not declared"),
    (
        "an unknown field of a pod",
        agent_manifest(template=pod(agent_container(imagePullPolicyy="x"))),
        "imagePullPolicyy: field not declared",
    ),
    ("no agent container", agent_manifest(template=pod({"name": "bot", "image": "i"})), 'one container named "agent"'),
    ("two agent containers", agent_manifest(template=pod(agent_container(), agent_container())), "agent"),
    (
        "a reserved container name",
        agent_manifest(template=pod(agent_container(), {"name": "agenttype-x", "image": "i"})),
        'container names that start with "agenttype-" are reserved',
    ),
    (
        "a reserved init container name",
        agent_manifest(template=pod(initContainers=[{"name": "agenttype-sidecar", "image": "i"}])),
        'container names that start with "agenttype-" are reserved',
    ),
    (
        "a reserved volume name",
        agent_manifest(template=pod(volumes=[{"name": "agenttype-token", "emptyDir": {}}])),
        'volume names that start with "agenttype-" are reserved',
    ),
    (
        "a reserved port",
        agent_manifest(template=pod(agent_container(ports=[{"containerPort": 15001}]))),
        "are reserved for the sidecar",
    ),
    (
        "a reserved variable",
        agent_manifest(template=pod(agent_container(env=[{"name": "AGENTTYPE_NAME", "value": "x"}]))),
        'environment variables that start with "AGENTTYPE_" are reserved',
    ),
    (
        "a reserved label",
        agent_manifest(template={"metadata": {"labels": {"agenttype.dev/x": "y"}}, **pod()}),
        'labels that start with "agenttype.dev/" are reserved',
    ),
    (
        "a mount over the wrapper",
        agent_manifest(
            template=pod(
                agent_container(volumeMounts=[{"name": "v", "mountPath": "/opt/agenttype/python"}]),
                volumes=[{"name": "v", "emptyDir": {}}],
            )
        ),
        "nothing may be mounted at /opt/agenttype",
    ),
    ("the sidecar's own kind of token", a_token("agenttype.dev/gate"), "only the sidecar may call the model server"),
    ("the sidecar's token for the store", a_token("agenttype.dev/nats"), "only the sidecar may call"),
    (
        "a privileged container",
        agent_manifest(template=pod(agent_container(securityContext={"privileged": True}))),
        "privileged containers are refused",
    ),
    ("the host's network", agent_manifest(template=pod(hostNetwork=True)), "hostNetwork must not be true"),
    (
        "a shared process namespace",
        agent_manifest(template=pod(shareProcessNamespace=True)),
        "shareProcessNamespace must not be true",
    ),
    (
        "a mounted API token",
        agent_manifest(template=pod(automountServiceAccountToken=True)),
        "automountServiceAccountToken must not be true",
    ),
    (
        "another ServiceAccount",
        agent_manifest(template=pod(serviceAccountName="x")),
        "serviceAccountName must be empty",
    ),
    ("a Job's restart policy", agent_manifest(template=pod(restartPolicy="Never")), "restartPolicy must be Always"),
    ("no models", agent_manifest(models=[]), "should have at least 1 items"),
    (
        "an empty match list",
        agent_manifest(models=[{"match": [], "backendRef": {"name": "shared"}}]),
        "should have at least 1 items",
    ),
    ("a negative limit", agent_manifest(budget={"limits": [a_limit("-1")]}), "max must be a whole number of 0 or more"),
    (
        "a limit in words",
        agent_manifest(budget={"limits": [a_limit("many")]}),
        "max must be a whole number of 0 or more",
    ),
    ("a limit of 1e9", agent_manifest(budget={"limits": [a_limit("1e9")]}), "max must be a whole number of 0 or more"),
    ("a limit past 64 bits", agent_manifest(budget={"limits": [a_limit("9" * 19)]}), "with at most 18 digits"),
    ("an unknown resource", agent_manifest(budget={"limits": [a_limit(resource="Coins")]}), "supported values"),
    ("two limits of one name", agent_manifest(budget={"limits": [a_limit(), a_limit()]}), "duplicate entries"),
    ("negative replicas", agent_manifest(replicas=-1), "greater than or equal to 0"),
    ("a name that is too long", agent_manifest(name="a" * 53), "at most 52 lower-case letters"),
    ("a name with a dot", agent_manifest(name="a.b"), "at most 52 lower-case letters"),
    (
        "a tool URL of another scheme",
        agent_manifest(tools=[{"name": "x", "mcp": {"url": "file:///etc"}}]),
        "should match",
    ),
    (
        "a tool URL with a password",
        agent_manifest(tools=[{"name": "x", "mcp": {"url": "http://a:b@tools/mcp"}}]),
        "should match",
    ),
    (
        "a backend of two kinds",
        {**backend_manifest(), "spec": {**backend_manifest()["spec"], **external_manifest()["spec"]}},
        "exactly one of spec.vllm and spec.external",
    ),
    ("a backend of no kind", {**backend_manifest(), "spec": {}}, "exactly one of spec.vllm and spec.external"),
    (
        "an adapter volume that is not there",
        backend_manifest(lora={"volume": "nowhere"}),
        "vllm.lora.volume must name a volume",
    ),
    (
        "a rank that no engine takes",
        backend_manifest(lora={"volume": "adapters", "maxRank": 7}),
        "maxRank must be one of",
    ),
    (
        "a second engine container",
        backend_manifest(
            template=pod({"name": "engine"}, {"name": "other"}, volumes=[{"name": "adapters", "emptyDir": {}}])
        ),
        'only one container, named "engine"',
    ),
    ("cents of a cent", agent_manifest(budget={"limits": [a_limit("1.5")]}), "max must be a whole number of 0 or more"),
    (
        "money with a sign",
        agent_manifest(budget={"limits": [a_limit("$25", resource="Cost")]}),
        "max of Cost must be dollars",
    ),
    (
        "money too fine to count",
        agent_manifest(budget={"limits": [a_limit("1.0000000001", resource="Cost")]}),
        "at most nine decimals",
    ),
    (
        "a time without a unit",
        agent_manifest(budget={"limits": [a_limit("90", resource="ToolTime")]}),
        "max of ToolTime and WallClock must be a duration",
    ),
    (
        "the life of a pod by the day",
        agent_manifest(budget={"limits": [a_limit("1h", resource="WallClock", window="Day")]}),
        "its window must be Run",
    ),
    (
        "a run that pods share",
        agent_manifest(budget={"limits": [a_limit(scope="AgentType")]}),
        "with window Run the scope must be Pod",
    ),
    ("a scope of all namespaces", agent_manifest(budget={"limits": [a_limit(scope="Namespace")]}), "supported values"),
    ("an unknown end", agent_manifest(budget={"onExhausted": "Panic"}), "supported values"),
    ("a status that no client knows", agent_manifest(budget={"refusalStatus": 418}), "supported values"),
    ("a warning past the end", agent_manifest(budget={"warnAtPercent": 101}), "less than or equal to 100"),
    ("a shared budget of a run", budget_manifest(limits=[a_limit()]), "a shared budget needs a window"),
    ("a shared budget without a limit", budget_manifest(limits=[]), "should have at least 1 items"),
    ("a shared limit in words", budget_manifest(limits=[a_limit("many", window="Day")]), "max must be a whole number"),
    ("two shared limits of one name", budget_manifest(limits=[a_limit(window="Day")] * 2), "duplicate entries"),
    ("a rule that says nothing", agent_manifest(rules=[a_rule()]), "a rule must say what it looks for"),
    (
        "a rule that looks at nothing",
        agent_manifest(rules=[{"name": "x", "matches": "x"}]),
        "appliesTo: Required value",
    ),
    ("a rule on nothing", agent_manifest(rules=[a_rule(matches="x", appliesTo=[])]), "should have at least 1 items"),
    ("a rule on something else", agent_manifest(rules=[a_rule(matches="x", appliesTo=["Email"])]), "supported values"),
    (
        "a tool asked of a prompt",
        agent_manifest(rules=[a_rule(tool="shell*")]),
        "tool can be asked of ToolCall and ToolResult only",
    ),
    (
        "a model asked of a tool call",
        agent_manifest(rules=[a_rule(model="gpt*", appliesTo=["ToolCall"])]),
        "model can be asked of LLMRequest and LLMResponse only",
    ),
    (
        "an expression that is not closed",
        agent_manifest(rules=[a_rule(matches="AKIA[0-9")]),
        "matches must be a regular expression that RE2 can read",
    ),
    (
        "a back reference",
        agent_manifest(rules=[a_rule(matches=r"(a)\1")]),
        "matches must be a regular expression that RE2 can read",
    ),
    (
        "a look ahead",
        agent_manifest(rules=[a_rule(matches="a(?=b)")]),
        "matches must be a regular expression that RE2 can read",
    ),
    ("two rules of one name", agent_manifest(rules=[a_rule(matches="x"), a_rule(matches="y")]), "duplicate entries"),
    ("a rate of nothing", agent_manifest(rateLimits={"requestsPerMinute": 0}), "greater than or equal to 1"),
    ("a tool of no kind", agent_manifest(tools=[{"name": "crm"}]), "exactly one of mcp and http must be set"),
    (
        "a tool of two kinds",
        agent_manifest(tools=[a_tool(http={"url": "http://crm", "allow": [{"path": "/"}]})]),
        "exactly one of mcp and http must be set",
    ),
    (
        "an HTTP tool that allows nothing",
        agent_manifest(tools=[{"name": "crm", "http": {"url": "http://crm", "allow": []}}]),
        "should have at least 1 items",
    ),
    (
        "an HTTP path with a query",
        agent_manifest(tools=[{"name": "crm", "http": {"url": "http://crm", "allow": [{"path": "/x?y=1"}]}}]),
        "should match",
    ),
    (
        "an HTTP method that is none",
        agent_manifest(
            tools=[{"name": "crm", "http": {"url": "http://crm", "allow": [{"path": "/", "methods": ["GRAB"]}]}}]
        ),
        "supported values",
    ),
    (
        "a timeout in words",
        agent_manifest(tools=[a_tool(limits={"timeout": "soon"})]),
        "write a duration in hours, minutes and seconds",
    ),
    (
        "a header with a colon",
        agent_manifest(tools=[a_tool(credentialHeader="x-key:")]),
        "should match",
    ),
    (
        "a fallback with an adapter and a model",
        agent_manifest(
            models=[
                {
                    "match": ["*"],
                    "backendRef": {"name": "shared"},
                    "fallback": [{"backendRef": {"name": "b"}, "adapterRef": {"name": "a"}, "model": "m"}],
                }
            ]
        ),
        "adapterRef already says which model is served",
    ),
    (
        "a fallback on nothing that we know",
        agent_manifest(
            models=[
                {
                    "match": ["*"],
                    "backendRef": {"name": "shared"},
                    "fallback": [{"backendRef": {"name": "b"}, "when": ["Boredom"]}],
                }
            ]
        ),
        "supported values",
    ),
    (
        "a price in words",
        {**external_manifest(), "spec": {**external_manifest()["spec"], "prices": [a_price(input="cheap")]}},
        "a price must be dollars per million tokens",
    ),
    (
        "a price of no model",
        {**external_manifest(), "spec": {**external_manifest()["spec"], "prices": [a_price(models=[])]}},
        "should have at least 1 items",
    ),
    ("an absolute adapter path", adapter_manifest(path="/etc"), "must be a relative path"),
    ("an adapter path upwards", adapter_manifest(path="../x"), "must be a relative path"),
    ("a digest that is none", adapter_manifest(digest="sha256:abc"), "should match"),
]


def _apply(kubeconfig: str, manifest: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            str(clusters.tool("kubectl")),
            "--kubeconfig",
            kubeconfig,
            "apply",
            "--server-side",
            "--dry-run=server",
            "-f",
            "-",
        ],
        input=json.dumps(manifest),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(("manifest", "words"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_a_bad_manifest_is_refused_with_words_that_tell_the_fix(
    kubeconfig_with_crds: str, manifest: dict[str, Any], words: str
) -> None:
    answer = _apply(kubeconfig_with_crds, manifest)

    assert answer.returncode != 0, answer.stdout
    assert words in answer.stderr


GOOD = {
    "an agent": agent_manifest(),
    "an agent with everything": agent_manifest(
        description="d",
        replicas=2,
        interface={"port": 8080, "protocol": "HTTP"},
        injection={"wrapper": []},
        tools=[
            a_tool(
                allow=["lookup_*"],
                limits={
                    "callsPerMinute": 60,
                    "callsPerRun": 0,
                    "timeout": "1m30s",
                    "argumentBytes": 1,
                    "resultBytes": 1,
                },
                credentialRef={"name": "s", "key": "k"},
                credentialHeader="X-Api-Key",
                onRefusal="Result",
            ),
            {"name": "orders", "http": {"url": "https://orders.test/api", "allow": [{"path": "/v1/*"}]}},
        ],
        budget={
            "limits": [
                a_limit(),
                a_limit("0", "calls", resource="Requests"),
                a_limit("25.00", "cost", resource="Cost", window="Month", scope="AgentType"),
                a_limit("45s", "tools", resource="ToolTime", window="Hour"),
                a_limit("1h30m", "life", resource="WallClock"),
            ],
            "budgetRef": {"name": "team"},
            "onLimit": "Reject",
            "onExhausted": "StopAgent",
            "refusalStatus": 429,
        },
        rateLimits={"requestsPerMinute": 600, "tokensPerMinute": 200000, "maxConcurrent": 32},
        rules=[
            a_rule(matches="(?i)AKIA[0-9A-Z]{16}", appliesTo=["LLMRequest", "LLMResponse", "ToolCall", "ToolResult"]),
            a_rule(name="shell", appliesTo=["ToolCall"], tool="shell*", action="StopAgent"),
            a_rule(name="large", moreThanBytes=65536, morePerMinute=10, model="gpt*", action="Warn"),
        ],
    ),
    "an agent with as much as it may have": agent_manifest(
        rules=[a_rule(name=f"r{number}", matches="a" * 512) for number in range(32)],
        budget={"limits": [a_limit(name=f"l{number}") for number in range(16)]},
        tools=[a_tool(name=f"t{number}", limits={"timeout": "1h1m1s"}) for number in range(64)],
        models=[
            {
                "match": [f"m{number}-{glob}" for glob in range(32)],
                "backendRef": {"name": "shared"},
                "fallback": [{"backendRef": {"name": "outside"}, "model": "m", "when": ["BudgetLow"]}] * 4,
            }
            for number in range(32)
        ],
    ),
    "a shared budget": budget_manifest(description="d", limits=[a_limit("5", resource="Cost", window="Forever")]),
    "a backend with prices": {
        **external_manifest(caRef={"name": "s", "key": "ca"}),
        "spec": {
            **external_manifest(caRef={"name": "s", "key": "ca"})["spec"],
            "prices": [a_price(cachedInput="0.25", cacheWrite="3")],
        },
    },
    "an agent without the wrapper": agent_manifest(
        template=pod(agent_container(env=[{"name": "AGENTTYPE_WRAPPER", "value": "off"}]))
    ),
    "a backend that we run": backend_manifest(),
    "an external backend": external_manifest(credentialRef={"name": "s", "key": "k"}),
    "an adapter": adapter_manifest(),
}


@pytest.mark.parametrize("manifest", GOOD.values(), ids=GOOD.keys())
def test_a_good_manifest_is_taken(kubeconfig_with_crds: str, manifest: dict[str, Any]) -> None:
    answer = _apply(kubeconfig_with_crds, manifest)

    assert answer.returncode == 0, answer.stderr
