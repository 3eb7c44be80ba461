"""The servers that mcpline is put in front of, started as their users start them."""

import os
import random
import socket
import subprocess
from contextlib import suppress
from pathlib import Path

from expect import Unexpected, until
from template import fill

HERE = Path(__file__).resolve().parent.parent


# Below the range from which systems take the ports of outgoing connections: while a server is down,
# none of those may take its port.
PORTS = range(15_000, 30_000)


def free_port() -> int:
    while True:
        port = random.choice(PORTS)
        with socket.socket() as listener, suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port


class Upstream:
    def __init__(self, spec: dict, directory: Path) -> None:
        self.spec = spec
        self.log_path = directory / "server.log"
        self.state = directory / "state"
        self.state.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self._process: subprocess.Popen | None = None

    async def start(self) -> None:
        """Starts, on the same port each time, and waits until it can be connected to."""
        values = {"port": str(self.port), "state": str(self.state)}
        with self.log_path.open("a") as log:
            self._process = subprocess.Popen(
                fill(self.spec["command"], values),
                cwd=HERE,
                env=os.environ | fill(self.spec["env"], values),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        await until(self._accepts, f"the server accepts connections on port {self.port}")

    async def _accepts(self) -> bool:
        if not self.running:
            raise Unexpected("the server ended right after its start")
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        if self.running:
            self._process.kill()
            self._process.wait()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{self.spec['path']}"

    @property
    def sessions_opened(self) -> int:
        """How many sessions the server says were begun."""
        return self.log_path.read_text().count(self.spec["sessionOpened"])

    @property
    def sessions_ended(self) -> int:
        """How many sessions the server says it has seen the end of."""
        return self.log_path.read_text().count(self.spec["sessionEnded"])
