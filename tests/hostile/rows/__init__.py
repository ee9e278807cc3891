"""The tables, a topic a file."""
