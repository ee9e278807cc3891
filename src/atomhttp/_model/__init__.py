"""Plain values: what a request, a response and their options are. No I/O; one coroutine calls the caller's functions.

May import `errors`, `types`, `_redact` and the public values beside it (`auth`, `form_data`, `progress`).
"""
