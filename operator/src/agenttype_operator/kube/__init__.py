"""The API server: the client, the kinds, the rights, the Lease.

Belongs here: everything that knows how an object is read or written. Does not belong here: what should be written.
`client` is the one module that talks to the API server. Every folder above may import this one.
"""
