"""The command's entry, in: the command line; out: the target's run, or one of its commands.

Knows only where they are, and how to end while they aren't there yet.
"""

import signal
import sys


def main() -> None:
    """Run the command; until its own handler stands, Ctrl-C ends the process as it ends others, without a traceback."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    if sys.argv[1:2] and not sys.argv[1].startswith("-"):
        from target_posthog.commands import commands  # noqa: PLC0415  # a run doesn't need them

        commands(prog_name="target-posthog")
    from target_posthog.target import TargetPostHog  # noqa: PLC0415  # it takes half a second

    TargetPostHog.cli()


if __name__ == "__main__":
    main()
