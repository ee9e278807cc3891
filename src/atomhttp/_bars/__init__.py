"""Progress bars as a person sees them: what a line says, in which colours, and where on the terminal it stands.

May import `errors`, nothing else of ours; only `progress` imports it. Nothing here knows what is being transferred.
"""
