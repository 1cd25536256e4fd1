"""What the lines of a chat do that begin with a slash."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from superchat.tools.cli_accounts import account, found
from superchat.tools.cli_ask import Declined, Questions
from superchat.tools.cli_changes import change, remove
from superchat.tools.cli_chat import Chat, Command
from superchat.tools.cli_identity import log_in
from superchat.tools.cli_numbers import Noted
from superchat.tools.cli_private import refuse
from superchat.tools.cli_secrets import NoPassword, check
from superchat.tools.cli_text import safe
from superchat.tools.cli_unread import counts
from superchat.wire import messages as wire

HELP: Final = (
    "/reply N TEXT   reply to the message shown as [N], in forums",
    "/edit N TEXT    give one's own message another text",
    "/delete N       delete a message",
    "/dm NAME TEXT   say something to somebody alone, encrypted",
    "/accept NAME    begin the private conversation that NAME has asked for",
    "/decline NAME   or not",
    "/unread         list the channels with unread messages",
    "/users          list who is in the channel",
    "/nick NAME      take another nickname",
    "/register       make an account of one's nickname",
    "/login [NAME]   act as an account",
    "/quit           leave; so does Ctrl-D on an empty line",
    "//TEXT          post /TEXT",
)


async def _reply(chat: Chat, questions: Questions, rest: str) -> None:
    noted, text = _noted(chat, rest, "/reply N TEXT")
    channel = chat.follower.channels.get(noted.channel_id)
    if channel is not None and channel.is_private:
        await chat.post(questions, text, channel_id=noted.channel_id)  # there are no threads
        return
    if channel is None or channel.is_forum is not False:
        # Whoever replies wants to see the reply, and those to it.
        await chat.follower.attend(questions, noted.message_id, noted.channel_id)
    await chat.post(questions, text, channel_id=noted.channel_id, parent_id=noted.message_id)


async def _edit(chat: Chat, questions: Questions, rest: str) -> None:
    noted, text = _noted(chat, rest, "/edit N TEXT")
    content = chat.conversations.seal(questions, noted.channel_id, text)
    chat.edited(await change(questions, noted.message_id, content))


async def _delete(chat: Chat, questions: Questions, rest: str) -> None:
    noted = chat.numbers.message(rest)
    if noted is None:
        raise Declined("usage: /delete N, with N as in [N] before a message")
    chat.deleted(await remove(questions, noted.message_id))


def _noted(chat: Chat, rest: str, usage: str) -> tuple[Noted, str]:
    number, _, text = rest.partition(" ")
    noted = chat.numbers.message(number)
    if noted is None or not text.strip():
        raise Declined(f"usage: {usage}, with N as in [N] before a message")
    return noted, text.strip()


async def _dm(chat: Chat, questions: Questions, rest: str) -> None:
    name, _, text = rest.partition(" ")
    if not text.strip():
        raise Declined("usage: /dm NAME TEXT")
    conversation = await chat.conversations.join(questions, name)
    await chat.post(questions, text.strip(), channel_id=conversation.ready.channel_id)


async def _accept(chat: Chat, questions: Questions, name: str) -> None:
    await chat.conversations.accept(questions, name)


async def _decline(chat: Chat, questions: Questions, name: str) -> None:
    chat.output.notice(await refuse(questions, name))


async def _unread(chat: Chat, questions: Questions, rest: str) -> None:
    if chat.follower.link.places.login is None:
        raise Declined("only accounts have something unread: /login first")
    found = await counts(questions, await questions.channels())
    chat.output.unread([(channel, number) for channel, number in found if number])


async def _users(chat: Chat, questions: Questions, rest: str) -> None:
    here = chat.follower.home.channel_id
    roster: wire.ChannelUserList = await questions.ask(wire.ListChannelUsers(channel_id=here))
    chat.output.users(roster.users)


async def _nick(chat: Chat, questions: Questions, name: str) -> None:
    reply: wire.NicknameResponse = await questions.granted(wire.SetNickname(nickname=name))
    chat.named(name, chat.follower.link.places.login)
    chat.output.notice(reply.message)


async def _register(chat: Chat, questions: Questions, rest: str) -> None:
    nickname = chat.follower.link.places.nickname or ""
    password = await _password(chat, f"new password for {safe(nickname)}: ")
    check(password)
    if await chat.keyboard.secret("the same again: ") != password:
        raise NoPassword("these are two different passwords")
    credentials = await _credentials(chat, nickname, password)
    registered = await found(questions, credentials)
    chat.named(nickname, credentials)
    chat.output.account(registered)


async def _login(chat: Chat, questions: Questions, name: str) -> None:
    nickname = name or chat.follower.link.places.nickname or ""
    password = await _password(chat, f"password of {safe(nickname)}: ")
    credentials = await _credentials(chat, nickname, password)
    reply = await log_in(questions, credentials)
    chat.named(reply.nickname or nickname, credentials)
    chat.output.account(account(reply))


async def _password(chat: Chat, prompt: str) -> str:
    password = await chat.keyboard.secret(prompt)
    if not password:
        raise NoPassword("no password was given")
    return password


async def _credentials(chat: Chat, nickname: str, password: str) -> wire.AuthRequest:
    password_hash = await chat.options.secrets.hash(nickname, password)
    return wire.AuthRequest(nickname=nickname, password_hash=password_hash)


async def _help(chat: Chat, questions: Questions, rest: str) -> None:
    for line in HELP:
        chat.output.notice(line)


async def _quit(chat: Chat, questions: Questions, rest: str) -> None:
    chat.quit()


CHAT_COMMANDS: Final[Mapping[str, Command]] = {
    "reply": _reply,
    "edit": _edit,
    "delete": _delete,
    "dm": _dm,
    "accept": _accept,
    "decline": _decline,
    "unread": _unread,
    "users": _users,
    "nick": _nick,
    "register": _register,
    "login": _login,
    "help": _help,
    "quit": _quit,
}
