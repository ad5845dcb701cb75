"""Entry of the command: takes the command line, and ends a run that hasn't begun yet without a traceback."""

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
                sys.exit("ERROR: standard output is closed, so the records would go nowhere.")


def main() -> None:
    """Run the command; until its own handler stands, Ctrl-C ends the process as it ends others, without a traceback."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.umask(0o077)  # what is left behind is its user's alone
    open_streams()
    from tap_shopify_orders.tap import TapShopifyOrders  # noqa: PLC0415  # it takes half a second

    TapShopifyOrders.cli()


if __name__ == "__main__":
    main()
