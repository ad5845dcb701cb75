"""What a user would write first, in: events as lines; out: each given to the posthog library's default client.

As its documentation shows: `capture` for each, `shutdown` at the end. No error is looked for, and none comes.
"""

from __future__ import annotations

import json
import sys

from posthog import Posthog

client = Posthog("phc_sandbox", host=sys.argv[1])
for line in sys.stdin:
    event = json.loads(line)
    client.capture(
        event["event"],
        distinct_id=event["distinct_id"],
        properties=event["properties"],
        timestamp=event["timestamp"],
        uuid=event["uuid"],
    )
client.shutdown()
