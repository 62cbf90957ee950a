"""What the jail is made of: bubblewrap's command line, the files inside, what the machine can do.

Inside are Python, the folders of installed packages, the few packages that were named and lie
elsewhere, referee itself and the system's programs and libraries: all read-only, none of the
course or of a home. Of `/etc`, `/proc` and `/sys` there are the few tables of `SYSTEM`, no more.
"""

import contextlib
import importlib.util
import os
import platform
import re
import shutil
import site
import subprocess
import sys
import sysconfig
from dataclasses import dataclass, field
from pathlib import Path

from referee import cgroups
from referee.seccomp import ARCHITECTURES
from referee.zygote import FOLDERS

REFEREE = Path(__file__).resolve().parent
PLACE_OF_REFEREE, PLACE_OF_PACKAGES = "/referee", "/packages"
SYSTEM = (
    *("/usr/bin", "/usr/lib", "/usr/lib64", "/usr/share/zoneinfo", "/etc/alternatives"),
    *("/etc/ld.so.cache", "/proc/cpuinfo", "/proc/meminfo", "/sys/devices/system/cpu"),
)
DEVICES = ("/dev/full", "/dev/null", "/dev/random", "/dev/urandom", "/dev/zero")
SYSTEM_LINKS = ("/bin", "/lib", "/lib64")
ENVIRONMENT = {
    **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"),
    **{"HOME": "/tmp", "IPYTHONDIR": "/tmp/ipython", "MPLCONFIGDIR": "/tmp/matplotlib"},
    **{"LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "MPLBACKEND": "agg", "PATH": "/usr/bin:/bin"},
    **{"PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0", "TERM": "dumb", "USER": "student"},
}
USER_INSIDE = 1000
ENOUGH_USERS = 65_536
RIGHTS_OF_ROOT = {"CAP_KILL": 5, "CAP_SETGID": 6, "CAP_SETUID": 7, "CAP_SYS_ADMIN": 21}

OLDEST_BWRAP = (0, 5)
OLDEST_LINUX = (5, 8)
COUNTS_PER_NAMESPACE = (5, 14)
INSTALL = "apt install bubblewrap (Debian, Ubuntu) or dnf install bubblewrap (Fedora)"
SECONDS_TO_PROBE = 10


@dataclass(frozen=True)
class Runtime:
    """What a warm process needs: `binds` from folders here to places inside, and Python's path."""

    binds: dict[str, str]
    path: list[str]
    referee: str
    python: list[str]


def runtime(packages, jailed=True):
    """Return what a warm process needs to import the packages.

    Raises
    ------
    ValueError
        If a package is not installed.
    """
    installed = [Path(folder) for folder in site.getsitepackages()]
    if site.ENABLE_USER_SITE:
        installed.append(Path(site.getusersitepackages()))
    installed = [folder for folder in installed if folder.is_dir()]
    binds = system_binds()
    for folder in _python_folders():
        if not any(folder.is_relative_to(bound) for bound in binds):
            binds[str(folder)] = str(folder)
    places = {}
    for number, folder in enumerate(installed):
        places[str(folder)] = f"{PLACE_OF_PACKAGES}/{number}"
    own = f"{PLACE_OF_PACKAGES}/own"
    known = [*map(Path, binds), *installed, Path(sysconfig.get_path("stdlib"))]
    elsewhere = set()
    for location in _locations(packages):
        if not any(location.is_relative_to(folder) for folder in known):
            places[str(location)] = f"{own}/{location.name}"
            elsewhere.add(str(location.parent))
    binds |= places | {str(REFEREE): f"{PLACE_OF_REFEREE}/referee"}
    python = [str(Path(sys.executable).resolve()), "-s", "-P", "-S", "-B", "-c"]
    if not jailed:
        path = [*map(str, installed), *sorted(elsewhere)]
        return Runtime({}, path, str(REFEREE.parent), python)
    path = [places[str(folder)] for folder in installed] + [own] * bool(elsewhere)
    return Runtime(binds, path, PLACE_OF_REFEREE, python)


def _python_folders():
    """Return the folders of the Python that this one is, or that its environment is made from."""
    base = Path(sys.base_prefix).resolve()
    folders = [base / "bin", base / "lib", base / "lib64"]
    folders += [Path(sysconfig.get_path("stdlib")).resolve()]
    return [folder for folder in folders if folder.is_dir() and not folder.is_symlink()]


def _locations(packages):
    """Yield the folder, or the file, of each package."""
    for package in packages:
        spec = importlib.util.find_spec(package.partition(".")[0])
        if spec is None:
            raise ValueError(f"packages must be names of installed packages, not {package!r}")
        if spec.submodule_search_locations:
            yield from (Path(folder).resolve() for folder in spec.submodule_search_locations)
        elif spec.has_location:
            yield Path(spec.origin).resolve()


def arguments(binds, without=frozenset()):
    """Return bubblewrap's arguments for a jail that holds the files, up to the command."""
    options = ["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]
    options += [] if "network" in without else ["--unshare-net"]
    options += ["--as-pid-1", "--die-with-parent", "--new-session", "--cap-drop", "ALL"]
    rights = RIGHTS_OF_ROOT
    if not is_root():
        rights = ("CAP_SYS_ADMIN",)
        options += ["--unshare-user", "--uid", str(USER_INSIDE), "--gid", str(USER_INSIDE)]
    options += [word for right in rights for word in ("--cap-add", right)]
    if "environment" not in without:
        options += ["--clearenv"]
    options += [word for pair in ENVIRONMENT.items() for word in ("--setenv", *pair)]
    if "files" in without:
        kept = ("bin", "dev", "lib", "lib64", "proc", "sys", "tmp", "usr")
        folders = [path for path in Path("/").iterdir() if path.is_dir() and path.name not in kept]
        # Binding a folder that others cannot enter would shut them out of Python inside it.
        folders = [path for path in folders if path.stat().st_mode & 0o001]
        options += [word for path in folders for word in ("--bind", str(path), str(path))]
    # bubblewrap makes missing parents for root alone.
    parents = {
        str(parent) for place in [*binds.values(), *DEVICES] for parent in Path(place).parents
    }
    for parent in sorted(parents - {"/"}):
        options += ["--perms", "0755", "--dir", parent]
    for source, place in binds.items():
        options += ["--bind" if "read-only" in without else "--ro-bind", source, place]
    for link in SYSTEM_LINKS:
        if Path(link).is_symlink():
            options += ["--symlink", os.readlink(link), link]
        elif Path(link).exists():
            options += ["--ro-bind", link, link]
    for device in DEVICES:
        options += ["--dev-bind", device, device]
    for folder in FOLDERS:
        options += ["--perms", "1777", "--tmpfs", folder]
    if "read-only" not in without:
        options += ["--remount-ro", "/"]
    return options


@dataclass
class Capabilities:
    """What this machine can jail with. `problems`: what is missing, and how to mend it."""

    bwrap: str = ""
    root: bool = False
    namespaces: bool = False
    seccomp: bool = False
    cgroup: int = 0
    problems: list[tuple[str, str]] = field(default_factory=list)

    @property
    def can_jail(self):
        return self.namespaces and self.seccomp and not self.problems


def capabilities():
    """Look at what this machine can jail with; nothing stays changed."""
    found = Capabilities(root=is_root())
    place = cgroups.find()
    found.cgroup = place.version if place else 0
    if platform.machine() not in ARCHITECTURES:
        what = f"no filter of system calls is known for {platform.machine()}"
        found.problems.append((what, f"grade on {' or '.join(ARCHITECTURES)}"))
    elif not Path("/proc/sys/kernel/seccomp/actions_avail").exists():
        what = "the kernel has no filter of system calls (seccomp)"
        found.problems.append((what, "use a kernel with CONFIG_SECCOMP_FILTER"))
    else:
        found.seccomp = True
    if _release() < OLDEST_LINUX:
        what = "the kernel is Linux {}.{}, and {}.{} is needed".format(*_release(), *OLDEST_LINUX)
        found.problems.append((what, "use a newer system"))
        return found
    program = shutil.which("bwrap")
    if program is None:
        found.problems.append(("bubblewrap is not installed", INSTALL))
        return found
    version = _run(program, "--version")
    found.bwrap = next(reversed(version.stdout.split()), "")
    if not found.bwrap:
        found.problems.append((f"{program} does not work: {version.stderr.strip()}", INSTALL))
        return found
    if tuple(map(int, re.findall(r"\d+", found.bwrap)[:2])) < OLDEST_BWRAP:
        oldest = ".".join(map(str, OLDEST_BWRAP))
        what = f"bubblewrap {found.bwrap} is older than {oldest}"
        found.problems.append((what, "install a newer one"))
        return found
    done = _run(program, *arguments(system_binds()), "--", shutil.which("true"))
    found.namespaces = done.returncode == 0
    if not found.namespaces:
        found.problems.append(explain(done.stderr.strip()))
    return found


def explain(message):
    """Return what bubblewrap's message means on this machine, and how to mend it."""
    said = f" (bubblewrap says: {message[-300:]})" if message else ""
    if _setting("kernel/apparmor_restrict_unprivileged_userns") == "1" and os.geteuid() != 0:
        what = "AppArmor forbids user namespaces to ordinary users, as Ubuntu does since 23.10"
        how = (
            "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, or an AppArmor "
            "profile for /usr/bin/bwrap that allows `userns`"
        )
    elif _setting("kernel/unprivileged_userns_clone") == "0" and os.geteuid() != 0:
        what = "the kernel forbids user namespaces to ordinary users, as older Debian does"
        how = "sudo sysctl -w kernel.unprivileged_userns_clone=1"
    elif _setting("user/max_user_namespaces") == "0" and not is_root():
        what = "user namespaces are switched off"
        how = "sudo sysctl -w user.max_user_namespaces=10000"
    elif _status("Seccomp") == "2" or (os.geteuid() == 0 and not is_root()):
        what = "this container was started without the right to make namespaces"
        how = (
            "start it with --privileged, or with --cap-add SYS_ADMIN and "
            "--security-opt seccomp=unconfined --security-opt apparmor=unconfined"
        )
    else:
        what = "bubblewrap cannot make a jail here"
        how = "run the command `bwrap --unshare-all --ro-bind / / true`, and see what it says"
    return what + said, how


def system_binds():
    """Return the system's own files that the jail holds."""
    return {path: path for path in SYSTEM if Path(path).exists()}


def is_root():
    """Whether this process may make a jail with root's rights and change its user in it."""
    held = int(_status("CapEff") or "0", 16)
    rights = all(held >> bit & 1 for bit in RIGHTS_OF_ROOT.values())
    return os.geteuid() == 0 and rights and users()[1] >= ENOUGH_USERS


def users():
    """Return the first of the highest users that there are in this user namespace, and how many."""
    *_, last = Path("/proc/self/uid_map").read_text().splitlines()
    first, _, count = map(int, last.split())
    return first, count


def counts_all_processes():
    """Whether a limit on processes counts all of this user's, not those of the jail alone."""
    return not is_root() and _release() < COUNTS_PER_NAMESPACE


def count_processes():
    """Return how many processes and threads this user has."""
    user, count = os.getuid(), 0
    for path in Path("/proc").glob("[0-9]*/task"):
        with contextlib.suppress(OSError):
            count += len(os.listdir(path)) if path.stat().st_uid == user else 0
    return count


def _release():
    return tuple(map(int, re.findall(r"\d+", platform.release())[:2]))


def _status(name):
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return line.split()[1]
    return ""


def _setting(name):
    path = Path("/proc/sys", name)
    return path.read_text().strip() if path.exists() else ""


def _run(*command):
    try:
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=SECONDS_TO_PROBE,
        )
    except subprocess.TimeoutExpired:
        said = f"no answer after {SECONDS_TO_PROBE} s"
        return subprocess.CompletedProcess(command, 1, "", said)
