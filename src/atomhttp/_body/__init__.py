"""Content: encoding what is sent, decoding what came. No socket, no clock.

May import `_model` and `errors`, nothing else of ours.
"""
