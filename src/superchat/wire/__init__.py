"""The protocol without I/O: bytes in, messages out, and back.

It knows neither Twisted nor the rules of the chat. ``connection.Connection`` holds one peer's stream,
``messages`` is the protocol as a table, ``errors`` says what can go wrong.
"""
