"""A server with sessions, with the official Python SDK 1.x. Argument: the port."""

import sys

import anyio
from mcp import types
from mcp.server.fastmcp import Context, FastMCP
from pydantic import BaseModel

port = int(sys.argv[1])
server = FastMCP("legacy", host="127.0.0.1", port=port, log_level="WARNING")
state = {"cancelled": 0, "subscribed": set()}


@server._mcp_server.subscribe_resource()
async def subscribe(uri):
    state["subscribed"].add(str(uri))


@server._mcp_server.unsubscribe_resource()
async def unsubscribe(uri):
    state["subscribed"].discard(str(uri))


@server._mcp_server.set_logging_level()
async def set_level(level):
    state["level"] = level


offered = server._mcp_server.get_capabilities


def capabilities(options, experimental):
    options.tools_changed = options.resources_changed = options.prompts_changed = True
    all_of_them = offered(options, experimental)
    all_of_them.resources.subscribe = True
    return all_of_them


server._mcp_server.get_capabilities = capabilities


@server.tool()
def echo(text: str) -> str:
    return text


@server.tool()
async def slow(ms: int) -> str:
    try:
        await anyio.sleep(ms / 1000)
    except anyio.get_cancelled_exc_class():
        state["cancelled"] += 1
        raise
    return "slept"


@server.tool()
def cancelled() -> str:
    return str(state["cancelled"])


@server.tool()
async def count(to: int, ctx: Context) -> str:
    for at in range(1, to + 1):
        await ctx.report_progress(at, to)
        await anyio.sleep(0.01)
    return "counted"


@server.tool()
async def log(ctx: Context) -> str:
    # What the level means is left to servers by this SDK.
    if state.get("level", "debug") == "debug":
        await ctx.debug("low")
    await ctx.warning("high")
    return "logged"


class Name(BaseModel):
    name: str


@server.tool()
async def elicit(ctx: Context) -> str:
    answer = await ctx.elicit("Your name?", Name)
    return f"hello {answer.data.name}"


@server.tool()
async def sample(ctx: Context) -> str:
    message = types.SamplingMessage(role="user", content=types.TextContent(type="text", text="hi"))
    answer = await ctx.session.create_message([message], max_tokens=5)
    return f"model says {answer.content.text}"


@server.tool()
async def roots(ctx: Context) -> str:
    return " ".join(str(root.uri) for root in (await ctx.session.list_roots()).roots)


@server.tool()
async def touch(ctx: Context) -> str:
    if "test://one" in state["subscribed"]:
        await ctx.session.send_resource_updated("test://one")
    return "touched"


@server.tool()
async def grow(ctx: Context) -> str:
    if not any(tool.name == "extra" for tool in server._tool_manager.list_tools()):
        server.add_tool(lambda: "extra", name="extra")
    await ctx.session.send_tool_list_changed()
    return "grown"


@server.resource("test://one", mime_type="text/plain")
def one() -> str:
    return "first"


@server.resource("test://item/{id}", mime_type="text/plain")
def item(id: str) -> str:
    return f"item {id}"


@server.tool()
def big(size: int) -> str:
    return "ж" * size


class Sum(BaseModel):
    sum: int


@server.tool()
def add(a: int, b: int) -> Sum:
    return Sum(sum=a + b)


@server.tool()
def fail() -> str:
    raise ValueError("out of paper")


@server.prompt()
def greet(who: str) -> str:
    return f"greet {who}"


@server.completion()
async def complete(ref, argument, context):
    names = [name for name in ("anna", "boris") if name.startswith(argument.value)]
    return types.Completion(values=names)


server.run(transport="streamable-http")
