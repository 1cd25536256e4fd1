"""SuperChat: a chat server for the SuperChat binary protocol, run as `twistd -n superchat` or `scd`."""

__version__ = "0.1.0"
