"""Errors that a user can put right: each is one sentence with its remedy.

Every other exception is a defect of the program.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class RunError(Exception):
    """Ends a run or a command; the text is one sentence that names what is wrong and the remedy."""


class BusyError(RunError):
    """PostHog can't take something now; waiting may help, `retry_after` seconds if PostHog names them."""

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class RuleError(RunError):
    """A rule that can't be used; the text names the rule and what is wrong with it."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return `; did you mean ...?` for a name that resembles a known one, else nothing."""
    close = get_close_matches(name, list(known), n=1)
    return f"; did you mean `{close[0]}`?" if close else ""
