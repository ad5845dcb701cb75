"""`python -m target_posthog`, in: the command line; out: the target's run.

Knows only where the target's command is.
"""

from target_posthog.target import TargetPostHog

TargetPostHog.cli()
