"""The jail in which students' code runs, seen from outside.

A `Sandbox` is one jail with a warm process in it (`referee.zygote`), a `Session` one student's
process, forked from it. bubblewrap makes the jail: a file system of its own, which holds Python
and the packages, read-only, and no network. Each session gets namespaces, empty folders and limits
of its own on top, and leaves nothing: `referee/SECURITY.md` lists what is forbidden by what.

As root, the jail is made with root's rights and the student's code runs as a user that does not
exist. As an ordinary user, it is made in a user namespace.
"""

import itertools
import json
import os
import select
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import warnings
from dataclasses import dataclass, fields
from pathlib import Path, PurePosixPath

from referee import cgroups, jail, wire
from referee.jail import Capabilities, capabilities
from referee.seccomp import build_filter
from referee.zygote import FOLDERS, MESSAGE, MOST_INODES, SCRATCH

__all__ = ["CannotJail", "Capabilities", "Limits", "Sandbox", "Session", "capabilities"]

SECONDS_TO_START = 120.0
SECONDS_TO_FORK = 30.0
SECONDS_TO_REPORT, SECONDS_AFTER_HANGING_UP = 0.5, 5.0
SECONDS_TO_END = 2.0
PROCESSOR_SECONDS = 3600
OPEN_FILES = 512
OWN_PROCESSES = 2
MOST_FILES = MOST_INODES // 2
FIRST_FREE_USER = 2_000_000_000
BROKEN = (ConnectionError, TimeoutError, RuntimeError)
CREDENTIALS = struct.Struct("3i")
BOOT = "import sys; sys.path.append({!r}); from referee.zygote import start; start({})"


class CannotJail(RuntimeError):
    """This machine cannot make the jail: says why and how to mend it."""


@dataclass(frozen=True)
class Limits:
    """What one student's process may use.

    `seconds`: wall time of one cell or one call, kept by who waits for the answer; `memory`,
    `file_size` and `output` in bytes; `processes` counts threads too.
    """

    seconds: float = 30.0
    memory: int = 4 * 2**30
    processes: int = 64
    file_size: int = 64 * 2**20
    output: int = 2**20

    def __post_init__(self):
        for each in fields(self):
            value = getattr(self, each.name)
            kinds = (int, float) if each.name == "seconds" else (int,)
            if type(value) not in kinds or not 0 < value < float("inf"):
                what = "a number" if float in kinds else "a whole number"
                raise ValueError(f"{each.name} must be {what} above 0, and is {value!r}")


