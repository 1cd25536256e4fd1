"""The commands about private conversations that end by themselves: dm with a text, dms, accept, decline."""

from __future__ import annotations

from typing import Final

from superchat.tools.cli_ask import Declined, Questions
from superchat.tools.cli_direct import Conversation, Direct, is_ready
from superchat.tools.cli_identity import introduce
from superchat.tools.cli_incoming import Wanted
from superchat.tools.cli_options import Options
from superchat.tools.cli_output import Output
from superchat.tools.cli_standard_input import text_of
from superchat.wire import messages as wire
from superchat.wire.records import Message

GRACE_SECONDS: Final = 1.0
"""How long to listen for requests after a login: servers look them up while they go on answering."""

IMPOSSIBLE: Final = 0
"""The value of dm_encryption_status when the other has no key."""


async def dm(questions: Questions, options: Options, output: Output) -> None:
    """Say something to somebody alone; print the message's id."""
    text = text_of(options)
    await introduce(questions, options)
    conversation = await Direct(options.key_file).start(
        questions,
        options.user,
        is_account=options.secrets.credentials is not None,
        unencrypted=options.unencrypted,
        wait_seconds=options.wait_seconds,
        on_pending=output.notice,
    )
    output.conversation(conversation.ready, conversation.key)
    output.posted(await say(questions, conversation, text))


async def say(questions: Questions, conversation: Conversation, text: bytes) -> int:
    """Post in a private conversation; return the message's id. Raises Declined."""
    content = conversation.seal(text, questions.message_limit_bytes)
    request = wire.PostMessage(channel_id=conversation.ready.channel_id, content=content)
    reply: wire.MessagePosted = await questions.granted(request)
    return reply.message_id


async def dms(questions: Questions, options: Options, output: Output) -> None:
    """List who wants to talk."""
    await introduce(questions, options)
    await _listened(questions)
    for request in questions.incoming.requests:
        output.request(request)


async def accept(questions: Questions, options: Options, output: Output) -> None:
    """Accept a request."""
    await introduce(questions, options)
    await _listened(questions, options.user)
    conversation = await answer(
        questions, options.user, Direct(options.key_file), options, is_account=options.secrets.credentials is not None
    )
    output.conversation(conversation.ready, conversation.key)


async def answer(
    questions: Questions, user: str, direct: Direct, options: Options, *, is_account: bool
) -> Conversation:
    """Accept somebody's request, as secretly as the options want it. Raises Declined if it cannot be."""
    request = _request(questions, user)
    if options.unencrypted:
        ready = await _in_the_clear(questions, request, options)
    elif request.encryption_status == IMPOSSIBLE:
        raise Declined(f"{request.from_nickname} has no key; --unencrypted would do without")
    else:
        await direct.provide(questions, is_account)
        ready = await questions.wait(_opened(request), options.timeout_seconds)
    if not isinstance(ready, wire.DMReady):
        raise Declined(f"the conversation with {request.from_nickname} did not begin")
    questions.incoming.close(request)
    return direct.conversation(ready, is_account=is_account, unencrypted=options.unencrypted)


async def _in_the_clear(questions: Questions, request: wire.DMRequest, options: Options) -> Message | None:
    allowed = wire.AllowUnencrypted(dm_channel_id=request.dm_channel_id, permanent=options.permanent)
    ready: wire.DMReady = await questions.ask(allowed)
    if is_ready(ready, request.from_nickname):
        return ready
    # Somebody else's conversation began at the same moment: nothing in DM_READY tells them apart but the name.
    return await questions.wait(_opened(request), options.timeout_seconds)


def _opened(request: wire.DMRequest) -> Wanted:
    return lambda event: is_ready(event, request.from_nickname)


async def decline(questions: Questions, options: Options, output: Output) -> None:
    """Decline a request."""
    await introduce(questions, options)
    await _listened(questions, options.user)
    output.done(await refuse(questions, options.user))


async def refuse(questions: Questions, user: str) -> str:
    """Decline somebody's request; return what to say of it. Raises Declined if there is none."""
    request = _request(questions, user)
    await questions.tell(wire.DeclineDM(dm_channel_id=request.dm_channel_id))
    questions.incoming.close(request)
    return f"declined to talk to {request.from_nickname}"


def _request(questions: Questions, user: str) -> wire.DMRequest:
    request = questions.incoming.request_of(user)
    if request is None:
        raise Declined(f"{user} has not asked for a private conversation")
    return request


async def _listened(questions: Questions, user: str | None = None) -> None:
    """Wait until the requests, or the one of somebody, had time to come."""
    await questions.settled()
    if questions.incoming.requests and (user is None or questions.incoming.request_of(user)):
        return
    await questions.wait(lambda event: isinstance(event, wire.DMRequest), GRACE_SECONDS)
    await questions.settled()
