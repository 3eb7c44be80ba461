"""The official Python SDK 1.x before mcpline. Arguments: the binary, the URL."""

import os
import sys
from contextlib import asynccontextmanager

import anyio
import operations
from mcp import ClientSession, McpError, StdioServerParameters, types
from mcp.client.stdio import stdio_client
from pydantic import AnyUrl

mcpline, url = sys.argv[1:]


class Session:
    NO_RESOURCE = -32002

    def __init__(self, client, heard, logged):
        self.client, self.heard, self.logged = client, heard, logged

    async def tools(self):
        return [tool.name for tool in (await self.client.list_tools()).tools]

    async def call(self, name, arguments, progress=None):
        result = await self.client.call_tool(name, arguments, progress_callback=progress)
        return result.content[0].text

    async def cancelled_call(self, name, arguments, after):
        # This SDK sends no cancellation of its own.
        number = self.client._request_id
        async with anyio.create_task_group() as group:

            async def call():
                with anyio.CancelScope():
                    await self.client.call_tool(name, arguments)

            group.start_soon(call)
            await anyio.sleep(after)
            params = types.CancelledNotificationParams(requestId=number, reason="enough")
            notification = types.CancelledNotification(
                method="notifications/cancelled", params=params
            )
            await self.client.send_notification(types.ClientNotification(notification))
            await anyio.sleep(0.2)
            group.cancel_scope.cancel()

    async def read(self, uri):
        return (await self.client.read_resource(AnyUrl(uri))).contents[0].text

    async def next(self, kind):
        while True:
            notification = await self.heard.receive()
            if isinstance(notification, kind):
                return notification

    async def resources(self):
        return [str(resource.uri) for resource in (await self.client.list_resources()).resources]

    async def templates(self):
        listed = (await self.client.list_resource_templates()).resourceTemplates
        return [template.uriTemplate for template in listed]

    async def structured(self, name, arguments):
        return (await self.client.call_tool(name, arguments)).structuredContent

    async def failed_call(self, name, arguments):
        try:
            result = await self.client.call_tool(name, arguments)
        except McpError as error:
            return str(error)
        return result.content[0].text if result.isError else "no error"

    async def failed_read(self, uri):
        try:
            await self.read(uri)
        except McpError as error:
            return error.error.code
        return "no error"

    @asynccontextmanager
    async def subscribed(self, uri):
        await self.client.subscribe_resource(AnyUrl(uri))

        async def updates():
            return str((await self.next(types.ResourceUpdatedNotification)).params.uri)

        yield updates
        await self.client.unsubscribe_resource(AnyUrl(uri))

    @asynccontextmanager
    async def tools_changed(self):
        await anyio.sleep(0.5)
        yield lambda: self.next(types.ToolListChangedNotification)

    async def logs(self, level, tool):
        # A server of this SDK cannot filter: it is left to the client.
        await self.client.set_logging_level(level)
        await self.call(tool, {})
        await anyio.sleep(0.5)
        return [log.data for log in self.logged if log.level not in ("debug", "info")]

    async def prompt(self, name, arguments):
        return (await self.client.get_prompt(name, arguments)).messages[0].content.text

    async def complete(self, name, argument, value):
        ref = types.PromptReference(type="ref/prompt", name=name)
        result = await self.client.complete(ref, {"name": argument, "value": value})
        return result.completion.values


@asynccontextmanager
async def opened(operation):
    put, heard = anyio.create_memory_object_stream(1000)
    logged = []

    async def elicit(context, params):
        return types.ElicitResult(action="accept", content={"name": "anna"})

    async def sample(context, params):
        content = types.TextContent(type="text", text="hello")
        return types.CreateMessageResult(role="assistant", model="m", content=content)

    async def roots(context):
        return types.ListRootsResult(roots=[types.Root(uri="file:///work")])

    async def message(message):
        if isinstance(message, types.ServerNotification):
            await put.send(message.root)

    async def log(params):
        logged.append(params)

    args = [*os.environ.get("MCPLINE_ARGS", "").split(), url]
    server = StdioServerParameters(command=mcpline, args=args, env=dict(os.environ))
    async with stdio_client(server) as streams:
        callbacks = {
            "elicitation_callback": elicit,
            "sampling_callback": sample,
            "list_roots_callback": roots,
            "message_handler": message,
            "logging_callback": log,
        }
        async with ClientSession(*streams, **callbacks) as client:
            await client.initialize()
            yield Session(client, heard, logged)


anyio.run(operations.run, opened)
