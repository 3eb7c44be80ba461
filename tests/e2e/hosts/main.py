"""Runs mcpline in real hosts, and says what each shows.

    main.py --mcpline PATH --logs DIRECTORY [--short] [--host NAME] [--only UPSTREAM]

Prints the rows of the table in docs/hosts.md. --short leaves out the hosts that take long to install
and the upstreams that take long to start.
"""

import argparse
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import upstreams
from programs import HOSTS, Host, Seen
from sandbox import Sandbox
from upstreams import Upstream

FAILED = "FAILED"
# They mostly wait.
HOSTS_AT_ONCE = 2
SHORT_UPSTREAMS = ["demo", "dead"]


class Wrong(Exception):
    """The host showed something else than it must."""


def expect(holds: bool, what: str, seen: Seen) -> None:
    if not holds:
        raise Wrong(f"{what}, but {seen}")


def judge(host: Host, upstream: Upstream, seen: Seen) -> None:
    if upstream.alive:
        expect(seen.connected and not seen.error, "it must connect", seen)
        if host.lists:
            expect(upstream.tools <= set(seen.tools or []), f"it must list {set(upstream.tools)}", seen)
        if host.calls:
            expect(upstream.call[2] in (seen.result or ""), f"{upstream.call[0]} must be called", seen)
    elif host.shows_errors:
        for part in upstream.reason:
            if host.masks_url:
                part = part.replace(upstream.argument, host.masks_url)
            expect(part in seen.error, f"it must show {part!r}", seen)


def judge_log(upstream: Upstream, log: str, seen: Seen) -> None:
    """Whether the host shows it or not: the reason was told before the host gave up."""
    if not upstream.alive:
        expect(" failed: " in log, "a request must have been answered with the reason", seen)


def words(host: Host, upstream: Upstream, seen: Seen) -> str:
    """The cell of the table."""
    seconds = f"{seen.seconds:.0f} s" if seen.seconds >= 1 else "under 1 s"
    if upstream.alive:
        parts = [seen.status]
        parts += [f"{len(seen.tools)} tools" if len(seen.tools) > 1 else "1 tool"] if host.lists else []
        parts += ["a call"] if host.calls else []
    elif host.shows_errors:
        parts = [seen.status, "the whole message"]
    else:
        parts = [f"`{seen.error or seen.status}`"]
    return f"{', '.join(parts)}; {seconds}"


def try_cell(host: Host, upstream: Upstream, directory: Path, mcpline: str) -> str:
    """Runs one host against one upstream. Returns the cell of the table."""
    directory.mkdir(parents=True)
    sandbox = Sandbox(directory)
    log = directory / "mcpline.log"
    try:
        seen = host.look(sandbox, [mcpline, "--log-file", str(log), upstream.argument], upstream)
    finally:
        survivors = sandbox.survivors()
    judge(host, upstream, seen)
    judge_log(upstream, log.read_text(), seen)
    expect(not survivors, f"nothing may be left running: {survivors}", seen)
    return words(host, upstream, seen)


def row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--mcpline", required=True)
    parser.add_argument("--logs", required=True, type=Path)
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--host")
    parser.add_argument("--only")
    options = parser.parse_args()

    hosts = [host for host in HOSTS if host.short or not options.short]
    names = SHORT_UPSTREAMS if options.short else upstreams.NAMES
    hosts = [host for host in hosts if options.host in (None, host.name)]
    names = [name for name in names if options.only in (None, name)]
    mcpline = str(Path(options.mcpline).resolve())
    logs = options.logs.resolve()
    cells: dict[str, list[str]] = {host.name: [] for host in hosts}
    titles = []

    def tried(host: Host, upstream: Upstream) -> str:
        cell, outcome = FAILED, "failed"
        # Some hosts wait for a start a second longer than it takes, which a machine busy with
        # something else can miss once.
        for attempt in ("first", "second"):
            directory = logs / f"{host.name.replace(' ', '-')}-{upstream.name}-{attempt}"
            try:
                cell, outcome = try_cell(host, upstream, directory, mcpline), "passed"
                break
            except Exception:
                traceback.print_exc()
        print(f"{outcome:7} {host.name} with {upstream.name}: {cell}", flush=True)
        return cell

    with ThreadPoolExecutor(HOSTS_AT_ONCE) as pool:
        for name in names:
            with upstreams.opened(name, logs / f"{name}.log") as upstream:
                titles.append(upstream.title)
                found = pool.map(lambda host: tried(host, upstream), hosts)
                for host, cell in zip(hosts, found):
                    cells[host.name].append(cell)

    print()
    print(row("Host", "Driven by", *titles))
    print(row(*["---"] * (len(titles) + 2)))
    for host in hosts:
        print(row(f"{host.name} {host.version()}", host.driven_by, *cells[host.name]))
    found = [cell for row_cells in cells.values() for cell in row_cells]
    # Names that nothing has are no success.
    return 0 if found and FAILED not in found else 1


raise SystemExit(main())
