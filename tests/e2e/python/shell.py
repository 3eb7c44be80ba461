"""Uses mcpline as one does in a shell: printf '…' | mcpline URL

shell.py --server NAME|demo --results FILE --logs DIRECTORY --mcpline PATH [--only NAME]
"""

import json
from subprocess import PIPE

import anyio

from driver import Cell, drive, parse_options, read_server
from expect import expect_same, expect_that, within
from upstream import Upstream

# Calls that are in flight when the input ends may take a second, nothing else takes as long.
SECONDS = 10
PIPELINE = 'printf %s "$1" | "$2" "$3" --log-level debug 2>>"$4"'

INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "printf", "version": "1"},
    },
}
INITIALIZED = {"jsonrpc": "2.0", "method": "notifications/initialized"}


def list_tools(id) -> dict:
    return {"jsonrpc": "2.0", "id": id, "method": "tools/list"}


class ShellCell(Cell):
    _messages = ""

    async def pipe(self, *messages: dict) -> dict:
        """Pipes the messages through mcpline and returns the results by the ids of the requests.
        There must be one line for each request, and none that answers anything else."""
        lines = "".join(json.dumps(message) + "\n" for message in messages)
        target = self.upstream.url if self.upstream else "demo"
        command = ["sh", "-c", PIPELINE, "sh", lines, self.options.mcpline, target]
        with within("the pipeline ends", SECONDS):
            done = await anyio.run_process(
                [*command, str(self.stderr_path)], check=False, stderr=PIPE
            )
        output = done.stdout.decode()
        self._messages = lines + output
        expect_same("exit status", 0, done.returncode)
        answers = [json.loads(line) for line in output.splitlines()]
        for answer in answers:
            expect_same("protocol", "2.0", answer.get("jsonrpc"))
        ids = [message["id"] for message in messages if "id" in message]
        # The client said that it can answer nothing, so what has an id is an answer.
        seen = [answer["id"] for answer in answers if "id" in answer]
        expect_same("ids of the answers", sorted(map(repr, ids)), sorted(map(repr, seen)))
        return {answer["id"]: answer.get("result") for answer in answers if "id" in answer}

    def messages(self) -> str:
        return self._messages


def expect_tools(names: list[str], result: dict) -> None:
    expect_same("names of the tools", names, [tool["name"] for tool in result["tools"]])


async def handshake_and_list(cell, names):
    # Not every id is a small number; these must come back as they went. The last is larger than
    # some servers take: the request may fail, but it is answered, and with that very id.
    ids = ["list-α", 9007199254740991]
    ping = {"jsonrpc": "2.0", "id": 9007199254740993, "method": "ping"}
    results = await cell.pipe(INITIALIZE, INITIALIZED, *map(list_tools, ids), ping)
    expect_same("protocol version", "2025-06-18", results[1]["protocolVersion"])
    for id in ids:
        expect_tools(names, results[id])


async def list_alone(cell, names):
    results = await cell.pipe(list_tools(1))
    expect_tools(names, results[1])


async def calls_at_the_end(cell, calls):
    requests = [
        {
            "jsonrpc": "2.0",
            "id": id,
            "method": "tools/call",
            "params": {"name": call["tool"], "arguments": call["arguments"]},
        }
        for id, call in enumerate(calls, start=2)
    ]
    results = await cell.pipe(INITIALIZE, INITIALIZED, *requests)
    for id, call in enumerate(calls, start=2):
        expect_same(f"the result of {call['tool']}", call["result"], results[id])


async def demo(cell, _):
    results = await cell.pipe(INITIALIZE, INITIALIZED, list_tools(2))
    tools = results[2]["tools"]
    expect_that(bool(tools), "the sample upstream lists no tools")
    for tool in tools:
        expect_same(f"type of the input of {tool['name']}", "object", tool["inputSchema"]["type"])


SCENARIOS = {
    "handshake and list": handshake_and_list,
    "list alone": list_alone,
    "calls at the end": calls_at_the_end,
}


async def main() -> None:
    options = parse_options(__doc__)
    if options.server == "demo":
        scenarios, offers, upstream = {"demo": demo}, {"demo": None}, None
    else:
        spec, expected = read_server(options.server)
        names, calls = expected["pipe"]["tools"], expected["pipe"]["calls"]
        scenarios, upstream = SCENARIOS, Upstream(spec, options.logs)
        offers = {
            "handshake and list": names,
            "list alone": names,
            "calls at the end": calls,
        }

    def make_cell(directory):
        return ShellCell(upstream, options, directory)

    await drive("shell", scenarios, offers, upstream, make_cell, options)


anyio.run(main)
