"""A server of the stateless revision, with the official Python SDK 2.x, which refuses what comes
without it. Argument: the port."""

import json
import sys

import anyio
import uvicorn
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import (
    Completion,
    CreateMessageRequest,
    CreateMessageRequestParams,
    ElicitRequest,
    ElicitRequestFormParams,
    InputRequiredResult,
    ListRootsRequest,
    SamplingMessage,
    TextContent,
)
from pydantic import BaseModel

port = int(sys.argv[1])
server = MCPServer("modern", log_level="WARNING")
state = {"cancelled": 0}


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
    await ctx.debug("low")
    await ctx.warning("high")
    return "logged"


@server.tool()
async def elicit(ctx: Context) -> str | InputRequiredResult:
    answer = (ctx.input_responses or {}).get("name")
    if answer is None:
        schema = {"type": "object", "properties": {"name": {"type": "string"}}}
        params = ElicitRequestFormParams(message="Your name?", requested_schema=schema)
        return InputRequiredResult(
            input_requests={"name": ElicitRequest(params=params)}, request_state="kept"
        )
    return f"hello {answer.content['name']}"


@server.tool()
async def sample(ctx: Context) -> str | InputRequiredResult:
    answer = (ctx.input_responses or {}).get("model")
    if answer is None:
        message = SamplingMessage(role="user", content=TextContent(type="text", text="hi"))
        params = CreateMessageRequestParams(messages=[message], max_tokens=5)
        return InputRequiredResult(input_requests={"model": CreateMessageRequest(params=params)})
    return f"model says {answer.content.text}"


@server.tool()
async def roots(ctx: Context) -> str | InputRequiredResult:
    answer = (ctx.input_responses or {}).get("roots")
    if answer is None:
        return InputRequiredResult(input_requests={"roots": ListRootsRequest()})
    return " ".join(str(root.uri) for root in answer.roots)


@server.tool()
async def touch(ctx: Context) -> str:
    await ctx.notify_resource_updated("test://one")
    return "touched"


@server.tool()
async def grow(ctx: Context) -> str:
    if not any(tool.name == "extra" for tool in await server.list_tools()):
        server.add_tool(lambda: "extra", name="extra")
    await ctx.notify_tools_changed()
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
    raise ToolError("out of paper")


@server.prompt()
def greet(who: str) -> str:
    return f"greet {who}"


@server.completion()
async def complete(ref, argument, context):
    names = [name for name in ("anna", "boris") if name.startswith(argument.value)]
    return Completion(values=names)


app = server.streamable_http_app()


async def modern_alone(scope, receive, send):
    """Refuses what has no version of the stateless revision, as a server without the others does."""
    if scope["type"] == "http":
        version = dict(scope["headers"]).get(b"mcp-protocol-version", b"").decode()
        if scope["method"] != "POST" or version < "2026":
            error = {
                "code": -32022,
                "message": "Unsupported protocol version",
                "data": {"supported": ["2026-07-28"], "requested": version},
            }
            body = json.dumps({"jsonrpc": "2.0", "id": None, "error": error}).encode()
            status = 400 if scope["method"] == "POST" else 405
            headers = [(b"content-type", b"application/json")]
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": body})
            return
    await app(scope, receive, send)


uvicorn.run(modern_alone, host="127.0.0.1", port=port, log_level="warning")
