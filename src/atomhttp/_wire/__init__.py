"""Protocol engines without I/O: bytes in, events out. No socket, no clock, no coroutine lives here.

May import `_model` and `errors`, nothing else of ours.
"""