class Sandbox:
    """One jail with a warm process. A context manager.

    It belongs to the thread that made it: the kernel ends the jail when that thread ends. If the
    warm process is gone, the next session starts another.

    Parameters
    ----------
    packages : sequence of str
        Packages to import before any student's code runs. What is installed beside them can be
        imported too; a package outside the folders of installed packages only if it is named.
    limits : Limits
    unsafe : bool
        Run without a jail, with this user's rights on this machine's files and network. Limits
        hold all the same.

    Raises
    ------
    CannotJail
        If the machine cannot make the jail and `unsafe` is false.
    ValueError
        If a package is not installed, or cannot be imported in 120 s.
    """

    def __init__(
        self,
        packages=("numpy",),
        limits=None,
        unsafe=False,
        *,
        serve="referee.shell:serve",
        without=(),
    ):
        self.limits = limits or Limits()
        self.unsafe = unsafe
        self._packages = tuple(packages)
        self._serve = serve
        self._without = frozenset(without)
        self._numbers = itertools.count()
        self._groups = []
        self._spare = []
        self._process = None
        self._closed = False
        self._place = None if "cgroup" in self._without else cgroups.find()
        if unsafe:
            warnings.warn(
                "students' code runs without a jail: it can read and change all that you can",
                RuntimeWarning,
                stacklevel=2,
            )
        self._start()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    def session(self, files=None):
        """Fork a student's process, whose working folder holds the files and nothing else.

        Parameters
        ----------
        files : dict of str to bytes
            Contents by relative path.

        Returns
        -------
        Session
        """
        contents = _checked_files(files or {}, 2 * self.limits.file_size)
        if self._closed:
            raise ValueError("session: the sandbox is closed")
        try:
            return self._open(contents)
        except BROKEN:
            return self._open(contents)

    def close(self):
        """End the jail and all that runs in it."""
        self._closed = True
        self._stop()
        for group in self._groups:
            group.remove()
        self._groups.clear()

    def _open(self, contents):
        """Open a session; a warm process that cannot is ended, so that the next has another."""
        if self._process is None:
            self._start()
        try:
            return Session(self, contents)
        except BROKEN:
            self._stop()
            raise

    def _start(self):
        """Start the jail, or raise what hinders it."""
        program = shutil.which("bwrap")
        if program is None and not self.unsafe:
            raise _cannot_jail()
        runtime = jail.runtime(self._packages, not self.unsafe)
        self._outside = {place: folder for folder, place in runtime.binds.items()}
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._control.settimeout(SECONDS_TO_START)
        command = [*runtime.python, BOOT.format(runtime.referee, theirs.fileno())]
        if not self.unsafe:
            arguments = jail.arguments(runtime.binds, self._without)
            command = [program, *arguments, "--", *command]
        environment = dict(os.environ) if "environment" in self._without else {}
        environment |= jail.ENVIRONMENT
        self._folder = None
        if self.unsafe:
            # The warm process removes it, since it outlives a judge that is killed.
            self._folder = tempfile.mkdtemp(prefix="referee-unsafe-")
            environment |= dict.fromkeys(("HOME", "IPYTHONDIR", "MPLCONFIGDIR"), self._folder)
        with tempfile.TemporaryFile() as errors, theirs:
            self._process = subprocess.Popen(
                command,
                cwd="/",
                env=environment,
                pass_fds=[theirs.fileno()],
                start_new_session=self.unsafe,
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
            )
            theirs.close()
            setup = {
                "folder": self._folder,
                "path": runtime.path,
                "packages": self._packages,
                "serve": self._serve,
                "jailed": not self.unsafe,
                "without": sorted(self._without),
            }
            try:
                process = self._ask(setup)
            except BROKEN as error:
                self._stop()
                errors.seek(0)
                said = errors.read(4000).decode(errors="replace").strip()
                raise self._not_started(error, said) from None
        pages = int(Path(f"/proc/{process}/statm").read_text().split()[0])
        self._address_space = pages * os.sysconf("SC_PAGE_SIZE")
        self._user = _free_user(process) if jail.is_root() else jail.USER_INSIDE
        self._control.settimeout(SECONDS_TO_FORK)

    def _not_started(self, error, said):
        """Return the error that tells why there is no warm process: no jail, or its packages."""
        why = str(error)
        if isinstance(error, TimeoutError):
            why = f"not done after {SECONDS_TO_START:g} s"
        elif isinstance(error, ConnectionError):
            if not self.unsafe and (said.startswith("bwrap:") or capabilities().problems):
                return _cannot_jail(said)
            why = "the process that imports them ended" + (f": {said[-300:]}" if said else "")
        return ValueError(f"packages cannot be loaded in the sandbox: {why}")

    def _stop(self):
        """End the warm process, if it runs, and with it all that is in its namespace."""
        if self._process is None:
            return
        self._control.close()
        try:
            self._process.wait(SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _ask(self, message, descriptors=()):
        """Send a message to the warm process, wait until it is done, return its number."""
        socket.send_fds(self._control, [json.dumps(message).encode()], list(descriptors))
        data, process = _receive(self._control)
        error = json.loads(data).get("error")
        if error is not None:
            raise RuntimeError(error)
        return process

    def _group_with(self, process):
        """Put a process into an empty control group; return that, None where there are none."""
        if self._place is None:
            return None
        while self._spare:
            group = self._spare.pop()
            try:
                group.add(process)
                return group
            except OSError:  # somebody else removed it
                self._groups.remove(group)
                group.remove()
        try:
            group = cgroups.make(self._place)
            self._groups.append(group)
            group.limit(self.limits.memory, self.limits.processes + OWN_PROCESSES)
            group.add(process)
        except OSError as error:
            raise RuntimeError(f"a control group cannot be used: {error}") from error
        return group

    def _resource_limits(self):
        """Return the limits of a single process, by the names that `resource` gives them."""
        if "limits" in self._without:
            return {}
        processes = self.limits.processes + OWN_PROCESSES
        if self.unsafe or jail.counts_all_processes():
            processes += jail.count_processes()
        return {
            "RLIMIT_AS": self._address_space + self.limits.memory,
            "RLIMIT_CORE": 0,
            "RLIMIT_CPU": PROCESSOR_SECONDS,
            "RLIMIT_FSIZE": self.limits.file_size,
            "RLIMIT_NOFILE": OPEN_FILES,
            "RLIMIT_NPROC": processes,
        }


class Session:
    """One student's process. `channel` leads to the function that serves it."""

    def __init__(self, sandbox, contents):
        self._sandbox = sandbox
        self._warm = sandbox._process
        self._number = next(sandbox._numbers)
        self._group = None
        self._status = None
        self._closed = False
        ours, theirs = socket.socketpair()
        self._report, keeper = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._report.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._report.settimeout(SECONDS_TO_FORK)
        self.channel = wire.Channel(ours)
        try:
            with theirs, keeper, tempfile.TemporaryFile() as files:
                index = [(name, len(content)) for name, content in contents.items()]
                first = json.dumps(index).encode()
                files.writelines([first, *contents.values()])
                files.flush()
                ends = (theirs.fileno(), keeper.fileno(), files.fileno())
                sandbox._ask(self._task(len(first)), ends)
            self._begin()
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    def _task(self, length):
        sandbox = self._sandbox
        scratch = tempfile.mkdtemp(dir=sandbox._folder) if sandbox.unsafe else SCRATCH
        filtered = not sandbox.unsafe and "seccomp" not in sandbox._without
        return {
            "start": self._number,
            "filter": build_filter().hex() if filtered else "",
            "folders": dict.fromkeys(FOLDERS, 2 * sandbox.limits.file_size),
            "limits": sandbox._resource_limits(),
            "list": length,
            "output": sandbox.limits.output,
            "scratch": scratch,
            "user": sandbox._user,
        }

    def _begin(self):
        """Put the session into a control group, and let it fork the student's process."""
        said, keeper = _receive(self._report)
        if said != b"ready":
            # The folders that it names go by other names out here.
            words = said.decode().split(" ")
            why = " ".join(self._sandbox._outside.get(word, word) for word in words)
            raise RuntimeError(f"the sandbox cannot begin a session: {why}")
        self._group = self._sandbox._group_with(keeper)
        if self._group is not None:
            self._deaths = self._group.out_of_memory()
        self._report.send(b"g")

    def ending(self):
        """Return why the student's process no longer answers, for the student to read."""
        limits = self._sandbox.limits
        if self._status is None:
            self._status = self._read_status()
        if self._group is not None and self._group.out_of_memory() > self._deaths:
            return f"used more than {_size(limits.memory)} of memory"
        if self._status is None and self._hung_up():
            return "closed its connection to the grader"
        if self._status is None:
            return f"no answer after {limits.seconds:g} s"
        if not os.WIFSIGNALED(self._status):
            return f"ended itself with code {os.WEXITSTATUS(self._status)}"
        number = os.WTERMSIG(self._status)
        if number == signal.SIGXCPU:
            return f"used more than {PROCESSOR_SECONDS} s of processor time"
        names = {each.value: each.name for each in signal.Signals}
        return f"the process crashed ({names.get(number, f'signal {number}')})"

    def close(self):
        """End every process of the session, and drop all that it wrote."""
        if self._closed:
            return
        self._closed = True
        self.channel.close()
        self._report.close()
        sandbox = self._sandbox
        if sandbox._process is self._warm:
            try:
                sandbox._ask({"end": self._number})
            except BROKEN:
                sandbox._stop()
        if self._group is not None:
            sandbox._spare.append(self._group)

    def _hung_up(self):
        poll = select.poll()
        poll.register(self.channel.fileno(), select.POLLRDHUP)
        return bool(poll.poll(0))

    def _read_status(self):
        """Return how the student's process ended, as `os.wait` does; None while it runs."""
        seconds = SECONDS_AFTER_HANGING_UP if self._hung_up() else SECONDS_TO_REPORT
        ready, _, _ = select.select([self._report], [], [], seconds)
        if not ready:
            return None
        try:
            said = _receive(self._report)[0]
        except ConnectionError:
            return signal.SIGKILL
        if not said.isdigit():
            raise RuntimeError(f"the sandbox cannot begin a session: {said.decode()}")
        return int(said)


def _receive(connection):
    """Return a message and the number of the process that sent it, as this side counts them."""
    data, extra, _, _ = connection.recvmsg(MESSAGE, socket.CMSG_SPACE(CREDENTIALS.size))
    process = None
    for level, kind, content in extra:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_CREDENTIALS):
            process = CREDENTIALS.unpack(content)[0]
    if not data:
        raise ConnectionResetError("the other side has ended")
    return data, process


