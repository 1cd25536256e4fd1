"""The server as its users meet it: a real process, real sockets and a real database."""
