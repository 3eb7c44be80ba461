"""An MCP server with one tool that opens a session only after some seconds.

    slow_server.py PORT SECONDS
"""

import sys

import anyio
import uvicorn
from fastmcp import FastMCP
from starlette.middleware import Middleware

server = FastMCP("slow", version="1.0.0")


@server.tool(annotations={"readOnlyHint": True})
def echo(message: str) -> str:
    """Returns the message as it came."""
    return f"Echo: {message}"


class SlowStart:
    """Delays each request that belongs to no session yet, which `initialize` is."""

    def __init__(self, app, seconds: float) -> None:
        self.app = app
        self.seconds = seconds

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] == "http" and scope["method"] == "POST":
            if b"mcp-session-id" not in dict(scope["headers"]):
                await anyio.sleep(self.seconds)
        await self.app(scope, receive, send)


if __name__ == "__main__":
    port, seconds = int(sys.argv[1]), float(sys.argv[2])
    app = server.http_app(middleware=[Middleware(SlowStart, seconds=seconds)])
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")
