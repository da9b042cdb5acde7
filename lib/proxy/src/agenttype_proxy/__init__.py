"""Bytes in, bytes out: the HTTP data path without any policy.

Here live a pooled HTTP/1.1 client, an HTTP/1.1 server for bare ASGI apps, the reading of server-sent events, and every
deadline and limit of both sides. What a call may do, what it costs and where it goes is decided elsewhere: nothing here
knows a model, a tool, a budget or a tenant. This room imports no other room; the sidecar and the gate import it.

``client`` and ``server`` open sockets; ``upstream`` and ``inbound`` are the connections of the two sides; ``framing``,
``request_head``, ``headers`` and ``sse`` are pure.
"""
