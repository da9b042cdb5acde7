"""The auth callout of NATS: which connection may use which shared limits.

Belongs here: a program of its own, `python -m agenttype_operator.auth_callout`, that runs beside the NATS server in its
pod. It makes the keys and the server's settings before the server starts, then the streams. After that it answers the
server's question who a connection is: it asks the API server with a TokenReview. Does not belong here: what is
counted, which is the sidecars' part. The keys never leave the pod: a new pod makes new ones. Nothing imports it.
"""
