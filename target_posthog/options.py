"""Settings as options of a command, in: a setting's name; out: the option that the same variable fills as for a run.

Knows no setting.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import click

from target_posthog.settings import ENVIRONMENT

if TYPE_CHECKING:
    from collections.abc import Callable

Command = TypeVar("Command", bound="Callable[..., Any]")


def setting(name: str, words: str, default: str | None = None) -> Callable[[Command], Command]:
    """Return an option that is filled by the setting's variable, as Meltano sets it for each command of a plugin."""
    option, variable = f"--{name.replace('_', '-')}", f"{ENVIRONMENT}_{name.upper()}"
    return click.option(option, name, envvar=variable, default=default, show_default=bool(default), help=words)
