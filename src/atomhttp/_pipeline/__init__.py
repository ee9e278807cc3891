"""Policies, one a file, and `dispatch`, where the life of a request can be read from top to bottom.

May import `_body` and `_model`; never `_net` or `_wire`: sockets are the adapters' business.
"""
