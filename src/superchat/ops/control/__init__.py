"""The administration of a server on its own machine: superchat-admin asks, through a socket in the file system
(decisions 9.7).

One connection carries one request, a JSON object on a line:

    {"command": "grant", "arguments": {"nickname": "bob", "role": "moderator"}, "database": "/var/lib/.../superchat.db"}

and the answer, objects on lines of their own: ``{"rows": [...]}`` as often as needed, then ``{"done": {...}}``; or
``{"error": {"kind": ..., "text": ...}}``. When no server runs, the tool has the same `Commands` carry the request out
on the database itself.
"""
