"""The store's doorkeeper: who may touch which shared limits in NATS.

Belongs here: a process of its own that runs beside the NATS server in its pod, as `python -m agenttype_operator.store`.
It makes the keys and the server's settings before the server starts, then the streams, and answers the server's
question who a connection is (NATS calls that an auth callout). Does not belong here: what is counted, which is
the sidecars' affair. The keys never leave the pod: a new pod has new ones, and connections are opened anew anyway.
"""
