"""Plain values: what a request, a response and their options are. No I/O, but for files that the caller asks to be
written or read (`cookie_files`); one coroutine calls the caller's functions.

May import `errors`, `types`, `_redact` and the public values beside it (`auth`, `form_data`, `progress`).
"""
