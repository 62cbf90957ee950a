"""Students' processes without a jail, for tests of what talks to them."""

import faulthandler
import os
import signal
import socket
import sys
import time

import torch

from referee import shell
from referee.wire import Channel

torch.set_num_threads(1)  # a fork after torch has used two threads hangs


class ForkedSession:
    """A child of the test that runs `serve` at its end of a socket pair."""

    def __init__(self, serve=shell.serve):
        here, there = socket.socketpair()
        sys.stdout.flush()
        self.process = os.fork()
        if self.process == 0:
            faulthandler.disable()  # or a crash that a test asks for is told on its output
            try:
                here.close()
                serve(Channel(there))
            finally:
                os._exit(0)
        there.close()
        self.channel = Channel(here)

    def ending(self):
        end = time.monotonic() + 0.5
        while time.monotonic() < end:
            process, status = os.waitpid(self.process, os.WNOHANG)
            if process:
                self.process = None
                if os.WIFSIGNALED(status):
                    return f"crashed: {signal.Signals(os.WTERMSIG(status)).name}"
                return f"ended itself with code {os.WEXITSTATUS(status)}"
            time.sleep(0.01)
        return "no answer in time"

    def close(self):
        self.channel.close()
        if self.process is not None:
            os.kill(self.process, signal.SIGKILL)
            os.waitpid(self.process, 0)
            self.process = None
