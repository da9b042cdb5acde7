"""`python -m agenttype_sidecar` serves one agent until a signal ends it; one JSON line on stdout has its ports."""

import logging
import sys

from agenttype_proxy import loop
from prometheus_client import disable_created_metrics

from agenttype_sidecar import logs, options
from agenttype_sidecar.app import Sidecar
from agenttype_sidecar.errors import StartError


async def _serve(chosen: options.Options) -> None:
    await Sidecar(chosen).run()


def main() -> int:
    """Return the exit status: 0 after an orderly end, 1 where the sidecar cannot start."""
    logs.begin()
    disable_created_metrics()  # type: ignore[no-untyped-call]  # as many samples again, which no one reads
    try:
        loop.run(_serve(options.parse(sys.argv[1:])))
    except (StartError, OSError) as error:
        log = logging.getLogger("agenttype.sidecar")
        log.error("cannot start", extra={"fields": {"error": str(error)}})  # noqa: TRY400 — the message says how to fix it
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
