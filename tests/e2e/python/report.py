"""Prints what the drivers found, cell by cell.

    report.py RESULTS

Ends with a status other than 0 if anything failed, or if nothing was tried.
"""

import json
import sys
from collections import Counter, defaultdict
from pathlib import Path

MARKS = {"passed": "ok", "failed": "FAILED", "not offered": "-", "needs mcpline": "-"}


def unique(values) -> list[str]:
    return list(dict.fromkeys(values))


def print_table(rows: list[dict]) -> None:
    """One table a client: a line for each scenario, a column for each server."""
    for client in unique(row["client"] for row in rows):
        outcomes: dict[str, dict[str, str]] = defaultdict(dict)
        for row in rows:
            if row["client"] == client:
                outcomes[row["scenario"]][row["server"]] = MARKS[row["outcome"]]
        servers = unique(server for marks in outcomes.values() for server in marks)
        width = max(map(len, [client, *outcomes]))
        print(f"\n{client:{width}}  " + "  ".join(servers))
        for scenario, marks in outcomes.items():
            cells = (f"{marks.get(server, ''):{len(server)}}" for server in servers)
            print(f"{scenario:{width}}  {'  '.join(cells)}".rstrip())


def main() -> int:
    rows = [json.loads(line) for line in Path(sys.argv[1]).read_text().splitlines()]
    print_table(rows)
    count = Counter(row["outcome"] for row in rows)
    print(f"\n{count['passed']} passed, {count['failed']} failed")
    return 0 if count["passed"] and not count["failed"] else 1


sys.exit(main())
