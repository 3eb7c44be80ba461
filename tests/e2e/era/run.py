"""Runs every client against every server, with mcpline between them, and says what failed.

    run.py --mcpline BINARY --logs DIRECTORY [--client NAME] [--server NAME]

Each pair runs the operations of operations.{py,mjs} and rust/src/main.rs, each with an mcpline of its own. What is known to
fail, and why, is in expected.json."""

import argparse
import json
import os
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
PYTHON = {
    "1": os.environ.get("PYTHON_LEGACY", str(HERE.parent / ".venv/bin/python")),
    "2": os.environ.get("PYTHON_MODERN", str(HERE.parent / ".venv-2/bin/python")),
}
SERVERS = {
    "typescript-1": ["node", "server-legacy.mjs"],
    "typescript-2": ["node", "server-modern.mjs"],
    "python-1": [PYTHON["1"], "server_legacy.py"],
    "python-2": [PYTHON["2"], "server_modern.py"],
}
RUST = os.environ.get("RUST_CLIENT", str(HERE / "rust/target/release/mcpline-e2e-client"))


@dataclass(frozen=True)
class Client:
    # The binary and the URL are added to it, and then the name of the era, if it takes one.
    command: list[str]
    era: str | None = None
    environment: dict[str, str] = field(default_factory=dict)


CLIENTS = {
    "typescript-1": Client(["node", "client-legacy.mjs"]),
    "typescript-2": Client(["node", "client-modern.mjs"]),
    "typescript-2-auto": Client(["node", "client-modern.mjs"], environment={"MODE": "auto"}),
    "python-1": Client([PYTHON["1"], "client_legacy.py"]),
    "python-2": Client([PYTHON["2"], "client_modern.py"]),
    "python-2-auto": Client([PYTHON["2"], "client_modern.py"], environment={"MODE": "auto"}),
    "rust-legacy": Client([RUST], "legacy"),
    "rust-modern": Client([RUST], "modern"),
}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port, server):
    for _ in range(200):
        if server.poll() is not None:
            raise SystemExit(f"the server ended with {server.returncode}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        try:
            server.wait(0.1)
        except subprocess.TimeoutExpired:
            pass
    raise SystemExit("the server does not listen")


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--mcpline", required=True)
    arguments.add_argument("--logs", required=True)
    arguments.add_argument("--client", action="append")
    arguments.add_argument("--server", action="append")
    chosen = arguments.parse_args()
    expected = json.loads((HERE / "expected.json").read_text())
    surprises = held = 0
    for server_name in chosen.server or SERVERS:
        port = free_port()
        said = (Path(chosen.logs) / f"era-server-{server_name}").open("w")
        server = subprocess.Popen(
            [*SERVERS[server_name], str(port)], cwd=HERE, stdout=said, stderr=said
        )
        try:
            wait_for(port, server)
            for client_name in chosen.client or CLIENTS:
                pair = f"{client_name} to {server_name}"
                client = CLIENTS[client_name]
                command = [*client.command, chosen.mcpline, f"http://127.0.0.1:{port}/mcp"]
                command += [client.era] if client.era else []
                log = (Path(chosen.logs) / f"era-{pair.replace(' ', '-')}").open("w")
                done = subprocess.run(
                    command,
                    cwd=HERE,
                    env=os.environ | client.environment,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    timeout=900,
                    check=False,
                )
                outcomes = [json.loads(line) for line in done.stdout.splitlines()]
                for outcome in outcomes:
                    why, operation = outcome["why"], outcome["operation"]
                    known = expected.get(pair, {}).get(operation)
                    held += why is None
                    if (why is None) == (known is None):
                        continue
                    surprises += 1
                    print(f"{pair}: {operation}: {why or 'holds, although it is listed'}")
                if not outcomes:
                    surprises += 1
                    print(f"{pair}: the client ended with {done.returncode}")
        finally:
            server.terminate()
            server.wait()
    print(f"{held} hold, {surprises} surprises")
    sys.exit(bool(surprises))


main()
