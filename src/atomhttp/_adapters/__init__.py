"""Adapters: what takes a finished Request and brings back what came of it. `send` and `close`, nothing else.

No policy lives here: what is retried, followed, limited or decoded is the same whatever the adapter. May import `_net`,
`_wire` and `_model`.
"""
