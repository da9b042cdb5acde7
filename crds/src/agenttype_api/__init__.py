"""The contract: what every other room agrees on.

Belongs here: the pydantic models of every kind, the policy documents that the operator writes and the sidecar and
the gate read, the pure functions that compile the one into the other, the environment an agent gets, and every
string that two rooms share. Does not belong here: anything with a clock, a socket, a file or a cluster.
Every room but the wrapper, the proxy and the simulator imports it; it imports none of them.
"""
