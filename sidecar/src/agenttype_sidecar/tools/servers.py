"""The tool servers of a policy: their addresses, what the agent may use of them, and which header fields they get."""

import re
from typing import Final, NamedTuple

from agenttype_api import policy, quantities
from agenttype_api.policy import HttpRoute, ToolProtocol
from agenttype_proxy import headers as fields
from agenttype_proxy.messages import Deadlines, Headers, Origin

from agenttype_sidecar.backends.credentials import Credentials
from agenttype_sidecar.budget.tool_counts import ToolCounts
from agenttype_sidecar.routing import globs
from agenttype_sidecar.tools.limits import Allowance
from agenttype_sidecar.tools.metrics import OTHER

#: Names of tools that get a label of their own, per server; an agent that invents names must not fill our metrics.
_LABELS: Final = 100
#: Fields that the wrapper sends us, and fields about other hops that an agent must not set.
_PREFIXES: Final = (b"x-agenttype-", *fields.MISLEADING_PREFIXES)
#: The agent's own credentials, and fields by which some servers read another request than we did.
_DROPPED: Final = (
    b"authorization", b"x-api-key", b"api-key", b"cookie", b"accept-encoding", b"content-encoding",
    *fields.MISLEADING, *fields.OF_ONE_REQUEST,
)  # fmt: skip
_PLAIN: Final = (b"accept-encoding", b"identity")
#: Of an answer: fields that would make the agent's client keep a session besides ours.
_DROPPED_BACK: Final = (b"set-cookie", b"set-cookie2")
_OURS: Final = b"x-agenttype-"


class _Route(NamedTuple):
    methods: frozenset[str]
    path: re.Pattern[str]
    label: str


class ToolServer:
    """One tool server of the policy.

    Attributes:
        answers: Whether it answered the last request; None if there was none yet.
    """

    def __init__(self, tool: policy.Tool, allowance: Allowance, credentials: Credentials) -> None:
        self.answers: bool | None = None
        self.policy = tool
        self.name = tool.name
        self.origin = Origin.parse(tool.url)
        self.allowed = globs.glob(tool.allow)
        self.allowance = allowance
        self._credentials = credentials
        self._routes = tuple(_route(route) for route in tool.routes)
        self._labels: set[str] = set()

    def route(self, method: str, path: str) -> str | None:
        """Return the label of the route that allows a method on a path of an HTTP API, None if none does."""
        for route in self._routes:
            if method in route.methods and route.path.fullmatch(path):
                return f"{method} {route.label}"
        return None

    def label(self, tool: str) -> str:
        """Return the label that an allowed tool is counted under."""
        if tool in self._labels:
            return tool
        if len(self._labels) >= _LABELS:
            return OTHER
        self._labels.add(tool)
        return tool

    def deadlines(self, timeouts: policy.Timeouts) -> Deadlines:
        """Return how long a call may take."""
        connect, limit = quantities.seconds(timeouts.connect_ms), self.policy.limits.timeout_ms
        if limit is None:
            first_byte, idle, total = timeouts.first_byte_ms, timeouts.idle_ms, timeouts.total_ms
            return Deadlines(connect, *map(quantities.seconds, (first_byte, idle, total)))
        longest = quantities.seconds(limit)
        return Deadlines(min(connect, longest), longest, longest, longest)

    def request_headers(self, incoming: Headers) -> Headers:
        """Return the agent's header fields as they go to the server: its credentials removed, ours added.

        Raises:
            CredentialUnavailable: The file with our credential cannot be read.
        """
        ours = self._proof()
        dropped = {*_DROPPED, *(name for name, _ in ours)}
        kept = [field for field in fields.forwardable(incoming) if field[0] not in dropped]
        return [*(field for field in kept if not field[0].startswith(_PREFIXES)), _PLAIN, *ours]

    def answer_headers(self, answered: Headers) -> Headers:
        """Return the server's header fields as they go to the agent: without cookies, and without our credential."""
        secret = self._secret()
        return [
            (name, value)
            for name, value in fields.without(fields.forwardable(answered), *_DROPPED_BACK)
            if not name.startswith(_OURS) and (secret is None or secret not in value)
        ]

    def _proof(self) -> Headers:
        secret = self._secret()
        if secret is None:
            return []
        name = self.policy.credential_header.encode()
        return [(name, b"Bearer " + secret if name == b"authorization" else secret)]

    def _secret(self) -> bytes | None:
        file = self.policy.credential_file
        return None if file is None else self._credentials.secret(file)


class ToolServers:
    """The servers of the policy in use; their call counts are kept when the policy changes."""

    def __init__(self, counts: ToolCounts, credentials: Credentials) -> None:
        self._counts = counts
        self._credentials = credentials
        self._policy: policy.Policy | None = None
        self._allowances: dict[str, Allowance] = {}
        self._servers: dict[str, ToolServer] = {}

    def of(self, current: policy.Policy) -> dict[str, ToolServer]:
        """Return the servers of a policy by name, in its order; an unchanged server stays the same object."""
        if current is not self._policy:
            self._servers = {tool.name: self._kept(tool) or self._made(tool) for tool in current.tools}
            self._policy = current
        return self._servers

    def speaking(self, protocol: ToolProtocol, current: policy.Policy) -> dict[str, ToolServer]:
        """Return the servers that speak a protocol."""
        return {name: server for name, server in self.of(current).items() if server.policy.protocol is protocol}

    def _kept(self, tool: policy.Tool) -> ToolServer | None:
        server = self._servers.get(tool.name)
        return server if server is not None and server.policy == tool else None

    def _made(self, tool: policy.Tool) -> ToolServer:
        allowance = self._allowances.get(tool.name)
        if allowance is None:
            allowance = self._allowances[tool.name] = Allowance(tool.name, self._counts)
        return ToolServer(tool, allowance, self._credentials)


def _route(route: HttpRoute) -> _Route:
    return _Route(frozenset(method.value for method in route.methods), globs.glob([route.path]), route.path)
