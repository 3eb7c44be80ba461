"""One client of the official Python SDK, through mcpline or straight to the server."""

import json
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from time import monotonic

from mcp import ClientSession, McpError, StdioServerParameters, types
from mcp.client.sse import sse_client
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client

from expect import expect_same, expect_that, until, within
from upstream import Upstream

WATCHED = Path(__file__).resolve().parent.parent / "watched"
# An SDK kills a server that has not gone two seconds after its stdin was closed.
ENDING_SECONDS = 1.5


def plain(model) -> dict:
    """The JSON that a model was read from: without what the SDK adds for what was not there."""
    return model.model_dump(by_alias=True, mode="json", exclude_unset=True)


class Trace:
    """Everything that crossed the client's transport, in order."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, dict]] = []

    def sent(self, method: str) -> list[dict]:
        return self._of("-->", lambda message: message.get("method") == method)

    def received(self, method: str) -> list[dict]:
        return self._of("<--", lambda message: message.get("method") == method)

    def responses_to(self, id) -> list[dict]:
        return self._of("<--", lambda message: message.get("id") == id and "method" not in message)

    def place(self, message: dict) -> int:
        return next(n for n, (_, other) in enumerate(self.entries) if other is message)

    def _of(self, arrow: str, wanted) -> list[dict]:
        return [message for way, message in self.entries if way == arrow and wanted(message)]

    def tail(self, count: int) -> str:
        return "\n".join(
            f"{arrow} {json.dumps(message, ensure_ascii=False)[:400]}"
            for arrow, message in self.entries[-count:]
        )


class Tap:
    """Stands in for one of the transport's two streams and notes what passes."""

    def __init__(self, stream, arrow: str, trace: Trace) -> None:
        self._stream = stream
        self._arrow = arrow
        self._trace = trace

    def _note(self, message) -> None:
        # A line that is no message reaches the SDK as an exception.
        seen = (
            {"unreadable": str(message)}
            if isinstance(message, Exception)
            else plain(message.message)
        )
        self._trace.entries.append((self._arrow, seen))

    async def send(self, message) -> None:
        self._note(message)
        await self._stream.send(message)

    def __aiter__(self):
        return self

    async def __anext__(self):
        message = await self._stream.__anext__()
        self._note(message)
        return message

    async def __aenter__(self):
        await self._stream.__aenter__()
        return self

    async def __aexit__(self, *exception):
        return await self._stream.__aexit__(*exception)


class Session:
    def __init__(self, mcpline: str | None, upstream: Upstream, directory: Path) -> None:
        self.mcpline = mcpline
        self.upstream = upstream
        self.trace = Trace()
        self.roots: list[dict] = []
        self.model_answer: dict = {}
        self.user_answer: dict = {}
        self.stderr_path = directory / "mcpline.log"
        self._exit_path = directory / "exit"

    @asynccontextmanager
    async def connected(self):
        """Connects, and at the end checks how mcpline ended."""
        async with AsyncExitStack() as stack:
            read, write, *_ = await stack.enter_async_context(self._transport(stack))
            taps = Tap(read, "<--", self.trace), Tap(write, "-->", self.trace)
            self.client = await stack.enter_async_context(
                ClientSession(
                    *taps,
                    sampling_callback=self._sample,
                    elicitation_callback=self._elicit,
                    list_roots_callback=self._list_roots,
                    client_info=types.Implementation(name="mcpline-e2e", version="1.0.0"),
                )
            )
            with within("the handshake is over"):
                await self.client.initialize()
            yield self
            start = monotonic()
        if self.mcpline:
            await self._check_ending(monotonic() - start)

    def _transport(self, stack: AsyncExitStack):
        if self.mcpline is None:
            connect = {"sse": sse_client, "mcp": streamable_http_client}
            return connect[self.upstream.spec["transport"]](self.upstream.url)
        log = stack.enter_context(self.stderr_path.open("a"))
        command = [str(self._exit_path), self.mcpline, "--log-level", "debug", self.upstream.url]
        return stdio_client(StdioServerParameters(command=str(WATCHED), args=command), errlog=log)

    async def _check_ending(self, seconds: float) -> None:
        async def status() -> str:
            return self._exit_path.read_text().strip() if self._exit_path.exists() else ""

        seen = await until(status, "mcpline ends after its stdin is closed")
        expect_same("mcpline's exit status after its stdin is closed", "0", seen)
        expect_that(
            seconds < ENDING_SECONDS,
            f"mcpline took {seconds:.1f} s to end, not {ENDING_SECONDS}",
        )

    async def _sample(self, _context, _params) -> types.CreateMessageResult:
        return types.CreateMessageResult.model_validate(self.model_answer)

    async def _elicit(self, _context, _params) -> types.ElicitResult:
        return types.ElicitResult.model_validate(self.user_answer)

    async def _list_roots(self, _context) -> types.ListRootsResult:
        return types.ListRootsResult.model_validate({"roots": self.roots})

    async def call(self, call: dict, *, meta: dict | None = None, on_progress=None) -> dict:
        """Calls a tool as users of the SDK do."""
        with within(f"{call['tool']} is answered"):
            result = await self.client.call_tool(
                call["tool"], call["arguments"], progress_callback=on_progress, meta=meta
            )
        return plain(result)

    async def call_and_compare(self, call: dict, what: str | None = None, **options) -> None:
        """Calls a tool that has its result written beside it."""
        seen = await self.call(call, **options)
        expect_same(f"the result of {what or call['tool']}", call["result"], seen)

    async def request(self, request: dict) -> dict:
        """Any other request; the SDK's most permissive type keeps the result as it came."""
        wanted = {key: request[key] for key in ("method", "params") if key in request}
        with within(f"{wanted} is answered"):
            result = await self.client.send_request(
                types.ClientRequest.model_validate(wanted), types.EmptyResult
            )
        return plain(result)

    async def outcome(self, request: dict) -> dict:
        """The result or the error, whichever came."""
        try:
            return {"result": await self.request(request)}
        except McpError as error:
            return {"error": plain(error.error)}

    async def received(self, method: str, matching, what: str) -> None:
        """Waits for a notification, past or to come."""

        async def seen() -> bool:
            return any(matching(message["params"]) for message in self.trace.received(method))

        await until(seen, what)
