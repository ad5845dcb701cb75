"""The page on which a person looks at what PostHog keeps, in: the database and a URL; out: HTML without scripts."""

from sandbox.posthog.pages.routes import pages

__all__ = ["pages"]
