"""Plain values: what a request, a response and their options are. No I/O, no coroutine.

May import `errors`, `types` and `_redact`, nothing else of ours.
"""
