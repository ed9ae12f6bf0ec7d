"""Ctrl-C that works while a kernel runs.

Python looks at signals between two instructions of the main thread only, and a kernel over a large automaton may be a
single instruction for many seconds. So a thread waits for the signal as well, and ends the process if Python itself
hasn't got round to it after a moment.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time

GRACE = 1.0  # seconds
CODE = 130


def watch() -> threading.Event:
    """Start watching, from the main thread. Setting the event says that the interrupt has been dealt with."""
    dealt_with = threading.Event()
    inside, outside = socket.socketpair()
    outside.setblocking(False)
    signal.set_wakeup_fd(outside.fileno(), warn_on_full_buffer=False)

    def wait() -> None:
        keep_open = outside  # as long as this thread lives
        while signal.SIGINT not in inside.recv(64):
            pass
        time.sleep(GRACE)
        if not dealt_with.is_set():
            restore = "\x1b[?25h\n" if sys.stderr.isatty() else ""  # the live picture hides the cursor
            os.write(2, f"{restore}dgemma: interrupted\n".encode())
            os._exit(CODE)
        del keep_open

    threading.Thread(target=wait, daemon=True).start()
    return dealt_with
