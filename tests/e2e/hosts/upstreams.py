"""What mcpline forwards to: the sample, a real server, one that speaks the stateless revision alone, an
address where nothing listens, and a server that is slow to start."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
MODERN = HERE.parent / "era/server-modern.mjs"
EVERYTHING = HERE.parent / "node_modules/@modelcontextprotocol/server-everything/dist/index.js"

# What a server gets to open its port.
SECONDS_TO_START = 60
# Longer than mcpline waits for `initialize` (4 s), shorter than it waits for the first list (3 s
# more). Some hosts give a start 5 s.
SLOW_START = 6

ECHO = ("echo", {"message": "over there"}, "Echo: over there")


@dataclass(frozen=True)
class Upstream:
    """What the host is to see, and how mcpline is started for it."""

    name: str
    title: str
    argument: str
    # Tools that must be among those that the host lists; none if nothing can be reached.
    tools: frozenset[str] = frozenset()
    # Name and arguments of a call, and what must be in the text of its result.
    call: tuple[str, dict[str, str], str] | None = None
    # What an error must say: where, what failed, what to do.
    reason: tuple[str, ...] = field(default=())

    @property
    def alive(self) -> bool:
        return bool(self.tools)


NAMES = ["demo", "everything", "modern", "dead", "slow"]


@contextmanager
def opened(name: str, log: Path) -> Iterator[Upstream]:
    with _OPENERS[name](log) as upstream:
        yield upstream


@contextmanager
def _demo(_: Path) -> Iterator[Upstream]:
    yield Upstream(
        name="demo",
        title="`mcpline demo`",
        argument="demo",
        tools=frozenset({"find_customers", "get_stock", "list_orders", "sales_report"}),
        call=("get_stock", {"query": "SH-025"}, "SH-025"),
    )


@contextmanager
def _everything(log: Path) -> Iterator[Upstream]:
    port = _free_port()
    with _server(["node", str(EVERYTHING), "streamableHttp"], port, log, {"PORT": str(port)}):
        yield Upstream(
            name="everything",
            title="`server-everything`",
            argument=f"http://127.0.0.1:{port}/mcp",
            tools=frozenset({"echo", "get-sum", "get-tiny-image"}),
            call=ECHO,
        )


@contextmanager
def _modern(log: Path) -> Iterator[Upstream]:
    port = _free_port()
    with _server(["node", str(MODERN), str(port)], port, log):
        yield Upstream(
            name="modern",
            title="speaks 2026-07-28 alone",
            argument=f"http://127.0.0.1:{port}/mcp",
            tools=frozenset({"echo", "count", "elicit"}),
            call=("echo", {"text": "over there"}, "over there"),
        )


@contextmanager
def _dead(_: Path) -> Iterator[Upstream]:
    # Bound and not listening: connections are refused, and nobody else can take the port.
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/mcp"
        yield Upstream(
            name="dead",
            title="nothing listens",
            argument=url,
            reason=(
                f"could not connect to {url}: connection refused",
                "Nothing listens there: check that the service is running "
                "and that host and port are right.",
            ),
        )


@contextmanager
def _slow(log: Path) -> Iterator[Upstream]:
    port = _free_port()
    with _server([sys.executable, str(HERE / "slow_server.py"), str(port), str(SLOW_START)], port, log):
        yield Upstream(
            name="slow",
            title=f"needs {SLOW_START} s for `initialize`",
            argument=f"http://127.0.0.1:{port}/mcp",
            tools=frozenset({"echo"}),
            call=ECHO,
        )


_OPENERS = {
    "demo": _demo,
    "everything": _everything,
    "modern": _modern,
    "dead": _dead,
    "slow": _slow,
}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def _server(command: list[str], port: int, log: Path, env: dict[str, str] | None = None) -> Iterator[None]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=os.environ | (env or {})
        )
    try:
        _wait_until_open(process, port, log)
        yield
    finally:
        process.kill()
        process.wait()


def _wait_until_open(process: subprocess.Popen, port: int, log: Path) -> None:
    deadline = time.monotonic() + SECONDS_TO_START
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the server did not start:\n{log.read_text()}") from None
            time.sleep(0.05)
