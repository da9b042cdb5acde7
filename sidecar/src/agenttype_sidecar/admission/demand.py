"""What admission knows of a call to a model: what it may cost, and who would answer it."""

from typing import Protocol

from agenttype_sidecar.budget.reservation import Claim
from agenttype_sidecar.routing.routes import Target


class Demand(Protocol):
    """A call that wants to go. Calls of every protocol look like this, so admission reads no body."""

    @property
    def target(self) -> Target:
        """Who would answer it."""

    @property
    def asked(self) -> str:
        """The model's name as the caller wrote it."""

    @property
    def output(self) -> int | None:
        """Tokens per answer, as the caller bounds them; None where it does not."""

    @property
    def bounded(self) -> bool:
        """Whether its bytes bound its prompt's tokens."""

    @property
    def has_tools(self) -> bool:
        """Whether it offers tools, of which a chat template may say more."""

    @property
    def is_free(self) -> bool:
        """Whether it costs nothing, so that nothing is held for it and no limit counts it."""

    @property
    def is_ours(self) -> bool:
        """Whether an engine behind our gate would answer it, which counts prompts for us."""

    def claim(self, exact: int | None = None) -> Claim | None:
        """Return what it wants of the budget, None where nothing bounds its prompt.

        Args:
            exact: tokens of the prompt, where they were counted.
        """
