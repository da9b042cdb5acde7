"""`python -m agenttype_sidecar` serves one agent until a signal ends it; one JSON line on stdout has its ports."""

import sys

from agenttype_proxy import loop
from agenttype_runtime import json_log
from agenttype_runtime.json_log import Log
from prometheus_client import disable_created_metrics

from agenttype_sidecar import options
from agenttype_sidecar.app import Sidecar
from agenttype_sidecar.errors import StartError


async def _serve(chosen: options.Options) -> None:
    await Sidecar(chosen).run()


def main() -> int:
    """Return the exit status: 0 after an orderly end, 1 where the sidecar cannot start."""
    json_log.set_up("sidecar")
    disable_created_metrics()  # type: ignore[no-untyped-call]  # as many samples again, which no one reads
    try:
        loop.run(_serve(options.parse(sys.argv[1:])))
    except (StartError, OSError) as error:
        Log("app").error("cannot start", error=str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
