"""Entry of the command `target-posthog`: a command's name leads to `commands/`, everything else to a run.

Takes the command line; ends the process.
"""

import os
import signal
import sys


def open_streams() -> None:
    """Open stdin and stderr if they are closed, or the next file would take their place; raises SystemExit for stdout.

    Python has None for a stream that was closed when it began.
    """
    for place, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            os.open(os.devnull, os.O_RDWR)  # the lowest place that is free is this one
            setattr(sys, name, os.fdopen(place, "r" if name == "stdin" else "w", encoding="utf-8"))
            if name == "stdout":
                sys.exit("ERROR: standard output is closed, so the STATE would go nowhere.")


def main() -> None:
    """Run the command; until its own handler stands, Ctrl-C ends the process as it ends others, without a traceback."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.umask(0o077)  # what is left behind is its user's alone
    open_streams()
    if sys.argv[1:2] and not sys.argv[1].startswith("-"):
        from target_posthog.commands.group import commands  # noqa: PLC0415  # they take half a second

        commands(prog_name="target-posthog")
    import logging  # noqa: PLC0415  # in the time that imports take, Ctrl-C would make a traceback

    from target_posthog.singer.process import OneLine  # noqa: PLC0415  # the same
    from target_posthog.singer.target import TargetPostHog  # noqa: PLC0415  # the same

    logging.setLogRecordFactory(OneLine)
    TargetPostHog.cli()


if __name__ == "__main__":
    main()
