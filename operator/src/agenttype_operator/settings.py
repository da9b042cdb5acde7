"""Everything that an administrator sets: environment variables `AGENTTYPE_…` in, one frozen object out."""

import os
import re
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass

_LOG_LEVEL, _NATS_URL, _NATS_CA = (
    "AGENTTYPE_OPERATOR_LOG_LEVEL",
    "AGENTTYPE_OPERATOR_NATS_URL",
    "AGENTTYPE_OPERATOR_NATS_CA",
)
_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


class SettingsError(Exception):
    """A variable is missing or makes no sense; the message names it."""


@dataclass(frozen=True)
class Images:
    """Images of the containers that we add to pods."""

    sidecar: str
    wrapper: str
    gate: str
    pull_policy: str = "IfNotPresent"


@dataclass(frozen=True)
class ChildSettings:
    """What child objects depend on beside the kinds."""

    images: Images
    nats_url: str | None = None
    """NATS server that counts limits which pods share; None: there is none."""
    nats_ca: str | None = None
    """Certificates (PEM) that vouch for it; None: the system's."""


@dataclass(frozen=True)
class Settings:
    """The operator's settings; times in seconds."""

    children: ChildSettings
    namespaces: tuple[str, ...] = ()
    """Namespaces that are served; empty: all."""
    lease_namespace: str = "default"
    lease_name: str = "agenttype-operator"
    identity: str = "agenttype-operator"
    """Holder of the Lease: the pod's name, unique among replicas."""
    gate_binding: str = "agenttype-gate"
    """The ClusterRoleBinding, made by the chart, whose subjects are the gates' ServiceAccounts."""
    http_port: int = 8080
    """Port of /metrics, /healthz and /readyz; 0 takes a free one."""
    log_level: str = "INFO"
    workers: int = 16
    relist: float = 45.0
    """How often the cache is compared with the cluster, so that an event that was lost heals within a minute."""
    resync: float = 600.0
    """How often everything is reconciled again, whatever the events said."""


def from_environment(environment: Mapping[str, str] | None = None) -> Settings:
    """Read the settings.

    Raises:
        SettingsError: a required variable is missing or a number is none.
    """
    env = os.environ if environment is None else environment
    return Settings(
        children=ChildSettings(
            images=Images(
                sidecar=_required(env, "AGENTTYPE_OPERATOR_SIDECAR_IMAGE"),
                wrapper=_required(env, "AGENTTYPE_OPERATOR_WRAPPER_IMAGE"),
                gate=_required(env, "AGENTTYPE_OPERATOR_GATE_IMAGE"),
                pull_policy=env.get("AGENTTYPE_OPERATOR_IMAGE_PULL_POLICY", "IfNotPresent"),
            ),
            nats_url=_nats_url(env.get(_NATS_URL, "")),
            nats_ca=_certificates(env.get(_NATS_CA, "")),
        ),
        namespaces=_names(env.get("AGENTTYPE_OPERATOR_NAMESPACES", "")),
        lease_namespace=_required(env, "AGENTTYPE_OPERATOR_LEASE_NAMESPACE"),
        lease_name=env.get("AGENTTYPE_OPERATOR_LEASE_NAME", "agenttype-operator"),
        identity=env.get("AGENTTYPE_OPERATOR_POD_NAME") or f"{socket.gethostname()}-{os.getpid()}",
        gate_binding=env.get("AGENTTYPE_OPERATOR_GATE_BINDING", "agenttype-gate"),
        http_port=int(_number(env, "AGENTTYPE_OPERATOR_HTTP_PORT", 8080)),
        log_level=_level(env.get(_LOG_LEVEL) or "INFO"),
        workers=int(_number(env, "AGENTTYPE_OPERATOR_WORKERS", 16)),
        relist=_number(env, "AGENTTYPE_OPERATOR_RELIST_SECONDS", 45.0),
        resync=_number(env, "AGENTTYPE_OPERATOR_RESYNC_SECONDS", 600.0),
    )


def _required(env: Mapping[str, str], name: str) -> str:
    if value := env.get(name):
        return value
    raise SettingsError(f"{name} must be set; the chart sets it")


def _names(text: str) -> tuple[str, ...]:
    return tuple(sorted(filter(None, (part.strip() for part in text.split(",")))))


def _nats_url(url: str) -> str | None:
    if not url or re.match(r"(nats|tls)://[^\s/@]+$", url):
        return url or None
    raise SettingsError(f"{_NATS_URL} must be nats://host:port or tls://host:port, not {url!r}")


def _certificates(text: str) -> str | None:
    if not text:
        return None
    try:
        ssl.create_default_context(cadata=text)
    except (ssl.SSLError, ValueError) as error:
        raise SettingsError(f"{_NATS_CA} must be certificates in PEM: {error}") from error
    return text


def _level(name: str) -> str:
    if name.upper() in _LEVELS:
        return name.upper()
    raise SettingsError(f"{_LOG_LEVEL} must be one of {', '.join(_LEVELS)}, not {name!r}")


def _number(env: Mapping[str, str], name: str, default: float) -> float:
    try:
        return float(env.get(name) or default)
    except ValueError as error:
        raise SettingsError(f"{name} must be a number, not {env[name]!r}") from error
