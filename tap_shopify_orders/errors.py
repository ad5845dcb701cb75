"""The exceptions that end a run with a sentence for its user, who can put right what they name.

`shopify/answers.py` has the exceptions that say what to do about an answer of Shopify's.
"""

from __future__ import annotations

LONGEST_WORDS = 300  # characters of what somebody else says


class RunError(Exception):
    """Trying again won't help: the message says what is wrong, which setting or stream it is about, and the remedy.

    `trace` is where in the tap that was, without a value of a record, in case it is the tap's own mistake.
    """

    def __init__(self, message: str, *, trace: str = "") -> None:
        """Say it in words that stand alone."""
        super().__init__(message)
        self.trace = trace


class UnwritableError(RunError):
    """Standard output can't be written: whatever a run still reads would be lost."""


def printable(words: object) -> str:
    """Return words of somebody else as they may stand in a sentence: on one line, without what steers a terminal."""
    text = str(words)
    cut = text[:LONGEST_WORDS]
    shown = " ".join("".join(letter if letter.isprintable() else " " for letter in cut).split())
    return f"{shown}..." if len(text) > LONGEST_WORDS else shown


def in_environment(setting: str) -> str:
    """Return where a setting stands outside of files: in this project's .env, or under its own name."""
    return f"in .env SHOPIFY_{setting.upper()}, elsewhere TAP_SHOPIFY_ORDERS_{setting.upper()}"
