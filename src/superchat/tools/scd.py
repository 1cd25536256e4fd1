"""`scd`: the server under the reference's name, `twistd -n superchat` with its flags (decisions 9.7)."""

import sys
from collections.abc import Iterator, Sequence

from twisted.python import usage
from twisted.scripts import twistd

from superchat import __version__
from superchat.config import FLAGS, Flag

USAGE = "Usage: scd [flags]\n\nFlags, with one dash or two:"
_BY_NAME = {flag.name: flag for flag in FLAGS}
_HELP = frozenset({"-h", "-help", "--help"})
_TRUE = frozenset({"1", "t", "true"})
_FALSE = frozenset({"0", "f", "false"})


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the server until it is stopped. Exits with 2 and one line when a flag is wrong."""
    try:
        flags = list(double_dashed(sys.argv[1:] if arguments is None else arguments))
    except usage.UsageError as wrong:
        sys.exit(_complain(str(wrong)))
    if "--help" in flags:
        print(help_text())
    elif "--version" in flags:
        print(f"SuperChat Server {__version__}")
    else:
        sys.exit(_serve(flags))


def help_text() -> str:
    """The flags as `scd --help` lists them."""
    width = max(len(flag.name) for flag in FLAGS) + 10
    rows = (f"  {_spelling(flag):{width}}{flag.doc}" for flag in FLAGS)
    return "\n".join([USAGE, *rows, f"  {'--help':{width}}Show this text and exit"])


def double_dashed(arguments: Sequence[str]) -> Iterator[str]:
    """The same flags in the spelling twistd understands.

    The reference takes `-port 7000`, `-port=7000`, `--port ...`, and `-debug=false`. Raises UsageError for an
    unknown flag, a missing or a wrong value, or a word that belongs to none.
    """
    remaining = iter(arguments)
    for argument in remaining:
        if argument in _HELP:
            yield "--help"
            continue
        name, has_value, value = argument.lstrip("-").partition("=")
        flag = _BY_NAME.get(name) if argument.startswith("-") else None
        if flag is None:
            raise usage.UsageError(f"unknown argument {argument!r}, see scd --help")
        if flag.switch is None:
            yield f"--{name}={value if has_value else _next(remaining, name)}"
        elif not has_value or _truth(name, value):
            yield f"--{name}"


def _next(remaining: Iterator[str], name: str) -> str:
    value = next(remaining, None)
    if value is None:
        raise usage.UsageError(f"--{name} needs a value")
    return value


def _truth(name: str, value: str) -> bool:
    if value.lower() not in _TRUE | _FALSE:
        raise usage.UsageError(f"--{name} takes true or false, not {value!r}")
    return value.lower() in _TRUE


def _spelling(flag: Flag) -> str:
    return f"--{flag.name}" if flag.switch is not None else f"--{flag.name} VALUE"


def _serve(flags: Sequence[str]) -> int | str | None:
    """Run twistd in this process; what it returns is for `sys.exit`."""
    options = twistd.ServerOptions()  # type: ignore[attr-defined]  # missing in its __all__
    logger = "--logger=superchat.ops.logs.stdout_observer"
    try:
        options.parseOptions(["--nodaemon", "--pidfile=", logger, "superchat", *flags])
        twistd.runApp(options)
    except usage.UsageError as wrong:
        return _complain(str(wrong))
    except SystemExit as stopped:
        # Standard error belongs to the log by now; whoever started the server must see the reason.
        return _complain(stopped.code, 1) if isinstance(stopped.code, str) else stopped.code
    return 0


def _complain(text: str, code: int = 2) -> int:
    print(text if text.startswith("superchat: ") else f"scd: {text}", file=sys.__stderr__)
    return code


if __name__ == "__main__":
    main()
