"""The hosts that can be asked by messages, one JSON object a line, without a login or a model."""

import json
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager

from sandbox import Sandbox, TimeLimit, kill_group


class JsonLines:
    """Messages to and from a process, which is ended when its time is over."""

    def __init__(self, process, limit: float) -> None:
        self._process = process
        # Reading below blocks until all are gone that can write.
        self._timer = threading.Timer(limit, kill_group, [process])
        self._timer.start()

    def send(self, message: dict) -> None:
        self._process.stdin.write(json.dumps(message).encode() + b"\n")
        self._process.stdin.flush()

    def wait_for(self, is_it: Callable[[dict], bool]) -> dict:
        """The next message that is it; others are passed over."""
        for line in self._process.stdout:
            message = json.loads(line)
            if is_it(message):
                return message
        raise TimeLimit("the host has ended before it answered")

    def close(self) -> None:
        """Ends the input and waits for the host to end by itself."""
        self._process.stdin.close()
        self._process.stdout.read()
        self._process.wait()

    def stop_timer(self) -> None:
        self._timer.cancel()


@contextmanager
def talk(sandbox: Sandbox, command: list[str], limit: float, **env: str):
    with sandbox.started(command, **env) as process:
        lines = JsonLines(process, limit)
        try:
            yield lines
            lines.close()
        finally:
            lines.stop_timer()


class CodexServer:
    """`codex app-server`: JSON-RPC."""

    COMMAND = ["app-server"]

    def __init__(self, lines: JsonLines) -> None:
        self._lines = lines
        self._ids = 0
        info = {"name": "mcpline-e2e", "version": "1"}
        self.request("initialize", {"clientInfo": info, "capabilities": {"experimentalApi": True}})
        lines.send({"method": "initialized"})
        self._thread = self.request("thread/start", {})["result"]["thread"]["id"]

    def request(self, method: str, params: dict) -> dict:
        self._ids += 1
        self._lines.send({"id": self._ids, "method": method, "params": params})

        def answers(message: dict) -> bool:
            return message.get("id") == self._ids and "method" not in message

        return self._lines.wait_for(answers)

    def startup(self) -> dict:
        """How the start of the MCP server of this thread has ended."""

        def ended(message: dict) -> bool:
            is_status = message.get("method") == "mcpServer/startupStatus/updated"
            return is_status and message["params"]["status"] != "starting"

        return self._lines.wait_for(ended)["params"]

    def status(self) -> dict:
        listed = self.request("mcpServerStatus/list", {"threadId": self._thread})
        [server] = listed["result"]["data"]
        return server

    def call(self, server: str, tool: str, arguments: dict) -> dict:
        params = {"server": server, "tool": tool, "arguments": arguments}
        return self.request("mcpServer/tool/call", {"threadId": self._thread, **params})


class ClaudeSession:
    """`claude -p` as a program starts it: control requests, of which none reaches the model."""

    COMMAND = ["-p", "--input-format", "stream-json", "--output-format", "stream-json", "--verbose"]
    # A session does not begin without a key. It is sent nowhere, as nothing is asked of a model.
    ENVIRONMENT = {"ANTHROPIC_API_KEY": "none", "ANTHROPIC_BASE_URL": "http://127.0.0.1:9"}

    def __init__(self, lines: JsonLines) -> None:
        self._lines = lines
        self._ids = 0
        self.request(subtype="initialize")

    def request(self, **request) -> dict:
        self._ids += 1
        id = str(self._ids)
        self._lines.send({"type": "control_request", "request_id": id, "request": request})

        def answers(message: dict) -> bool:
            is_response = message.get("type") == "control_response"
            return is_response and message["response"]["request_id"] == id

        return self._lines.wait_for(answers)["response"]

    def startup(self) -> dict:
        """The MCP server's status once it is not pending any more."""
        while True:
            [server] = self.request(subtype="mcp_status")["response"]["mcpServers"]
            if server["status"] != "pending":
                return server
            time.sleep(0.2)

    def call(self, server: str, tool: str, arguments: dict) -> dict:
        return self.request(subtype="mcp_call", tool=f"mcp__{server}__{tool}", arguments=arguments)
