"""``python -m facealign.pipeline.bench_worker``: the process that measures one candidate."""

from __future__ import annotations

import os
import signal
import sys

from facealign.bench.worker import serve
from facealign.pipeline.bench_subject import open_subject

__all__ = ["main"]


def main() -> None:
    """Obey stdin, answer on stdout."""
    # Ctrl-C reaches the whole group; the parent ends its children, and says so once.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with os.fdopen(os.dup(sys.stdout.fileno()), "wb") as replies:
        # Whatever a library prints must not get between the answers.
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        serve(open_subject, sys.stdin.buffer, replies)


if __name__ == "__main__":
    main()
