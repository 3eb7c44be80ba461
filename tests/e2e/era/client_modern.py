"""The official Python SDK 2.x, at revision 2026-07-28 alone, before mcpline. Arguments: the binary,
the URL."""

import os
import sys
from contextlib import asynccontextmanager

import anyio
import mcp_types as types
import operations
from mcp import Client, MCPError, StdioServerParameters

mcpline, url = sys.argv[1:]


class Session:
    NO_RESOURCE = -32602

    def __init__(self, client, logged):
        self.client, self.logged = client, logged

    async def tools(self):
        return [tool.name for tool in (await self.client.list_tools(cache_mode="bypass")).tools]

    async def call(self, name, arguments, progress=None):
        result = await self.client.call_tool(name, arguments, progress_callback=progress)
        return result.content[0].text

    async def cancelled_call(self, name, arguments, after):
        async with anyio.create_task_group() as group:
            group.start_soon(self.client.call_tool, name, arguments)
            await anyio.sleep(after)
            group.cancel_scope.cancel()

    async def read(self, uri):
        return (await self.client.read_resource(uri)).contents[0].text

    async def resources(self):
        return [str(resource.uri) for resource in (await self.client.list_resources()).resources]

    async def templates(self):
        listed = (await self.client.list_resource_templates()).resource_templates
        return [template.uri_template for template in listed]

    async def structured(self, name, arguments):
        return (await self.client.call_tool(name, arguments)).structured_content

    async def failed_call(self, name, arguments):
        try:
            result = await self.client.call_tool(name, arguments)
        except MCPError as error:
            return str(error)
        return result.content[0].text if result.is_error else "no error"

    async def failed_read(self, uri):
        try:
            await self.read(uri)
        except MCPError as error:
            return error.error.code
        return "no error"

    @asynccontextmanager
    async def subscribed(self, uri):
        async with self.client.listen(resource_subscriptions=[uri]) as events:

            async def updates():
                return str((await anext(aiter(events))).uri)

            yield updates

    @asynccontextmanager
    async def tools_changed(self):
        async with self.client.listen(tools_list_changed=True) as events:

            async def changes():
                await anext(aiter(events))

            yield changes

    async def logs(self, level, tool):
        await self.call(tool, {})
        await anyio.sleep(0.5)
        return [log.data for log in self.logged]

    async def prompt(self, name, arguments):
        return (await self.client.get_prompt(name, arguments)).messages[0].content.text

    async def complete(self, name, argument, value):
        ref = types.PromptReference(name=name)
        result = await self.client.complete(ref, {"name": argument, "value": value})
        return result.completion.values


@asynccontextmanager
async def opened(operation):
    logged = []

    async def elicit(context, params):
        return types.ElicitResult(action="accept", content={"name": "anna"})

    async def sample(context, params):
        content = types.TextContent(type="text", text="hello")
        return types.CreateMessageResult(role="assistant", model="m", content=content)

    async def roots(context):
        return types.ListRootsResult(roots=[types.Root(uri="file:///work")])

    async def log(params):
        logged.append(params)

    args = [*os.environ.get("MCPLINE_ARGS", "").split(), url]
    server = StdioServerParameters(command=mcpline, args=args, env=dict(os.environ))
    async with Client(
        server,
        mode=os.environ.get("MODE", "2026-07-28"),
        elicitation_callback=elicit,
        sampling_callback=sample,
        list_roots_callback=roots,
        logging_callback=log,
        log_level="warning" if operation == "logging" else None,
    ) as client:
        yield Session(client, logged)


anyio.run(operations.run, opened)
