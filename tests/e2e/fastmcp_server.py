"""A FastMCP server with one tool for each thing that a relay can get wrong.

    fastmcp_server.py streamable-http|sse PORT STATE_DIRECTORY

What must outlive a SIGKILL (how often a tool ran, which calls were cancelled) is kept in files in
STATE_DIRECTORY. What opens a session and what comes to its end is printed, so that a test can see
how sessions were begun and ended.
"""

import sys
from asyncio import CancelledError, Event
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from fastmcp import Context, FastMCP
from fastmcp.exceptions import ToolError
from fastmcp.server.event_store import EventStore
from mcp import types
from pydantic import AnyUrl
from starlette.middleware import Middleware

READ_ONLY = {"readOnlyHint": True}
IDEMPOTENT = {"readOnlyHint": False, "idempotentHint": True}
LOGO = bytes(range(256))

server = FastMCP("mcpline-e2e", version="1.0.0", instructions="Everything a relay can get wrong.")
state: Path
gates: defaultdict[str, Event] = defaultdict(Event)
meetings: defaultdict[str, list[str]] = defaultdict(list)
subscribers: dict[str, set] = defaultdict(set)


def note(kind: str, key: str) -> int:
    """Adds one mark, and says how many there are now."""
    path = state / f"{kind}-{key}"
    with path.open("a") as marks:
        marks.write("x")
    return marked(kind, key)


def marked(kind: str, key: str) -> int:
    path = state / f"{kind}-{key}"
    return path.stat().st_size if path.exists() else 0


# Values


@server.tool(annotations=READ_ONLY)
def echo(text: str) -> str:
    """Returns the text as it came."""
    return text


@server.tool(annotations=READ_ONLY)
def divide(dividend: float, divisor: float) -> dict[str, float]:
    """Returns a structured result, or fails when the divisor is zero."""
    if divisor == 0:
        raise ToolError("a number cannot be divided by zero")
    return {"quotient": dividend / divisor}


@server.resource("demo://greeting", mime_type="text/plain")
def greeting() -> str:
    return "Здравствуйте, 世界 👋\n"


@server.resource("demo://logo", mime_type="application/octet-stream")
def logo() -> bytes:
    return LOGO


@server.resource("demo://square/{number}", mime_type="text/plain")
def square(number: int) -> str:
    return str(number * number)


@server.prompt
def review(code: str, language: str = "Rust") -> str:
    """Asks for a review."""
    return f"Review this {language} code:\n{code}"


# What a call may do before it returns


@server.tool(annotations=READ_ONLY)
async def count_up(steps: int, ctx: Context) -> str:
    """Reports its progress step by step."""
    for step in range(1, steps + 1):
        await ctx.report_progress(step, steps, f"step {step}")
    return f"counted to {steps}"


@server.tool
async def ask_model(prompt: str, ctx: Context) -> str:
    """Has the client's model answer the prompt."""
    answer = await ctx.sample(prompt, system_prompt="Be brief.", max_tokens=17)
    return f"the model said: {answer.text}"


@dataclass
class Order:
    item: str
    amount: int


@server.tool
async def ask_user(ctx: Context) -> str:
    """Has the client's user fill in a form."""
    answer = await ctx.elicit("What shall it be?", response_type=Order)
    if answer.action != "accept":
        return f"the user chose to {answer.action}"
    return f"the user ordered {answer.data.amount} of {answer.data.item}"


@server.tool
async def list_roots(ctx: Context) -> list[str]:
    """Asks the client for its roots."""
    return [f"{root.name} {root.uri}" for root in await ctx.list_roots()]


@server.tool
async def say(level: str, text: str, ctx: Context) -> str:
    """Sends one log message, which the client's level may hold back."""
    await ctx.log(text, level=level, logger_name="e2e")
    return "said"


@server.tool
async def drop_stream(text: str, ctx: Context) -> str:
    """Ends the HTTP answer first; who wants the result must resume the stream."""
    await ctx.close_sse_stream()
    return text


