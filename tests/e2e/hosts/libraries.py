"""Starts mcpline from one of the Python libraries, lists its tools and calls one.

    libraries.py LIBRARY CALL COMMAND [ARGUMENT...]

CALL is a tool's name and arguments as JSON, or `null`. What was seen is the last line that is
printed, one JSON object.
"""

import asyncio
import json
import logging
import sys
import time

# Each of these imports its library, and returns what starts mcpline, yields the names of the tools,
# and then the result of the call.


def openai_agents():
    from agents.mcp import MCPServerStdio

    async def steps(command, arguments, call):
        async with MCPServerStdio(params={"command": command, "args": arguments}) as server:
            yield [tool.name for tool in await server.list_tools()]
            yield await server.call_tool(*call)

    return steps


def pydantic_ai():
    from fastmcp.client.transports import StdioTransport
    from pydantic_ai.mcp import MCPToolset

    async def steps(command, arguments, call):
        async with MCPToolset(StdioTransport(command, arguments, keep_alive=False)) as toolset:
            yield [tool.name for tool in await toolset.list_tools()]
            yield await toolset.direct_call_tool(*call)

    return steps


def fastmcp():
    from fastmcp import Client
    from fastmcp.client.transports import StdioTransport

    async def steps(command, arguments, call):
        async with Client(StdioTransport(command, arguments, keep_alive=False)) as client:
            yield [tool.name for tool in await client.list_tools()]
            yield await client.call_tool(*call)

    return steps


def langchain_mcp_adapters():
    from langchain_mcp_adapters.client import MultiServerMCPClient

    async def steps(command, arguments, call):
        entry = {"transport": "stdio", "command": command, "args": arguments}
        tools = await MultiServerMCPClient({"probed": entry}).get_tools()
        yield [tool.name for tool in tools]
        [tool] = [tool for tool in tools if tool.name == call[0]]
        yield await tool.ainvoke(call[1])

    return steps


def mcp_use():
    from mcp_use import MCPClient

    async def steps(command, arguments, call):
        entry = {"command": command, "args": arguments}
        client = MCPClient.from_dict({"mcpServers": {"probed": entry}})
        try:
            session = await client.create_session("probed")
            yield [tool.name for tool in await session.list_tools()]
            yield await session.call_tool(*call)
        finally:
            await client.close_all_sessions()

    return steps


LIBRARIES = {
    library.__name__: library
    for library in (openai_agents, pydantic_ai, fastmcp, langchain_mcp_adapters, mcp_use)
}


class Collected(logging.Handler):
    """The errors that a library logs where another one would raise them."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


def text_of(error: BaseException) -> str:
    """What the error says; of a group, what its first one says."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"


async def look(name: str, command: str, arguments: list[str], call) -> dict:
    steps = LIBRARIES[name]()(command, arguments, call)
    logged = Collected()
    logging.getLogger(name).addHandler(logged)
    begin = time.monotonic()
    seen = {"status": "connected"}
    try:
        seen["tools"] = await anext(steps)
        if logged.messages:
            seen |= {"status": "no tools and an error in its log", "error": logged.messages[0]}
        elif call:
            seen["result"] = str(await anext(steps))
    except Exception as error:
        seen |= {"status": "exception", "error": text_of(error)}
    finally:
        seen["seconds"] = time.monotonic() - begin
        await steps.aclose()
    return seen


if __name__ == "__main__":
    library, call, command, *arguments = sys.argv[1:]
    print(json.dumps(asyncio.run(look(library, command, arguments, json.loads(call)))))
