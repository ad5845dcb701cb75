"""A file of settings, in: its name; out: nothing, or what is wrong with it, in a sentence that repeats none of it.

Knows no setting.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from target_posthog.posthog.client import Refused

_object = msgspec.json.Decoder(dict)


def check_config_file(name: str) -> None:
    """Raise Refused for a file that can't be read, or that holds no JSON object."""
    try:
        _object.decode(Path(name).read_bytes())
    except OSError as error:
        raise Refused(f"`--config {name}` can't be read: {error.strerror}.") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        why = str(error) if isinstance(error, msgspec.DecodeError) else "it is no text, or nested too deeply"
        raise Refused(f"`--config {name}` isn't a JSON object: {why}. Write the settings as one.") from None
