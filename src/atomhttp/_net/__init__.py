"""Sockets and waiting: reactor, drivers, streams, connecting, pool, connections.

May import `_wire`, `_model` and `errors`. Knows nothing of policy: what is retried, followed or decoded is decided
above.
"""
