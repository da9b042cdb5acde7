"""Everything that an administrator sets: environment variables in, one frozen object out."""

import os
import re
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from agenttype_api import keys

_PREFIX: Final = keys.ENV_OPERATOR
_NATS_URL: Final = _PREFIX + "NATS_URL"
_NATS_CA: Final = _PREFIX + "NATS_CA"
_LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR")


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
class Making:
    """What decides, beside the kinds, what is made for them."""

    images: Images
    nats_url: str | None = None
    """NATS server that counts limits which pods share; None: there is none."""
    nats_authority: str | None = None
    """Certificates (PEM) that vouch for it; None: the system's."""


@dataclass(frozen=True)
class Settings:
    """The operator's settings; times in seconds."""

    making: Making
    namespaces: tuple[str, ...] = ()
    """Namespaces that are served; empty: all."""
    lease_namespace: str = "default"
    lease_name: str = "agenttype-operator"
    identity: str = "agenttype-operator"
    """Who holds the Lease: the pod's name, unique among replicas."""
    gate_binding: str = "agenttype-gate"
    """The ClusterRoleBinding, made by the chart, whose subjects are the gates' ServiceAccounts."""
    http_port: int = 8080
    """Port of /metrics, /healthz and /readyz; 0 takes a free one."""
    log_level: str = "INFO"
    workers: int = 16
    sweep: float = 45.0
    """How often the cache is compared with the cluster, so that an event that was lost heals within a minute."""
    resync: float = 600.0
    """How often everything is looked at again, whatever the events said."""


def from_environment(environment: Mapping[str, str] | None = None) -> Settings:
    """Read the settings.

    Raises:
        SettingsError: a required variable is missing or a number is none.
    """
    env = os.environ if environment is None else environment
    return Settings(
        making=Making(
            images=Images(
                sidecar=_required(env, _PREFIX + "SIDECAR_IMAGE"),
                wrapper=_required(env, _PREFIX + "WRAPPER_IMAGE"),
                gate=_required(env, _PREFIX + "GATE_IMAGE"),
                pull_policy=env.get(_PREFIX + "IMAGE_PULL_POLICY", "IfNotPresent"),
            ),
            nats_url=_nats(env.get(_NATS_URL, "")),
            nats_authority=_certificates(env.get(_NATS_CA, "")),
        ),
        namespaces=tuple(
            sorted(filter(None, (part.strip() for part in env.get(_PREFIX + "NAMESPACES", "").split(","))))
        ),
        lease_namespace=_required(env, _PREFIX + "LEASE_NAMESPACE"),
        lease_name=env.get(_PREFIX + "LEASE_NAME", "agenttype-operator"),
        identity=env.get(_PREFIX + "POD_NAME") or f"{socket.gethostname()}-{os.getpid()}",
        gate_binding=env.get(_PREFIX + "GATE_BINDING", "agenttype-gate"),
        http_port=int(_number(env, _PREFIX + "HTTP_PORT", 8080)),
        log_level=_level(env.get(_PREFIX + "LOG_LEVEL") or "INFO"),
        workers=int(_number(env, _PREFIX + "WORKERS", 16)),
        sweep=_number(env, _PREFIX + "SWEEP_SECONDS", 45.0),
        resync=_number(env, _PREFIX + "RESYNC_SECONDS", 600.0),
    )


def _required(env: Mapping[str, str], name: str) -> str:
    if value := env.get(name):
        return value
    raise SettingsError(f"{name} must be set; the chart sets it")


def _nats(url: str) -> str | None:
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
    raise SettingsError(f"{_PREFIX}LOG_LEVEL must be one of {', '.join(_LEVELS)}, not {name!r}")


def _number(env: Mapping[str, str], name: str, default: float) -> float:
    try:
        return float(env.get(name) or default)
    except ValueError as error:
        raise SettingsError(f"{name} must be a number, not {env[name]!r}") from error
