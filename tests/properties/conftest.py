"""How much is tried: a little, the same each time; HYPOTHESIS_PROFILE=long tries more, and other things each time."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, Phase, settings

SLOW = [HealthCheck.too_slow, HealthCheck.filter_too_much]  # two cores, and others at work on them
PHASES = [Phase.explicit, Phase.generate, Phase.shrink]  # to explain a failure takes minutes

settings.register_profile(
    "bounded", derandomize=True, max_examples=50, deadline=None, phases=PHASES, suppress_health_check=SLOW
)
settings.register_profile("long", max_examples=3_000, deadline=None, phases=PHASES, suppress_health_check=SLOW)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "bounded"))
