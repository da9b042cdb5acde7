"""Where shared limits lie in NATS: one stream of counters, one bucket of entries, and who may touch which of them.

An account (`policy.Limit.account`, then what is counted) is a row of subject tokens that begins with its namespace,
then `agent.<agent>` or `budget.<budget>`; so what a sidecar may read and write is a prefix.
"""

from typing import Final

#: Counters (`Nats-Incr`), one subject each: `at.bud.<account>.<index of the window>`.
STREAM: Final = "AGENTTYPE_COUNTERS"
COUNTERS: Final = "at.bud"
#: Key-value bucket of what came back and of the holders' records: `<account>.<index of the window>.<entry>`.
BUCKET: Final = "AGENTTYPE_ACCOUNTS"
#: The account of the server in which all of it lies.
SERVER_ACCOUNT: Final = "AGENTTYPE"


def inbox(namespace: str, agent: str) -> str:
    """Return the prefix under which an agent's sidecars get answers; no other agent may listen there."""
    return f"_INBOX_{namespace}_{agent}"


def accounts(namespace: str, agent: str) -> tuple[str, str]:
    """Return the prefixes of the accounts that an agent's sidecars may use: its own, and its namespace's budgets."""
    return f"{namespace}.agent.{agent}", f"{namespace}.budget"
