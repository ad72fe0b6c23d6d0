"""A real terminal, by tmux, for every suite that looks at a screen of text."""

from __future__ import annotations

import subprocess
import time
import uuid
from collections.abc import Mapping


class Terminal:
    """Runs a line of shell in a terminal of this size."""

    def __init__(self, line: str, env: Mapping[str, str], columns: int, rows: int) -> None:
        self.env = env
        # One server each: one that is ending refuses new sessions.
        self.tmux = ["tmux", "-L", f"corewise-{uuid.uuid4().hex[:12]}", "-f", "/dev/null"]
        size = ["-x", str(columns), "-y", str(rows)]
        self._run("new-session", "-d", *size, "sh", "-c", f"{line}; sleep 100", check=True)

    def _run(self, *words: str, check: bool = False) -> str:
        done = subprocess.run(
            [*self.tmux, *words], env=self.env, capture_output=True, text=True, check=check
        )
        return done.stdout

    def keys(self, *keys: str) -> None:
        self._run("send-keys", *keys, check=True)

    def resize(self, columns: int, rows: int) -> None:
        self._run("resize-window", "-x", str(columns), "-y", str(rows), check=True)

    def screen(self, *, escapes: bool = False) -> str:
        return self._run("capture-pane", "-p", *(["-e"] if escapes else []))

    def wait(self, *words: str, escapes: bool = False) -> str:
        """The screen once it holds all these words."""
        for _ in range(600):
            seen = self.screen(escapes=escapes)
            if all(word in seen for word in words):
                return seen
            time.sleep(0.05)
        raise AssertionError(f"{words} never came:\n{seen}")

    def close(self) -> None:
        self._run("kill-server")
