"""Lists, reads and calls what each sample service of `mcpline demo` offers, with the official Python
SDK, which refuses a whole list for one bad item.

    services.py --results FILE --mcpline PATH
"""

import argparse
import json
import sys
import traceback
from pathlib import Path

import anyio
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client

from expect import expect_same, expect_that

SERVICES = json.loads((Path(__file__).parent.parent / "expected" / "services.json").read_text())


async def converse(mcpline: str, kind: str, expected: dict) -> None:
    arguments = ["demo", "--kind", kind, *expected.get("args", [])]
    server = StdioServerParameters(command=mcpline, args=arguments)
    async with stdio_client(server) as streams, ClientSession(*streams) as session:
        opened = await session.initialize()
        expect_same("the name of the server", expected["name"], opened.serverInfo.name)
        tools = (await session.list_tools()).tools
        expect_same("how many tools", expected["tools"], len(tools))
        resources = (await session.list_resources()).resources
        expect_same("how many resources", expected["resources"], len(resources))
        for resource in resources:
            read = await session.read_resource(resource.uri)
            uris = [str(content.uri) for content in read.contents]
            expect_same(f"contents of {resource.uri}", [str(resource.uri)], uris)
        call = expected["call"]
        result = await session.call_tool(call["name"], call["arguments"])
        expect_same(f"error of {call['name']}", False, result.isError)
        text = result.content[0].text
        expect_that(expected["says"] in text, f"{expected['says']} is in {text}")
        await session.send_ping()


async def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--results", required=True)
    parser.add_argument("--mcpline", required=True)
    options = parser.parse_args()
    failed = False
    for kind, expected in SERVICES.items():
        outcome = "passed"
        try:
            with anyio.fail_after(60):
                await converse(str(Path(options.mcpline).resolve()), kind, expected)
        except Exception:
            outcome, failed = "failed", True
            traceback.print_exc()
        row = {
            "client": "python",
            "server": f"demo {kind}",
            "scenario": "a look around",
            "outcome": outcome,
        }
        with open(options.results, "a") as results:
            print(json.dumps(row), file=results)
        print(f"{outcome:13} python demo {kind}: a look around")
    return 1 if failed else 0


sys.exit(anyio.run(main))