def _free_user(process):
    """Return a user that nobody is, another one for each running jail."""
    first, count = jail.users()
    end = first + count - 1
    wanted = FIRST_FREE_USER + process
    return wanted if wanted <= end else end - process % (count // 2)


def _cannot_jail(message=""):
    problems = capabilities().problems or [jail.explain(message)]
    what, how = problems[0]
    return CannotJail(f"this machine cannot jail students' code: {what}. To mend it: {how}")


def _checked_files(files, most_bytes):
    """Return the files, if each has a path inside the folder, and all find room there."""
    for name, content in files.items():
        path = PurePosixPath(name)
        inside = path.parts and not path.is_absolute() and ".." not in path.parts
        if not inside or "\0" in name:
            raise ValueError(f"files must have paths inside the folder, not {name!r}")
        if not isinstance(content, bytes):
            raise ValueError(f"files[{name!r}] must be bytes, and is {type(content).__name__}")
    size = sum(map(len, files.values()))
    if len(files) > MOST_FILES or size > most_bytes:
        raise ValueError(
            f"files must be {MOST_FILES} of {_size(most_bytes)} together at most, "
            f"and are {len(files)} of {_size(size)}"
        )
    return files


def _size(count):
    """Return a number of bytes in words."""
    for unit, name in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if count >= unit:
            return f"{count / unit:g} {name}"
    return f"{count} bytes"
