"""Runs a list of scenarios against one server, and says what came of each."""

import argparse
import atexit
import json
import signal
import sys
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path
from time import monotonic

from expect import Unexpected, within
from template import expand
from upstream import HERE, Upstream

SCENARIO_SECONDS = 120


def parse_options(description: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--server", required=True)
    parser.add_argument("--results", type=Path, required=True)
    parser.add_argument("--logs", type=Path, required=True)
    parser.add_argument("--mcpline")
    parser.add_argument("--direct", action="store_true")
    parser.add_argument("--only")
    options = parser.parse_args()
    options.mcpline = options.mcpline and str(Path(options.mcpline).resolve())
    return options


def read_server(name: str) -> tuple[dict, dict]:
    """How the server is started, and what is expected of it, scenario by scenario."""
    spec = json.loads((HERE / "servers.json").read_text())[name]
    offers = json.loads((HERE / "expected" / f"{spec['offers']}.json").read_text())
    shapes = offers.pop("shapes")
    return spec, {
        name: expand(expected, shapes)
        for name, expected in offers.items()
        if name not in spec.get("lacks", [])
    }


def last_lines(path: Path, count: int) -> str:
    return "\n".join(path.read_text().splitlines()[-count:]) if path.exists() else ""


class Cell:
    """What one scenario works with."""

    def __init__(self, upstream: Upstream | None, options, directory: Path) -> None:
        self.upstream = upstream
        self.options = options
        self.directory = directory
        self.stderr_path = directory / "mcpline.log"
        directory.mkdir(parents=True, exist_ok=True)

    def messages(self) -> str:
        """What went to and fro."""
        raise NotImplementedError

    def evidence(self) -> str:
        """All that helps to find out what went wrong."""
        parts = {
            "messages": self.messages(),
            "mcpline's log": last_lines(self.stderr_path, 60),
            "the server's log": last_lines(self.upstream.log_path, 15) if self.upstream else "",
        }
        return "".join(f"-- {title}\n{text}\n" for title, text in parts.items() if text)


def reason(failure: BaseException) -> str:
    """What failed first: task groups wrap it."""
    while isinstance(failure, BaseExceptionGroup):
        failure = failure.exceptions[0]
    if isinstance(failure, Unexpected):
        return str(failure)
    return "".join(traceback.format_exception(failure))


async def drive(
    client: str,
    scenarios: dict[str, Callable[..., Awaitable[None]]],
    offers: dict,
    upstream: Upstream | None,
    make_cell: Callable[[Path], Cell],
    options,
    through_only: frozenset[str] = frozenset(),
) -> None:
    if unknown := offers.keys() - scenarios.keys():
        raise SystemExit(f"no scenario is called {sorted(unknown)}")
    if upstream:
        atexit.register(upstream.kill)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    for name, scenario in scenarios.items():
        if options.only not in (None, name):
            continue
        start, why = monotonic(), ""
        if name not in offers:
            outcome = "not offered"
        elif options.direct and name in through_only:
            outcome = "needs mcpline"
        else:
            cell = make_cell(options.logs / name.replace(" ", "-"))
            try:
                if upstream and not upstream.running:
                    await upstream.start()
                with within("the scenario is over", SCENARIO_SECONDS):
                    await scenario(cell, offers[name])
                outcome = "passed"
            except Exception as failure:
                outcome, why = "failed", f"{reason(failure)}\n{cell.evidence()}"
        row = {"client": client, "server": options.server, "scenario": name, "outcome": outcome}
        with options.results.open("a") as results:
            results.write(json.dumps(row) + "\n")
        seconds = monotonic() - start
        print(f"{outcome:13} {client} {options.server}: {name} ({seconds:.1f} s)", flush=True)
        if why:
            print(why, flush=True)
