"""Settings as options of commands, and the way a command ends where it can't go on.

Takes a setting's name, returns a click option that the same environment variable fills as for a run: Meltano sets it
for each command of a plugin.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
import stamina.instrumentation

from target_posthog.errors import RunError
from target_posthog.posthog.query_api import QueryApi
from target_posthog.settings import ENVIRONMENT, OF_FILES, as_path
from target_posthog.whole_file import write_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from stamina.instrumentation import RetryDetails

Command = TypeVar("Command", bound="Callable[..., Any]")


def setting(name: str, words: str, default: str | None = None) -> Callable[[Command], Command]:
    """Return a setting as an option; `words` are its help."""
    option, variable = f"--{name.replace('_', '-')}", f"{ENVIRONMENT}_{name.upper()}"
    return click.option(
        option,
        name,
        envvar=variable,
        default=default,
        show_default=bool(default),
        help=words,
        callback=_path if name in OF_FILES else None,
    )


def _path(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    return value and as_path(value)


def out_option(words: str) -> Callable[[Command], Command]:
    """Return the option `--out`, a file to write to; `words` are its help."""
    return click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help=words)


def query_api(personal_api_key: str | None, project_id: str | None, host: str) -> QueryApi | None:
    """Return PostHog's query API, None without a personal API key; raises `RunError` for a key without a project.

    Each wait before a question is asked again is said, so that nobody wonders what the command does.
    """
    if not personal_api_key:
        return None
    if not project_id:
        raise RunError("The setting `project_id` is missing: the project's number in PostHog, from its settings")
    stamina.instrumentation.set_on_retry_hooks([_say_wait])
    return QueryApi(personal_api_key, project_id, host)


def _say_wait(details: RetryDetails) -> None:
    click.echo(f"{details.caused_by}. Asking again in {details.wait_for:.1f} s.", err=True)


@contextlib.contextmanager
def ending_with_sentence() -> Iterator[None]:
    """End the command with the sentence of a `RunError`, and exit code 1."""
    try:
        yield
    except RunError as error:
        raise click.ClickException(str(error)) from None


def write_file(path: Path, text: str) -> None:
    """Write the file of `--out`, whole or not at all; raises `RunError`."""
    try:
        write_whole(path, text)
    except OSError as error:
        raise RunError(f"--out: the file {path} can't be written ({error.strerror})") from None
