"""Builders of objects: a test shows only what matters to it."""

from typing import Any

from agenttype_api import v1alpha1

DIGEST = "sha256:" + "ab" * 32


def agent_manifest(name: str = "green", namespace: str = "default", **spec: Any) -> dict[str, Any]:
    """An AgentType as a user writes it; keyword arguments replace members of its spec."""
    return {
        "apiVersion": "agenttype.dev/v1alpha1",
        "kind": "AgentType",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "template": {"spec": {"containers": [{"name": "agent", "image": "example.test/bot:1"}]}},
            "models": [{"match": ["*"], "backendRef": {"name": "shared"}}],
            **spec,
        },
    }


def backend_manifest(name: str = "shared", namespace: str = "default", **vllm: Any) -> dict[str, Any]:
    """A ModelBackend that we run, with room for adapters; keyword arguments replace members of spec.vllm."""
    return {
        "apiVersion": "agenttype.dev/v1alpha1",
        "kind": "ModelBackend",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "vllm": {
                "image": "example.test/vllm:1",
                "model": "/models/base",
                "maxModelLen": 2048,
                "lora": {"maxAdapters": 4, "maxRank": 8, "volume": "adapters"},
                "template": {
                    "spec": {
                        "containers": [{"name": "engine"}],
                        "volumes": [{"name": "adapters", "emptyDir": {}}],
                    }
                },
                **vllm,
            }
        },
    }


def external_manifest(name: str = "outside", namespace: str = "default", **external: Any) -> dict[str, Any]:
    """A ModelBackend that somebody else runs."""
    return {
        "apiVersion": "agenttype.dev/v1alpha1",
        "kind": "ModelBackend",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"external": {"url": "https://llm.example.test", "protocol": "OpenAI", **external}},
    }


def adapter_manifest(
    name: str = "green", backend: str = "shared", namespace: str = "default", **source: Any
) -> dict[str, Any]:
    """A LoraAdapter; keyword arguments replace members of spec.source."""
    return {
        "apiVersion": "agenttype.dev/v1alpha1",
        "kind": "LoraAdapter",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"backendRef": {"name": backend}, "source": {"path": name, "digest": DIGEST, **source}},
    }


def budget_manifest(name: str = "team", namespace: str = "default", **spec: Any) -> dict[str, Any]:
    """An AgentBudget of one limit; keyword arguments replace members of its spec."""
    return {
        "apiVersion": "agenttype.dev/v1alpha1",
        "kind": "AgentBudget",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"limits": [a_limit(name="day", window="Day")], **spec},
    }


def a_rule(**members: Any) -> dict[str, Any]:
    """One rule as a user writes it."""
    return {"name": "no-keys", "appliesTo": ["LLMRequest"], **members}


def a_tool(**members: Any) -> dict[str, Any]:
    """One tool server as a user writes it; keyword arguments replace members."""
    return {"name": "crm", "mcp": {"url": "http://crm.tools:8080/mcp"}, **members}


def an_agent_type(name: str = "green", **spec: Any) -> v1alpha1.AgentType:
    """An AgentType as the operator reads it."""
    return v1alpha1.AgentType.model_validate(agent_manifest(name, **spec))


def a_backend(name: str = "shared", **vllm: Any) -> v1alpha1.ModelBackend:
    """A ModelBackend that we run, as the operator reads it."""
    return v1alpha1.ModelBackend.model_validate(backend_manifest(name, **vllm))


def an_external_backend(name: str = "outside", **external: Any) -> v1alpha1.ModelBackend:
    """An external ModelBackend as the operator reads it."""
    return v1alpha1.ModelBackend.model_validate(external_manifest(name, **external))


def a_budget(name: str = "team", **spec: Any) -> v1alpha1.AgentBudget:
    """An AgentBudget as the operator reads it."""
    return v1alpha1.AgentBudget.model_validate(budget_manifest(name, **spec))


def an_adapter(name: str = "green", backend: str = "shared", **source: Any) -> v1alpha1.LoraAdapter:
    """A LoraAdapter as the operator reads it."""
    return v1alpha1.LoraAdapter.model_validate(adapter_manifest(name, backend, **source))


def a_limit(maximum: str = "1000", name: str = "run", **limit: Any) -> dict[str, Any]:
    """One budget limit as a user writes it."""
    return {"name": name, "resource": "Tokens", "max": maximum, **limit}


def pod(*containers: dict[str, Any], **spec: Any) -> dict[str, Any]:
    """A pod template with these containers; without any, the agent alone."""
    return {"spec": {"containers": list(containers) or [{"name": "agent", "image": "example.test/bot:1"}], **spec}}


def agent_container(**members: Any) -> dict[str, Any]:
    """The container named agent."""
    return {"name": "agent", "image": "example.test/bot:1", **members}
