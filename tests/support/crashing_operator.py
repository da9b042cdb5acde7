"""The operator, which dies like a killed process right before or after its nth write: `before:N` or `after:N`."""

import itertools
import os
import sys
from typing import Any

from agenttype_operator import __main__
from agenttype_operator.kube import client

moment, _, number = sys.argv[1].partition(":")
writes = itertools.count(1)
write = client.KubeClient._write


async def crashing(self: client.KubeClient, *arguments: Any, **options: Any) -> Any:
    """Write, or die."""
    last = next(writes) == int(number)
    if last and moment == "before":
        os._exit(137)
    found = await write(self, *arguments, **options)
    if last:
        os._exit(137)
    return found


client.KubeClient._write = crashing  # type: ignore[method-assign]
sys.exit(__main__.main())
