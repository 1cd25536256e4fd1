"""The rules of the chat: who may say what to whom, in messages and values, without transports or SQL."""
