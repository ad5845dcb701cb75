"""The command, in: the command line; out: a run, or the reason why it ended, in a sentence and an exit code.

Knows how runs end, but not what they do.
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any

import stamina.instrumentation
from singer_sdk.exceptions import ConfigValidationError
from singer_sdk.plugin_base import SingerCommand

from tap_shopify_orders.run import SENTENCES

if TYPE_CHECKING:
    from collections.abc import Sequence

    import click
    from stamina.instrumentation import RetryDetails

_logger = logging.getLogger("tap-shopify-orders")


class Command(SingerCommand):
    """Ends a run that failed for a known reason with that reason in a sentence, and exit code 1."""

    def main(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  # click's signature
        """Run, and say each wait."""
        stamina.instrumentation.set_on_retry_hooks([_say_retry])
        try:
            return super().main(*args, **kwargs)
        except ConfigValidationError as error:
            reasons: Sequence[str] = error.errors
        except SENTENCES as error:
            reasons = [str(error)]
        for reason in reasons:
            _logger.error(reason)
        sys.exit(1)

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401  # click's signature
        """Say why, where click itself ends a run without a word."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            _logger.error("The target stopped reading; its own messages say why.")  # noqa: TRY400  # no traceback
            raise


def _say_retry(details: RetryDetails) -> None:
    _logger.warning("%s Asking again in %.1f s.", details.caused_by, details.wait_for)
