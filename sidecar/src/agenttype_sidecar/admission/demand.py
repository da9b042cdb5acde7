"""What admission knows of a call to a model: what it may cost, and which backend would answer it."""

from typing import Protocol

from agenttype_sidecar.budget.reservation import Claim
from agenttype_sidecar.routing.routes import Target


class Demand(Protocol):
    """A call that asks for admission. Calls of every protocol look like this, so admission reads no body."""

    @property
    def target(self) -> Target:
        """The target that would answer it."""

    @property
    def requested_model(self) -> str:
        """The model's name as the caller wrote it."""

    @property
    def output(self) -> int | None:
        """Tokens per answer, as the caller bounds them; None if it does not."""

    @property
    def bounded(self) -> bool:
        """Whether its bytes bound its prompt's tokens."""

    @property
    def has_tools(self) -> bool:
        """Whether it offers tools, for which a chat template may add text."""

    @property
    def is_free(self) -> bool:
        """Whether it costs nothing; then nothing is held for it and no limit counts it."""

    @property
    def is_ours(self) -> bool:
        """Whether an engine behind our gate would answer it; such an engine can count prompts."""

    def claim(self, exact: int | None = None) -> Claim | None:
        """Return its claim on the budget, None if nothing bounds its prompt.

        Args:
            exact: tokens of the prompt, if they were counted.
        """
