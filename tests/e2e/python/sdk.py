"""Runs the scenarios with the official Python SDK against one server.

    sdk.py --server NAME --results FILE --logs DIRECTORY (--mcpline PATH | --direct) [--only NAME]

Each scenario has an mcpline and a log of its own. --direct leaves mcpline out, to tell whose fault
a failure is.
"""

from contextlib import asynccontextmanager

import anyio

from driver import Cell, drive, parse_options, read_server
from scenarios import SCENARIOS, THROUGH_ONLY
from session import Session
from upstream import Upstream


class SdkCell(Cell):
    def __init__(self, *arguments) -> None:
        super().__init__(*arguments)
        self._sessions: list[Session] = []

    def session(self, roots: list[dict] | None = None):
        """A connected client, through mcpline unless it is to be left out."""
        mcpline = None if self.options.direct else self.options.mcpline
        return self._connected(mcpline, roots or [])

    def direct_session(self):
        return self._connected(None, [])

    @asynccontextmanager
    async def _connected(self, mcpline: str | None, roots: list[dict]):
        session = Session(mcpline, self.upstream, self.directory)
        session.roots = roots
        self._sessions.append(session)
        async with session.connected():
            yield session

    def messages(self) -> str:
        return self._sessions[0].trace.tail(30) if self._sessions else ""


async def main() -> None:
    options = parse_options(__doc__)
    spec, offers = read_server(options.server)
    offers.pop("pipe")
    upstream = Upstream(spec, options.logs)

    def make_cell(directory):
        return SdkCell(upstream, options, directory)

    await drive("python", SCENARIOS, offers, upstream, make_cell, options, THROUGH_ONLY)


anyio.run(main)
