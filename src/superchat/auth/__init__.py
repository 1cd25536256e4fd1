"""How people prove who they are: passwords and public keys, without any rule about what they may do then."""
