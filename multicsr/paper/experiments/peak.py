"""The most memory a command holds: `python -m multicsr.paper.experiments.peak FILE COMMAND...` writes its bytes to FILE.

A process of its own, and a small one: until a child becomes another program it is charged with the memory of the process
that started it, so one started by a process with a model in memory would seem to hold a model.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path


def main() -> int:
    """Run the command with this process's streams; its exit code, or 128 and the signal that ended it."""
    file, *command = sys.argv[1:]
    process = subprocess.Popen(command)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the command hears it too, and its end is waited for
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    unit = 1 if sys.platform == "darwin" else 1024
    Path(file).write_text(str(used.ru_maxrss * unit), encoding="utf-8")
    return process.returncode if process.returncode >= 0 else 128 - process.returncode


if __name__ == "__main__":
    sys.exit(main())
