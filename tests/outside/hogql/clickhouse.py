"""ClickHouse as a process: a statement as a JSON text per line comes in, its rows or the error go out as JSON.

Runs in the environment that has `chdb`, so it knows nothing of the project.
"""

from __future__ import annotations

import json
import os
import sys

from chdb.session import Session

session = Session()
for line in sys.stdin:
    try:
        answer = str(session.query(json.loads(line), "JSONCompact"))
        said = {"rows": json.loads(answer)["data"] if answer.strip() else []}
    except Exception as error:  # noqa: BLE001  # whatever ClickHouse says is for the test to read
        said = {"error": str(error)}
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()
os._exit(0)  # its threads would hold it up
