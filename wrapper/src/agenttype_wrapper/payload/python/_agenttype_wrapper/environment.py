"""The names that the wrapper shares with the rest of AgentType; it may import nothing, so it keeps copies.

A contract test holds them equal to `agenttype_api.keys`.
"""

LLM_SIDECAR_URL = "LLM_SIDECAR_URL"
"""Where the sidecar listens, as `http://127.0.0.1:15001`. Unset: there is no sidecar and the wrapper idles."""

WRAPPER = "AGENTTYPE_WRAPPER"
"""The kill switch: `off` keeps the wrapper out of the process."""

DEBUG = "AGENTTYPE_DEBUG"
"""`1` makes the wrapper print its own failures to stderr."""

WRAPPER_STATE = "AGENTTYPE_WRAPPER_STATE"
"""Written by the wrapper, inherited by children: see `state`."""

ROOT = "/opt/agenttype"
PYTHON = "/opt/agenttype/python"

HEADER_PROCESS = "x-agenttype-process"
HEADER_WRAPPER = "x-agenttype-wrapper"
HEADER_TRACE = "traceparent"
