"""Runs a host in a home of its own, for a limited time, and leaves no process behind."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

# What mcpline gets to end after its host has ended: what it promises, with room for a loaded machine.
SECONDS_TO_END = 10

# No host is to reach anything but this machine, or to show what is not the same on each run.
QUIET = {
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "DISABLE_AUTOUPDATER": "1",
    "MCP_USE_ANONYMIZED_TELEMETRY": "false",
    "NO_COLOR": "1",
    "OPENAI_AGENTS_DISABLE_TRACING": "1",
    "OPENCODE_DISABLE_AUTOUPDATE": "1",
    "OPENCODE_DISABLE_DEFAULT_PLUGINS": "1",
    "OPENCODE_DISABLE_MODELS_FETCH": "1",
}


class TimeLimit(Exception):
    """The host did not end within the time that it gets."""


@dataclass(frozen=True)
class Ended:
    stdout: str
    stderr: str
    status: int
    seconds: float


@dataclass(frozen=True)
class Sandbox:
    """A directory that no other run uses. Its path is in the command line of the mcpline that the
    host starts, which is how that process is found again."""

    directory: Path

    @property
    def home(self) -> Path:
        return self.directory / "home"

    def environment(self, **more: str) -> dict[str, str]:
        home = self.home
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "TMPDIR": str(home / "tmp"),
            "XDG_CACHE_HOME": str(home / ".cache"),
            "XDG_CONFIG_HOME": str(home / ".config"),
            "XDG_DATA_HOME": str(home / ".local/share"),
            "XDG_STATE_HOME": str(home / ".local/state"),
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
            **QUIET,
            **more,
        }

    def write(self, path: str, text: str) -> Path:
        file = self.home / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    @contextmanager
    def started(self, command: list[str], **env: str) -> Iterator[subprocess.Popen]:
        """The host as a process with pipes, in a process group that ends with this block."""
        (self.home / "tmp").mkdir(parents=True, exist_ok=True)
        with (self.directory / "stderr").open("ab") as stderr:
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                cwd=self.home,
                env=self.environment(**env),
                start_new_session=True,
            )
        try:
            yield process
        finally:
            kill_group(process)
            process.wait()
            process.stdin.close()
            process.stdout.close()

    def run(self, command: list[str], limit: float, **env: str) -> Ended:
        begin = time.monotonic()
        with self.started(command, **env) as process:
            try:
                stdout, _ = process.communicate(timeout=limit)
            except subprocess.TimeoutExpired:
                raise TimeLimit(f"{Path(command[0]).name} did not end within {limit:.0f} s") from None
        return Ended(
            stdout=stdout.decode(errors="replace"),
            stderr=self.stderr(),
            status=process.returncode,
            seconds=time.monotonic() - begin,
        )

    def stderr(self) -> str:
        return (self.directory / "stderr").read_text(errors="replace")

    def survivors(self) -> list[str]:
        """Kills what the host has left running, and says what that was."""
        deadline = time.monotonic() + SECONDS_TO_END
        while (left := self._processes()) and time.monotonic() < deadline:
            time.sleep(0.1)
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        return list(left.values())

    def _processes(self) -> dict[int, str]:
        listed = subprocess.run(
            ["ps", "-axww", "-o", "pid=,command="], capture_output=True, text=True, check=True
        )
        rows = (line.split(None, 1) for line in listed.stdout.splitlines())
        return {
            int(row[0]): row[1]
            for row in rows
            if len(row) == 2 and str(self.directory) in row[1] and int(row[0]) != os.getpid()
        }


def kill_group(process: subprocess.Popen) -> None:
    """Kills the process and all that it has started, except what has left its group."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
