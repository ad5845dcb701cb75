"""The frequent commands' entry, in: `tap` or `target`, its arguments; out: what the command does.

Knows only what the entries of the two packages know: how to end while the command isn't there yet.
"""

import signal
import sys


def main() -> None:
    """Run the command; as in the packages, Ctrl-C is not for Python's traceback to answer."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from tests.faults.frequent import COMMANDS  # noqa: PLC0415  # it takes half a second

    COMMANDS[sys.argv.pop(1)].cli()


if __name__ == "__main__":
    main()
