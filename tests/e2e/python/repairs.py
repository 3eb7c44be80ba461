"""Serves malformed answers to mcpline, and takes what comes of them with an official Python SDK, of
either major version. The documents and the cases are those of tests/repairs; around each document
stand its neighbours, with every member of it something else.

    repairs.py --results FILE --mcpline PATH
"""

import argparse
import copy
import json
import sys
import traceback
import warnings
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from pathlib import Path
from threading import Thread

import anyio
from mcp import ClientSession, StdioServerParameters, types
from mcp.client.stdio import stdio_client

REPAIRS = Path(__file__).parent.parent.parent / "repairs"
DOCUMENTS, CASES, KINDS = (
    json.loads((REPAIRS / f"{name}.json").read_text("utf-8")) for name in ("documents", "cases", "kinds")
)
# The second major version warns of each method that a later revision of MCP drops.
warnings.simplefilter("ignore")

WRONG = [None, "", {}, [], "x", 5, True, "true"]
ABSENT = object()
CLIENT = f"python mcp {version('mcp')}"
HALF = '{"content":[{"type":"text","text":"Отчёт \\ud83d"}],"x\\udc00":1}'

METHODS = {
    "tools/list": lambda session: session.list_tools(),
    "resources/list": lambda session: session.list_resources(),
    "resources/templates/list": lambda session: session.list_resource_templates(),
    "prompts/list": lambda session: session.list_prompts(),
    "tools/call": lambda session: session.call_tool("get_stock", {}),
    "resources/read": lambda session: session.read_resource("file:///asked"),
    "prompts/get": lambda session: session.get_prompt("letter"),
    "completion/complete": lambda session: session.complete(
        types.PromptReference(type="ref/prompt", name="letter"), {"name": "a", "value": ""}
    ),
    "logging/setLevel": lambda session: session.set_logging_level("info"),
    "resources/subscribe": lambda session: session.subscribe_resource("file:///a"),
    "resources/unsubscribe": lambda session: session.unsubscribe_resource("file:///a"),
}


def replaced(document, path, value):
    """A copy of `document` with `value` at `path`, or with nothing there if it is ABSENT."""
    if not path:
        return value
    document = copy.deepcopy(document)
    parent = document
    for name in path[:-1]:
        parent = parent[int(name) if isinstance(parent, list) else name]
    last = int(path[-1]) if isinstance(parent, list) else path[-1]
    if value is ABSENT:
        del parent[last]
    else:
        parent[last] = value
    return document


def paths(value, at=()):
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, inner in items:
        yield (*at, name)
        yield from paths(inner, (*at, name))


def served(method: str) -> list[str]:
    """The texts of all results of `method` that are served."""
    document = DOCUMENTS[method]
    results = [document, *WRONG]
    for path in paths(document):
        results += [replaced(document, path, value) for value in (ABSENT, *WRONG)]
    for case in CASES.get(method, []):
        path = [name.replace("~1", "/") for name in case["at"].split("/")[1:]]
        results.append(replaced(document, path, case.get("is", ABSENT)))
    return [json.dumps(result, ensure_ascii=False) for result in results]


class Handler(BaseHTTPRequestHandler):
    """Answers each method with what the server's `answer` gives for it and the path."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        is_call = self.path.endswith(("/rpc", "/mcp"))
        message = json.loads(body) if is_call else {}
        if "id" not in message:
            return self.reply(202 if is_call else 404, b"")
        result = self.server.answer(message["method"], self.path)
        text = f'{{"jsonrpc":"2.0","id":{json.dumps(message["id"])},"result":{result}}}'
        self.reply(200, text.encode())

    def do_GET(self):
        self.reply(404, b"")

    do_DELETE = do_GET

    def reply(self, status, body):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, answer):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answer = answer
        Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, *_):
        """A connection was closed before its answer, as where a probe has seen enough."""

    def url(self, kind: str, prefix: str) -> str:
        return f"http://127.0.0.1:{self.server_port}{prefix}{KINDS[kind]['path']}"


def ordinary(kind: str, method: str) -> str:
    return json.dumps(KINDS[kind]["answers"].get(method, {}))


@asynccontextmanager
async def connected(mcpline: str, kind: str, server: Server, prefix: str = ""):
    arguments = ["--kind", kind, "--log-level", "error", server.url(kind, prefix)]
    process = StdioServerParameters(command=mcpline, args=arguments)
    async with stdio_client(process) as streams, ClientSession(*streams) as session:
        with anyio.fail_after(20):
            await session.initialize()
        yield session


async def refused(mcpline: str, kind: str, method: str) -> list[str]:
    """What the client refuses of the results of one method."""
    current = ""
    server = Server(lambda asked, _: current if asked == method else ordinary(kind, asked))
    found = []
    async with connected(mcpline, kind, server) as session:
        for current in served(method):
            try:
                with anyio.fail_after(20):
                    await METHODS[method](session)
            except Exception as error:
                found.append(f"{error!r}\n  of {current}")
        if method == "tools/call":
            current = HALF
            with anyio.fail_after(20):
                result = await METHODS[method](session)
            if result.content[0].text != "Отчёт \ufffd":
                found.append(f"half a character: {result.content[0].text!r}")
    server.shutdown()
    return found


async def refused_at_start(mcpline: str, kind: str) -> list[str]:
    """The same for `initialize`, each of which needs a process of its own."""
    results = served("initialize")

    def answer(asked, path):
        return results[int(path.split("/")[1])] if asked == "initialize" else ordinary(kind, asked)

    server = Server(answer)
    found = []
    limit = anyio.CapacityLimiter(4)

    async def start(number: int) -> None:
        async with limit:
            try:
                async with connected(mcpline, kind, server, f"/{number}") as session:
                    await session.list_tools()
            except BaseException as error:
                found.append(f"{error!r}\n  of {results[number]}")

    async with anyio.create_task_group() as tasks:
        for number in range(len(results)):
            tasks.start_soon(start, number)
    server.shutdown()
    return found


async def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--results", required=True)
    parser.add_argument("--mcpline", required=True)
    options = parser.parse_args()
    mcpline = str(Path(options.mcpline).resolve())
    failed = False
    for kind in KINDS:
        outcome = "passed"
        try:
            for method in DOCUMENTS:
                if method == "initialize":
                    found = await refused_at_start(mcpline, kind)
                else:
                    found = await refused(mcpline, kind, method)
                if found:
                    outcome = "failed"
                    print(f"{method}: {len(found)} refused", *found[:5], sep="\n")
        except Exception:
            outcome = "failed"
            traceback.print_exc()
        failed |= outcome == "failed"
        row = {"client": CLIENT, "server": f"malformed {kind}", "scenario": "repairs", "outcome": outcome}
        with open(options.results, "a") as results:
            print(json.dumps(row), file=results)
        print(f"{outcome:13} {CLIENT} malformed {kind}: repairs")
    return 1 if failed else 0


sys.exit(anyio.run(main))
