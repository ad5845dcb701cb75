"""What the store has, beside what PostHog has: do the books balance?"""
