"""The command line's commands, gathered under `target-posthog`."""

from __future__ import annotations

import click

from target_posthog.commands.init import init
from target_posthog.commands.preview import explain, plan
from target_posthog.commands.receipts import receipts, resend
from target_posthog.commands.reconcile import reconcile

COMMANDS: tuple[click.Command, ...] = (init, plan, explain, reconcile, receipts, resend)


@click.group
def commands() -> None:
    """Begin a mapping, look at a preview before a run, and at what PostHog has after it.

    Without a command, target-posthog reads Singer messages from standard input and sends events to PostHog.
    """


for command in COMMANDS:
    commands.add_command(command)


def command_lines() -> list[str]:
    """Return each command's name with its summary, for the help of a run."""
    return [f"{command.name:<10} {command.get_short_help_str(80)}" for command in COMMANDS]
