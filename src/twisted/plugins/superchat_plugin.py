"""Tells twistd about `superchat`; strings only, because `twistd --help` imports this file."""

from twisted.application.service import ServiceMaker

superchat = ServiceMaker("superchat", "superchat.tap", "A chat server for the SuperChat protocol.", "superchat")
