"""Finds the route for a model's name: the first route whose glob matches.

A route leads to a target, and from there to its fallbacks, which are targets too.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from agenttype_api.policy import Backend, Policy, Route, WireProtocol
from agenttype_api.v1alpha1 import FallbackReason

from agenttype_sidecar.errors import PolicyError, UnknownModel, WrongProtocol
from agenttype_sidecar.routing import globs

_CACHED_NAMES: Final = 1024
_LONGEST_NAME: Final = 256


class Target:
    """A route and its backend.

    Attributes:
        route: The route; for a fallback, the route it belongs to with the fallback's backend and model.
        backend: Where it leads.
        fallback: The fallbacks, in order; a fallback itself has none.
        name: The backend and its adapter, if any, for response headers.
    """

    __slots__ = ("adapter", "backend", "fallback", "model", "name", "route")

    def __init__(self, route: Route, backend: Backend, fallback: "tuple[Fallback, ...]" = ()) -> None:
        self.route = route
        self.backend = backend
        self.fallback = fallback
        #: Labels of metrics; they come from the policy, so their number is limited.
        self.model = route.model or backend.name
        self.adapter = route.adapter or ""
        self.name = f"{backend.name}/{self.adapter}" if self.adapter else backend.name


class Fallback(NamedTuple):
    """A fallback, and the reasons it is used for."""

    target: Target
    when: frozenset[FallbackReason]


class Routes:
    """The routes of one policy."""

    def __init__(self, policy: Policy) -> None:
        """Compile the globs.

        Raises:
            PolicyError: A route names a backend that the policy does not have.
        """
        backends = {backend.name: backend for backend in policy.backends}
        self._globs = [(globs.glob(route.match), _target(route, backends)) for route in policy.routes]
        self._found: dict[str, Target | None] = {}
        self.names = tuple(self._names(policy))

    def find(self, name: str, protocol: WireProtocol) -> Target:
        """Return the target for a model's name.

        Raises:
            UnknownModel: No route matches.
            WrongProtocol: The matching route leads to a backend that does not speak `protocol`.
        """
        target = self._find(name)
        if target is None:
            raise UnknownModel("no route of this agent's policy matches the requested model")
        if protocol not in target.backend.protocols:
            spoken = " and ".join(target.backend.protocols)
            raise WrongProtocol(
                f"the call uses the {protocol} protocol, but the backend of this model speaks {spoken} only"
            )
        return target

    def _find(self, name: str) -> Target | None:
        try:
            return self._found[name]
        except KeyError:
            if len(name) > _LONGEST_NAME:
                return None
            target = next((target for glob, target in self._globs if glob.fullmatch(name)), None)
            if len(self._found) < _CACHED_NAMES:  # an agent that invents names must not fill our memory
                self._found[name] = target
            return target

    def _names(self, policy: Policy) -> list[str]:
        """Return the names to list: those that a route names without `*`, else its adapter, model or backend."""
        found: dict[str, None] = {}
        for route in policy.routes:
            literal = [name for name in route.match if "*" not in name]
            for name in literal or [route.adapter or route.model or route.backend]:
                target = self._find(name)
                if target is not None and target.route is route:
                    found[name] = None
        return list(found)


def _target(route: Route, backends: Mapping[str, Backend]) -> Target:
    fallbacks = []
    for step in route.fallback:
        own = {"backend": step.backend, "model": step.model, "adapter": step.adapter, "fallback": ()}
        target = Target(route.model_copy(update=own), _backend(step.backend, backends))
        fallbacks.append(Fallback(target, frozenset(step.when)))
    return Target(route, _backend(route.backend, backends), tuple(fallbacks))


def _backend(name: str, backends: Mapping[str, Backend]) -> Backend:
    backend = backends.get(name)
    if backend is None:
        raise PolicyError(f"a route names the backend {name!r}, which the policy does not describe")
    return backend