# Calls that meet, wait for each other, or end early


@server.tool
async def hold(gate: str, ctx: Context) -> str:
    """Reports that it runs, then returns once the gate is opened."""
    await ctx.report_progress(1)
    try:
        await gates[gate].wait()
    except CancelledError:
        note("cancelled", gate)
        raise
    return f"{gate} was opened"


@server.tool
async def open_gate(gate: str) -> str:
    gates[gate].set()
    return f"opened {gate}"


@server.tool(annotations=READ_ONLY)
async def was_cancelled(gate: str) -> str:
    return "yes" if marked("cancelled", gate) else "no"


@server.tool
async def meet(place: str, parties: int, value: str) -> str:
    """Returns its own value once as many calls as named are here together."""
    meetings[place].append(value)
    if len(meetings[place]) == parties:
        gates[place].set()
    await gates[place].wait()
    return value


# Calls that must not run twice


@server.tool
async def count(key: str) -> int:
    """Counts how often it ran. Nothing says that it may be repeated."""
    return note("runs", key)


@server.tool(annotations=READ_ONLY)
async def runs(key: str) -> int:
    """How often the tools that count ran for this key."""
    return marked("runs", key)


async def count_then_hang(key: str, ctx: Context) -> str:
    """Hangs the first time and returns from the second on."""
    times = note("runs", key)
    await ctx.report_progress(1)
    if times == 1:
        await Event().wait()
    return f"run {times}"


server.tool(count_then_hang, name="hang_once")
server.tool(count_then_hang, name="hang_once_idempotent", annotations=IDEMPOTENT)


# Subscriptions: FastMCP has no API for them, the protocol library below it has


@server._mcp_server.subscribe_resource()
async def subscribe(uri: AnyUrl) -> None:
    subscribers[str(uri)].add(server._mcp_server.request_context.session)


@server._mcp_server.unsubscribe_resource()
async def unsubscribe(uri: AnyUrl) -> None:
    subscribers[str(uri)].discard(server._mcp_server.request_context.session)


@server.tool
async def touch(uri: str, mark: str) -> str:
    """Tells this session, if it subscribed, that the resource changed. The mark tells this
    notification from any that a relay makes up itself."""
    session = server._mcp_server.request_context.session
    if session in subscribers[uri]:
        meta = types.NotificationParams.Meta.model_validate({"e2e/mark": mark})
        params = types.ResourceUpdatedNotificationParams(uri=AnyUrl(uri), _meta=meta)
        update = types.ResourceUpdatedNotification(params=params)
        await session.send_notification(types.ServerNotification(update))
    return "touched"


def announce_subscriptions() -> None:
    """Has the handshake say that resources can be subscribed to, which the library leaves out."""
    low_level = server._mcp_server
    plain = low_level.get_capabilities

    def with_subscriptions(*args, **kwargs) -> types.ServerCapabilities:
        capabilities = plain(*args, **kwargs)
        capabilities.resources.subscribe = True
        return capabilities

    low_level.get_capabilities = with_subscriptions


class PrintSessions:
    """Prints each request that belongs to no session yet, and each exchange that has ended."""

    def __init__(self, app) -> None:
        self.app = app

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        what = f"{scope['method']} {scope['path']}"
        names = {name for name, _ in scope["headers"]}
        if b"mcp-session-id" not in names and b"session_id" not in scope["query_string"]:
            print("opening", what, flush=True)
        try:
            await self.app(scope, receive, send)
        finally:
            print("ended", what, flush=True)


if __name__ == "__main__":
    transport, port, state = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    announce_subscriptions()
    # A short reconnection time, so that the test of a dropped stream does not dawdle.
    resumption = {"event_store": EventStore(), "retry_interval": 50}
    app = server.http_app(
        transport=transport,
        middleware=[Middleware(PrintSessions)],
        **(resumption if transport == "streamable-http" else {}),
    )
    uvicorn.run(app, host="127.0.0.1", port=port)
