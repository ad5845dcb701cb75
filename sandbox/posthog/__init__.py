"""PostHog on this machine, in: capture requests; out: what PostHog would keep of them, and how it would answer."""

from sandbox.posthog.project import PostHog

__all__ = ["PostHog"]
