"""Entry of the command `target-posthog`: a command's name leads to `commands/`, everything else to a run.

Takes the command line; ends the process.
"""

import signal
import sys


def main() -> None:
    """Run the command; until its own handler stands, Ctrl-C ends the process as it ends others, without a traceback."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    if sys.argv[1:2] and not sys.argv[1].startswith("-"):
        from target_posthog.commands.group import commands  # noqa: PLC0415  # a run doesn't need them

        commands(prog_name="target-posthog")
    from target_posthog.singer.target import TargetPostHog  # noqa: PLC0415  # it takes half a second

    TargetPostHog.cli()


if __name__ == "__main__":
    main()
