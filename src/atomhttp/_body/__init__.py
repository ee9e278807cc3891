"""Content: encoding what is sent, decoding what came, measuring both. No socket, no clock.

May import `_model`, `form_data`, `progress` and `errors`, nothing else of ours.
"""
