"""The prices of calls under one policy."""

from typing import Final

from agenttype_api.policy import Backend, Policy, Price
from agenttype_api.v1alpha1 import Resource

from agenttype_sidecar.budget import prices
from agenttype_sidecar.budget.prices import Rate
from agenttype_sidecar.errors import UnpricedModel
from agenttype_sidecar.routing.routes import Target

_REMEMBERED: Final = 1024


class PriceLookup:
    """Finds prices, and caches them.

    Attributes:
        limits: Whether any limit counts costs.
    """

    def __init__(self, policy: Policy) -> None:
        self.limits = any(limit.resource is Resource.COST for limit in policy.budget.limits)
        self._backends = {backend.name: backend for backend in policy.backends}
        self._found: dict[tuple[str, str, str], Price | None] = {}
        self._rates: dict[tuple[Target, str], Rate] = {}

    def price(self, target: Target, requested_model: str) -> Price | None:
        """Return the price of a target for a caller that requested this model; None if the policy has none."""
        return self._find(target.backend, target.route.model or requested_model, target.adapter)

    def rate(self, target: Target, requested_model: str) -> Rate:
        """Return the most that a call's tokens can cost, whether its target or a fallback answers.

        Raises:
            UnpricedModel: Costs are limited, and the target or a fallback has no price.
        """
        rate = self._rates.get((target, requested_model))
        if rate is None:
            rate = self._highest(target, requested_model)
            if len(self._rates) < _REMEMBERED:
                self._rates[target, requested_model] = rate
        return rate

    def _highest(self, target: Target, requested_model: str) -> Rate:
        found = [self._required(target.backend, target.route.model or requested_model, target.adapter)]
        for step in target.route.fallback:
            backend = self._backends.get(step.backend)
            if backend is not None:
                found.append(self._required(backend, step.model or requested_model, step.adapter or ""))
        return prices.highest(price for price in found if price is not None)

    def _required(self, backend: Backend, model: str, alias: str) -> Price | None:
        price = self._find(backend, model, alias)
        if price is None and self.limits:
            raise UnpricedModel(
                f"this agent's costs are limited, and the ModelBackend {backend.name!r}, which can answer this call, "
                "has no price for the model: add one to its spec.prices"
            )
        return price

    def _find(self, backend: Backend, model: str, alias: str) -> Price | None:
        key = (backend.name, model, alias)
        try:
            return self._found[key]
        except KeyError:
            price = prices.price_of(backend, model, alias)
            if len(self._found) < _REMEMBERED:  # an agent that invents names must not fill our memory
                self._found[key] = price
            return price
