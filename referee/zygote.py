"""The first process inside the jail: it has the packages loaded and forks for each session.

`referee.sandbox` starts it and talks to it over one socket, in JSON, a message each way in turn.
It runs no student's code and reads nothing that a student wrote. For a session it forks a keeper
into new namespaces of its own: processes, files, messages between processes, network. The keeper
mounts empty folders, gives up every right, takes the seccomp filter, and forks the student's
process, which serves the judge. The keeper is process 1 of its namespace, so when it ends, the
kernel ends all that the student left running and drops all that was written.

Nothing here but the standard library and `referee.seccomp` is imported before the packages are.
"""

import array
import contextlib
import ctypes
import gc
import importlib
import json
import os
import resource
import shutil
import signal
import site
import socket
import sys
from pathlib import Path

from referee.seccomp import install

SCRATCH = "/scratch"
FOLDERS = (SCRATCH, "/tmp", "/dev/shm")
MESSAGE = 2**17
DESCRIPTORS = 3

NEW_FILES, NEW_IPC, NEW_PROCESSES, NEW_NETWORK = 0x00020000, 0x08000000, 0x20000000, 0x40000000
RECURSIVE, PRIVATE, NO_SETUID, NO_DEVICES = 0x4000, 0x40000, 2, 4
SET_DEATH_SIGNAL, SET_DUMPABLE, SET_SUBREAPER, SET_NO_NEW_PRIVILEGES, AMBIENT = 1, 4, 36, 38, 47
CLEAR_ALL = 4
CAPABILITY_VERSION = 0x20080522
MOST_INODES = 20_000
MOST_ROUNDS = 100

_libc = ctypes.CDLL(None, use_errno=True)


def _call(name, *arguments):
    """Call the C library; raise OSError where it fails."""
    if getattr(_libc, name)(*arguments) != 0:
        raise OSError(ctypes.get_errno(), f"{name}: {os.strerror(ctypes.get_errno())}")


