"""Transports: the only place that touches sockets; everything else talks in messages."""
