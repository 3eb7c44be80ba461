"""Lists, reads and calls what each of the three services offers, with the official Python SDK, which
refuses a whole list for one bad item. 1C is the sample of `mcpline demo`, the others are emulators.

    services.py --results FILE --mcpline PATH --emulator KIND=URL ...
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


async def converse(mcpline: str, kind: str, url: str | None, expected: dict) -> None:
    target = ["demo"] if url is None else ["--kind", kind, url]
    arguments = [*target, *expected.get("args", [])]
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
    parser.add_argument("--emulator", action="append", default=[])
    options = parser.parse_args()
    urls = dict(emulator.split("=", 1) for emulator in options.emulator)
    failed = False
    for kind, expected in SERVICES.items():
        outcome = "passed"
        try:
            with anyio.fail_after(60):
                await converse(str(Path(options.mcpline).resolve()), kind, urls.get(kind), expected)
        except Exception:
            outcome, failed = "failed", True
            traceback.print_exc()
        row = {
            "client": "python",
            "server": f"service {kind}",
            "scenario": "a look around",
            "outcome": outcome,
        }
        with open(options.results, "a") as results:
            print(json.dumps(row), file=results)
        print(f"{outcome:13} python service {kind}: a look around")
    return 1 if failed else 0


sys.exit(anyio.run(main))