def receive(control):
    """Return a message and the descriptors that came with it; None at the end."""
    space = socket.CMSG_SPACE(DESCRIPTORS * array.array("i").itemsize)
    data, extra, _, _ = control.recvmsg(MESSAGE, space, socket.MSG_CMSG_CLOEXEC)
    numbers = array.array("i")
    for level, kind, content in extra:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            numbers.frombytes(content[: len(content) // numbers.itemsize * numbers.itemsize])
    return (json.loads(data) if data else None), list(numbers)


def start(descriptor):
    """Serve the trusted side, at the other end of a socket, until it closes it."""
    control = socket.socket(fileno=descriptor)
    control.set_inheritable(False)
    setup, _ = receive(control)
    try:
        serve = _load(setup)
    except (Exception, SystemExit) as error:
        control.send(json.dumps({"error": f"{type(error).__name__}: {error}"[:2000]}).encode())
        return
    control.send(b'{"ready": true}')
    try:
        _Zygote(control, serve, setup).run()
    finally:
        if not setup["jailed"]:
            shutil.rmtree(setup["folder"], ignore_errors=True)


def _load(setup):
    """Import the packages, prepare what runs cells; return the function that serves a session."""
    sys.path += setup["path"]
    site.setquit()
    site.sethelper()
    site.setcopyright()
    for name in setup["packages"]:
        importlib.import_module(name)
    module, _, name = setup["serve"].partition(":")
    served = importlib.import_module(module)
    function = getattr(served, name)
    if hasattr(served, "prepare"):
        served.prepare()
    wire = importlib.import_module("referee.wire")
    # Pages that the collector never touches stay shared with every student's process.
    gc.collect()
    gc.freeze()
    return lambda connection, output: function(wire.Channel(connection), output)


class _Zygote:
    def __init__(self, control, serve, setup):
        self.control = control
        self.serve = serve
        self.jailed = setup["jailed"]
        self.folders = setup["path"]
        self.without = frozenset(setup["without"])
        self.keepers = {}
        self.home = os.pidfd_open(os.getpid())

    def run(self):
        _call("prctl", SET_DUMPABLE, 0, 0, 0, 0)
        if not self.jailed:
            _call("prctl", SET_SUBREAPER, 1, 0, 0, 0)
        while True:
            message, descriptors = receive(self.control)
            if message is None:
                break
            try:
                reply = self.answer(message, descriptors)
            except (OSError, KeyError) as error:
                reply = {"error": repr(error)}
            for descriptor in descriptors:
                os.close(descriptor)
            with contextlib.suppress(BrokenPipeError):
                self.control.send(json.dumps(reply).encode())
        for number in [*self.keepers]:
            self.end(number)

    def answer(self, message, descriptors):
        if "end" in message:
            self.end(message["end"])
        else:
            self.start(message, descriptors)
        return {}

    def start(self, message, descriptors):
        """Fork a keeper, in a new namespace of processes."""
        apart = self.jailed and "processes" not in self.without
        if apart:
            _call("unshare", NEW_PROCESSES)
        try:
            keeper = os.fork()
            if keeper == 0:
                code = 1
                try:
                    _Keeper(self, message, *descriptors).run()
                    code = 0
                except Exception as error:
                    os.write(descriptors[1], f"failed: {error}".encode())
                finally:
                    os._exit(code)
            self.keepers[message["start"]] = keeper, message["scratch"]
        finally:
            if apart:
                _call("setns", self.home, NEW_PROCESSES)

    def end(self, number):
        """End a session with all its processes, and wait until they are gone."""
        keeper, scratch = self.keepers.pop(number)
        os.kill(keeper, signal.SIGKILL)
        os.waitpid(keeper, 0)
        if not self.jailed:
            self.end_orphans()
            shutil.rmtree(scratch, ignore_errors=True)

    def end_orphans(self):
        """End what a session left to this process, where there is no namespace that ends it.

        What forks faster than it is ended is left after some rounds.
        """
        kept = {keeper for keeper, _ in self.keepers.values()}
        children = Path(f"/proc/self/task/{os.getpid()}/children")
        for _ in range(MOST_ROUNDS):
            orphans = {int(number) for number in children.read_text().split()} - kept
            if not orphans:
                return
            for process in orphans:
                os.kill(process, signal.SIGKILL)
            for process in orphans:
                os.waitpid(process, 0)


class _Keeper:
    """The parent of a student's process."""

    def __init__(self, zygote, task, channel, report, files):
        self.zygote = zygote
        self.task = task
        self.channel = channel
        self.report = report
        self.files = files

    def run(self):
        without = self.zygote.without
        self.zygote.control.close()
        os.close(self.zygote.home)
        os.setsid()
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if self.zygote.jailed:
            self.enter(without)
        _call("prctl", SET_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
        _call("prctl", SET_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
        _call("prctl", SET_DUMPABLE, 0, 0, 0, 0)
        os.chdir(self.task["scratch"])
        os.umask(0o022)
        for path in (os.__file__, *self.zygote.folders):
            if not os.access(path, os.R_OK):
                raise OSError(f"{path} is closed to other users; chmod -R a+rX opens it")
        self.unpack()
        if self.task["filter"]:
            install(bytes.fromhex(self.task["filter"]))
        os.write(self.report, b"ready")
        if os.read(self.report, 1) != b"g":
            return
        student = os.fork()
        if student == 0:
            code = 1
            try:
                self.run_student(without)
                code = 0
            finally:
                os._exit(code)
        os.close(self.channel)
        ended = 0
        while ended != student:
            ended, status = os.wait()
        os.write(self.report, str(status).encode())

    def enter(self, without):
        """Take empty folders and namespaces, then become an ordinary user without any rights."""
        user = self.task["user"]
        fresh = {"folders": NEW_FILES, "ipc": NEW_IPC, "network": NEW_NETWORK}
        _call("unshare", sum(flag for name, flag in fresh.items() if name not in without))
        if "folders" not in without:
            _call("mount", b"none", b"/", None, RECURSIVE | PRIVATE, None)
            for folder, size in self.task["folders"].items():
                options = f"size={size},nr_inodes={MOST_INODES},mode=755,uid={user},gid={user}"
                flags = NO_SETUID | NO_DEVICES
                _call("mount", b"tmpfs", folder.encode(), b"tmpfs", flags, options.encode())
        if "capabilities" in without:
            return
        if os.getuid() == 0:
            os.setgroups([])
            os.setresgid(user, user, user)
            os.setresuid(user, user, user)
        _call("prctl", AMBIENT, CLEAR_ALL, 0, 0, 0)
        header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION, 0)
        _call("capset", header, (ctypes.c_uint32 * 6)())

    def unpack(self):
        """Write the session's files into the scratch folder; a list of them comes first."""
        offset = self.task["list"]
        for name, size in json.loads(os.pread(self.files, offset, 0)):
            path = Path(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                while size:
                    count = os.sendfile(file.fileno(), self.files, offset, size)
                    if count == 0:
                        raise OSError(f"{name} has come incomplete")
                    offset, size = offset + count, size - count
        os.close(self.files)

    def run_student(self, without):
        signal.signal(signal.SIGINT, signal.default_int_handler)
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(null, descriptor)
        channel = socket.socket(fileno=self.channel)
        if "descriptors" not in without:
            os.close(null)
            os.close(self.report)
        if "limits" not in without:
            for name, value in self.task["limits"].items():
                resource.setrlimit(getattr(resource, name), (value, value))
        self.zygote.serve(channel, self.task["output"])
