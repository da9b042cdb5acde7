"""What the wrapper could do in this process, as one line that fits a header and an environment variable.

    idle                            no sidecar is named; nothing was hooked
    active                          hooks are in place
    degraded;<part>:<Exception>,…   hooks are in place but these parts failed; `parent` means that the wrapper
                                    failed in the process that started this one
    off                             switched off (written by sitecustomize)
    failed;<Exception>              the wrapper did not start (written by sitecustomize)

The environment variable reaches children; the header `x-agenttype-wrapper` reaches the sidecar with each call.
A call that has no such header came from a process where the wrapper is off, failed, or was never reached.
"""

from . import environment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import MutableMapping


class State:
    """The state of one process, kept where its children find it; `inherited` is what its parent left there."""

    def __init__(self, environ: "MutableMapping[str, str]", inherited: str) -> None:
        self._environ = environ
        self._flaws: "list[str]" = []
        if inherited.startswith("failed;"):
            self._flaws.append("parent:" + _word(inherited[len("failed;") :]))
        self._publish()

    def __str__(self) -> str:
        return "degraded;" + ",".join(self._flaws) if self._flaws else "active"

    def _publish(self) -> None:
        self._environ[environment.WRAPPER_STATE] = str(self)

    def flaw(self, part: str, error: BaseException) -> None:
        """Record that a part failed; print it if the user debugs the wrapper."""
        flaw = part + ":" + _word(type(error).__name__)
        if flaw not in self._flaws:
            self._flaws.append(flaw)
            self._publish()
        if self._environ.get(environment.DEBUG) == "1":
            import sys  # noqa: PLC0415 — only when debugging
            import traceback  # noqa: PLC0415 — costs more than the rest of the start

            lines = traceback.format_exception(type(error), error, error.__traceback__)
            sys.stderr.write("agenttype wrapper: " + flaw + "\n" + "".join(lines))


def _word(text: str) -> str:
    """Keep what is safe in a header: the environment is the user's and could hold a line break."""
    return "".join(c for c in text[:64] if c == "_" or (c.isalnum() and c.isascii()))
