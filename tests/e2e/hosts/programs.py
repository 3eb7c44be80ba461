"""The hosts: how each is set up, driven without a login, and read."""

import json
import platform
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sandbox import Ended, Sandbox
from talk import ClaudeSession, CodexServer, talk
from upstreams import Upstream

HERE = Path(__file__).parent
MODULES = HERE / "node_modules"
# The name under which mcpline stands in each host's configuration.
SERVER = "probed"
# Longer than any of the hosts waits; one that takes longer hangs.
SECONDS = 90


@dataclass
class Seen:
    """What a host showed. What it does not tell is None."""

    connected: bool
    # What it shows of the state, in its own words.
    status: str
    seconds: float
    tools: list[str] | None = None
    result: str | None = None
    error: str = ""


@dataclass(frozen=True)
class Host:
    name: str
    # The package whose version is told.
    package: str
    driven_by: str
    look: Callable[[Sandbox, list[str], Upstream], Seen]
    lists: bool = True
    calls: bool = True
    # Whether it shows an error of the server's as it is; how it masks a URL, if it does.
    shows_errors: bool = True
    masks_url: str | None = None
    short: bool = False
    # The virtual environment of those that are libraries.
    venv: str | None = None

    def version(self) -> str:
        if self.venv is None:
            return json.loads((MODULES / self.package / "package.json").read_text())["version"]
        requirements = (HERE / f"requirements-{self.venv}.txt").read_text()
        return re.search(rf"^{re.escape(self.package)}==(.+)$", requirements, re.MULTILINE)[1]


def _native(prefix: str, *path: str) -> str:
    """A program that npm installs as a package for each platform."""
    machine = {"x86_64": "x64", "AMD64": "x64", "aarch64": "arm64"}.get(
        platform.machine(), platform.machine()
    )
    return str(MODULES / f"{prefix}-{platform.system().lower()}-{machine}" / Path(*path))


def _bin(name: str) -> str:
    return str(MODULES / ".bin" / name)


def _plain(text: str) -> str:
    """Without colours, and on one line."""
    return " ".join(re.sub(r"\x1b\[[0-9;]*m", "", text).split())


def _text(value: dict) -> str:
    return json.dumps(value, ensure_ascii=False)


def _lines(ended: Ended) -> str:
    return f"{ended.stdout}\n{ended.stderr}"


def _install(sandbox: Sandbox, client: str, command: list[str]) -> None:
    """Has mcpline write its own entry, as a person would."""
    mcpline, *arguments = command
    ended = sandbox.run([mcpline, "install", client, SERVER, *arguments], SECONDS)
    if ended.status != 0 or f"`{SERVER}` is written" not in ended.stdout:
        raise ValueError(f"mcpline install {client} said {_lines(ended)}")


# Programs


def claude_code(sandbox: Sandbox, command: list[str], upstream: Upstream) -> Seen:
    program = _native("@anthropic-ai/claude-code", "claude")
    _install(sandbox, "claude-code", command)
    shown = sandbox.run([program, "mcp", "get", SERVER], SECONDS)
    fields = dict(re.findall(r"^ +(Status|Issue): (.+)$", shown.stdout, re.MULTILINE))
    # Without the mark in front.
    status = re.sub(r"^\W+", "", fields.get("Status", shown.stdout))
    seen = Seen(
        connected=status == "Connected",
        status=status,
        seconds=shown.seconds,
        error=fields.get("Issue", ""),
    )
    if upstream.alive:
        session_command = [program, *ClaudeSession.COMMAND]
        with talk(sandbox, session_command, SECONDS, **ClaudeSession.ENVIRONMENT) as lines:
            session = ClaudeSession(lines)
            seen.tools = [tool["name"] for tool in session.startup().get("tools", [])]
            seen.result = _text(session.call(SERVER, *upstream.call[:2]))
    return seen


def codex_cli(sandbox: Sandbox, command: list[str], upstream: Upstream) -> Seen:
    _install(sandbox, "codex", command)
    program = _bin("codex")
    listed = sandbox.run([program, "mcp", "list", "--json"], SECONDS)
    [entry] = json.loads(listed.stdout)
    if entry["name"] != SERVER or not entry["enabled"]:
        raise ValueError(f"codex mcp list shows {entry}")
    begin = time.monotonic()
    with talk(sandbox, [program, *CodexServer.COMMAND], SECONDS) as lines:
        codex = CodexServer(lines)
        start = codex.startup()
        seen = Seen(
            connected=start["status"] == "ready",
            status=start["status"],
            seconds=time.monotonic() - begin,
            error=start["error"] or "",
        )
        if seen.connected:
            seen.tools = list(codex.status()["tools"])
            seen.result = _text(codex.call(SERVER, *upstream.call[:2]))
    return seen


