"""superchat-loadtest: puts load on a server, measures it, and checks what arrives.

Plain sockets in several processes, no reactor: one process coordinates (``coordinator``), the others are the load
(``worker``). ``checker`` is what decides whether a subscriber got everything, once and in order.
"""
