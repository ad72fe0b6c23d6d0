"""Programs started by `corewise run --report=json`, each in a group of its own; what it said."""

import itertools
import json
import os
import subprocess
from pathlib import Path

from conftest import CLEAN

_numbers = itertools.count()


class Governed:
    """What the program printed, how it ended, and the report."""

    def __init__(self, program, *words, budget=None, env=None, text=False, **options):
        group = f"test-{os.getpid()}-{next(_numbers)}"
        chosen = ["--budget", str(budget)] if budget else []
        command = [program, "run", "-q", "--group", group, *chosen, "--report=json", "--", *words]
        options.setdefault("timeout", 300)
        done = subprocess.run(
            command, env=CLEAN | (env or {}), capture_output=True, text=True, **options
        )
        self.code, self.out = done.returncode, done.stdout
        *self.err, last = done.stderr.splitlines() or [""]
        self.report = json.loads(last) if last.startswith("{") else None
        for process in self.processes:
            if path := process.get("ledger", {}).get("path"):
                Path(path).unlink(missing_ok=True)

    @property
    def processes(self):
        return self.report["processes"] if self.report else []

    def asked(self):
        """Of every process that asked for threads: regions and calls."""
        counts = [p["regions"] + p["calls"] for p in self.processes]
        return [count for count in counts if count]
