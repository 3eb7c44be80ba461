"""Starts mcpline from one of the Python libraries, lists its tools and calls one.

    libraries.py LIBRARY CALL COMMAND [ARGUMENT...]

CALL is a tool's name and arguments as JSON, or `null`. Prints what was seen as one JSON object.
"""

import asyncio
import json
import sys


async def openai_agents(command, arguments, call):
    from agents.mcp import MCPServerStdio

    async with MCPServerStdio(params={"command": command, "args": arguments}) as server:
        yield [tool.name for tool in await server.list_tools()]
        yield await server.call_tool(*call)


async def pydantic_ai(command, arguments, call):
    from fastmcp.client.transports import StdioTransport
    from pydantic_ai.mcp import MCPToolset

    async with MCPToolset(StdioTransport(command, arguments, keep_alive=False)) as toolset:
        yield [tool.name for tool in await toolset.list_tools()]
        yield await toolset.direct_call_tool(*call)


async def fastmcp(command, arguments, call):
    from fastmcp import Client
    from fastmcp.client.transports import StdioTransport

    async with Client(StdioTransport(command, arguments, keep_alive=False)) as client:
        yield [tool.name for tool in await client.list_tools()]
        yield await client.call_tool(*call)


async def langchain_mcp_adapters(command, arguments, call):
    from langchain_mcp_adapters.client import MultiServerMCPClient

    entry = {"transport": "stdio", "command": command, "args": arguments}
    tools = await MultiServerMCPClient({"probed": entry}).get_tools()
    yield [tool.name for tool in tools]
    [tool] = [tool for tool in tools if tool.name == call[0]]
    yield await tool.ainvoke(call[1])


async def mcp_use(command, arguments, call):
    from mcp_use import MCPClient

    entry = {"command": command, "args": arguments}
    client = MCPClient.from_dict({"mcpServers": {"probed": entry}})
    try:
        session = await client.create_session("probed")
        yield [tool.name for tool in await session.list_tools()]
        yield await session.call_tool(*call)
    finally:
        await client.close_all_sessions()


LIBRARIES = {
    library.__name__: library
    for library in (openai_agents, pydantic_ai, fastmcp, langchain_mcp_adapters, mcp_use)
}


def told(error: BaseException) -> str:
    """What the error says: that of the first one that a group holds."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"


async def look(library, command, arguments, call) -> dict:
    seen = {}
    steps = LIBRARIES[library](command, arguments, call)
    try:
        seen["tools"] = await anext(steps)
        if call:
            seen["result"] = str(await anext(steps))
    except Exception as error:
        seen["error"] = told(error)
    finally:
        await steps.aclose()
    return seen


if __name__ == "__main__":
    library, call, command, *arguments = sys.argv[1:]
    print(json.dumps(asyncio.run(look(library, command, arguments, json.loads(call)))))