def gemini_cli(sandbox: Sandbox, command: list[str], upstream: Upstream) -> Seen:
    settings = {
        "general": {"enableAutoUpdate": False},
        "privacy": {"usageStatisticsEnabled": False},
        "security": {"folderTrust": {"enabled": False}},
    }
    sandbox.write(".gemini/settings.json", json.dumps(settings))
    _install(sandbox, "gemini", command)
    shown = sandbox.run([_bin("gemini"), "mcp", "list"], SECONDS)
    # Which of the two it writes to depends on the version.
    [status] = re.findall(rf"{SERVER}: .* - (\w+)$", _lines(shown), re.MULTILINE)
    return Seen(connected=status == "Connected", status=status, seconds=shown.seconds)


def opencode(sandbox: Sandbox, command: list[str], upstream: Upstream) -> Seen:
    _install(sandbox, "opencode", command)
    shown = sandbox.run([_native("opencode", "bin", "opencode"), "mcp", "list"], SECONDS)
    text = _plain(_lines(shown))
    status, error = re.search(rf"{SERVER} (\w+) (.*?)(?:│ )*{re.escape(command[0])}", text).groups()
    return Seen(
        connected=status == "connected",
        status=status,
        seconds=shown.seconds,
        error=error.strip("│ "),
    )


def inspector(sandbox: Sandbox, command: list[str], upstream: Upstream) -> Seen:
    def method(*arguments: str):
        # What follows `--` would be an argument of the server.
        return sandbox.run([_bin("mcp-inspector"), "--cli", *command, "--method", *arguments], SECONDS)

    listed = method("tools/list")
    if listed.status != 0:
        return Seen(connected=False, status="error", seconds=listed.seconds, error=_plain(_lines(listed)))
    seen = Seen(
        connected=True,
        status="connected",
        seconds=listed.seconds,
        tools=[tool["name"] for tool in json.loads(listed.stdout)["tools"]],
    )
    name, arguments, _ = upstream.call
    values = [f"{key}={value}" for key, value in arguments.items()]
    seen.result = method("tools/call", "--tool-name", name, "--tool-arg", *values).stdout
    return seen


# Libraries


def _library(name: str, venv: str):
    def look(sandbox: Sandbox, command: list[str], upstream: Upstream) -> Seen:
        python = str(HERE / f".venv-{venv}" / "bin" / "python")
        call = json.dumps(upstream.call[:2] if upstream.call else None)
        ended = sandbox.run([python, str(HERE / "libraries.py"), name, call, *command], SECONDS)
        seen = json.loads(ended.stdout.splitlines()[-1])
        return Seen(connected=seen["status"] == "connected", **seen)

    return look


def _python(name: str, package: str, driven_by: str, venv: str) -> Host:
    function = name.replace("-", "_")
    return Host(name, package, driven_by, _library(function, venv), short=True, venv=venv)


HOSTS = [
    Host(
        "Claude Code",
        "@anthropic-ai/claude-code",
        "`claude mcp get`, `claude -p`",
        claude_code,
        masks_url="[redacted]",
    ),
    Host(
        "Codex",
        "@openai/codex",
        "`codex mcp list`, `codex app-server`",
        codex_cli,
        short=True,
    ),
    Host(
        "Gemini CLI",
        "@google/gemini-cli",
        "`gemini mcp list`",
        gemini_cli,
        lists=False,
        calls=False,
        shows_errors=False,
    ),
    Host(
        "opencode",
        "opencode-ai",
        "`opencode mcp list`",
        opencode,
        lists=False,
        calls=False,
        shows_errors=False,
    ),
    Host(
        "MCP Inspector",
        "@modelcontextprotocol/inspector",
        "`mcp-inspector --cli`",
        inspector,
        short=True,
    ),
    _python("openai-agents", "openai-agents", "`MCPServerStdio`", "sdk2"),
    _python("pydantic-ai", "pydantic-ai-slim", "`MCPToolset`", "sdk2"),
    _python("fastmcp", "fastmcp", "`Client`", "sdk2"),
    _python("langchain-mcp-adapters", "langchain-mcp-adapters", "`MultiServerMCPClient`", "sdk1"),
    _python("mcp-use", "mcp-use", "`MCPClient`", "sdk1"),
]
