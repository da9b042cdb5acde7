"""NATS: the names of what lies there, the connection to it, and what is asked over it.

Here live subjects and streams, one connection with its reconnects, failures and TLS, counters and key-value entries on
JetStream, and the protocol of the auth callout: the server's request, the user's permissions, the signed response. What
is counted or kept, and what it means, is decided elsewhere; so is whose a token is, which the auth callout's program
asks `agenttype_authn`. Of our rooms this one imports `agenttype_runtime` only: what it needs of a policy comes in as
plain values. The sidecar and the operator import it.

``subjects``, ``streams``, ``operations``, ``permissions``, ``nats_jwt`` and ``errors`` are pure; ``nats_jwt`` and
``nkey`` need the extra ``auth-callout``.
"""
