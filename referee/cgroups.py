"""Control groups: what bounds memory, processes and processor time of a session as a whole.

A group needs a folder of the kernel's that this user may write: root has one, and an ordinary user
where the system delegates one. Both versions of control groups are known. Where there is none,
`find` says so, and limits hold for each process by itself (`resource.setrlimit`).
"""

import errno
import os
import secrets
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

PREFIX = "referee"
PERIOD = 100_000
NEEDED = ("memory", "pids")
SECONDS_TO_EMPTY = 1.0


@dataclass(frozen=True)
class Place:
    """Folders in which groups may be made, by controller; version 2 has one for all."""

    version: int
    folders: dict[str, Path]


@dataclass(frozen=True)
class Group:
    """A group of its own: one folder in version 2, one a controller in version 1."""

    version: int
    folders: dict[str, Path]

    def limit(self, memory, processes):
        """Bound memory in bytes, the number of processes and threads, and take one processor."""
        if self.version == 2:
            values = [("memory", "memory.max", memory), ("memory", "memory.swap.max", 0)]
            values += [("cpu", "cpu.max", f"{PERIOD} {PERIOD}")]
        else:
            values = [("memory", "memory.limit_in_bytes", memory)]
            values += [("memory", "memory.memsw.limit_in_bytes", memory)]
            values += [("cpu", "cpu.cfs_period_us", PERIOD), ("cpu", "cpu.cfs_quota_us", PERIOD)]
        for controller, name, value in [*values, ("pids", "pids.max", processes)]:
            path = self.folders.get(controller, Path()) / name
            # Absent: swap accounting, and the controller of processors.
            if controller in self.folders and path.exists():
                path.write_text(str(value))

    def add(self, process):
        """Move a process into the group; what it starts later is born there."""
        for folder in {*self.folders.values()}:
            (folder / "cgroup.procs").write_text(str(process))

    def out_of_memory(self):
        """Return how often the kernel ended a process of the group for want of memory.

        0 where the group is gone: somebody else removed it when it was empty.
        """
        name = "memory.events" if self.version == 2 else "memory.oom_control"
        try:
            lines = (self.folders["memory"] / name).read_text().splitlines()
        except OSError:
            return 0
        return next((int(x.split()[1]) for x in lines if x.startswith("oom_kill ")), 0)

    def remove(self):
        """Remove the group, whose processes must have been ended."""
        for folder in {*self.folders.values()}:
            _remove(folder)


def find():
    """Return the place where this process may make groups that bound memory and processes.

    None where there is no such place. A group is made and taken away again to know.
    """
    for place in _candidates():
        _sweep(place)
        try:
            group = make(place)
        except OSError:
            continue
        process = subprocess.Popen(["sleep", "60"], stdin=subprocess.DEVNULL)
        try:
            group.limit(2**30, 16)
            group.add(process.pid)
        except OSError:
            continue
        finally:
            process.kill()
            process.wait()
            group.remove()
        return place
    return None


def make(place):
    """Make an empty group. Its name says whose it is, for `sweep`.

    Raises
    ------
    OSError
        If the kernel does not allow it, or the group would bound nothing.
    """
    name = f"{_own_prefix()}{os.getpid()}-{secrets.token_hex(8)}"
    folders = {controller: folder / name for controller, folder in place.folders.items()}
    group = Group(place.version, folders)
    try:
        for folder in {*folders.values()}:
            folder.mkdir()
        file = "memory.max" if place.version == 2 else "memory.limit_in_bytes"
        for path in (folders["memory"] / file, folders["pids"] / "pids.max"):
            if not path.exists():
                raise OSError(f"{path} is absent")
    except OSError:
        group.remove()
        raise
    return group


def sweep():
    """Remove the groups of processes that are gone: a killed one cannot do it itself."""
    for place in _candidates():
        _sweep(place)


def _sweep(place):
    for folder in {*place.folders.values()}:
        for path in folder.glob(f"{_own_prefix()}*-*"):
            process = path.name.split("-")[2]
            if not Path("/proc", process).exists():
                _remove(path)


def _own_prefix():
    """Return how the names of groups begin whose makers this process can see in `/proc`."""
    return f"{PREFIX}-{os.stat('/proc/self/ns/pid').st_ino}-"


def _remove(folder):
    """Remove a group; wait a moment for processes that are ending."""
    end = time.monotonic() + SECONDS_TO_EMPTY
    while True:
        try:
            folder.rmdir()
        except OSError as error:
            if error.errno == errno.EBUSY and time.monotonic() < end:
                time.sleep(0.01)
                continue
        return


def _candidates():
    """Yield the places to try: this process's own groups first, then those above them."""
    mounts, unified = _mounts()
    own = {}
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            own[controller] = path.lstrip("/")
    if unified is not None and "" in own:
        folder = unified / own[""]
        while folder.is_relative_to(unified):
            yield Place(2, dict.fromkeys((*NEEDED, "cpu"), folder))
            folder = folder.parent
    if all(name in mounts for name in NEEDED):
        # A container may see the top of its own groups only.
        for path in (own, {}):
            yield Place(1, {name: mount / path.get(name, "") for name, mount in mounts.items()})


def _mounts():
    """Return the folder of each controller of version 1, and the folder of version 2 or None."""
    mounts, unified = {}, None
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, folder, kind, options, *_ = line.split()
        if kind == "cgroup2":
            unified = Path(folder)
        elif kind == "cgroup":
            names = {*options.split(",")} & {*NEEDED, "cpu"}
            mounts.update(dict.fromkeys(names, Path(folder)))
    return mounts, unified
