"""A student's process can do in its jail what it is refused here, and leaves nothing behind.

Each attempt is refused in the jail, and succeeds where the mechanism that stops it is left out.
As root, the file runs a second time as an ordinary user.
"""

import contextlib
import errno
import json
import os
import platform
import shutil
import signal
import site
import socket
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

import pytest

from referee import cgroups, jail, seccomp, wire
from referee.cgroups import PREFIX
from referee.sandbox import CannotJail, Limits, Sandbox, Session
from tests.referee_attempts import ALWAYS_REFUSED, ATTEMPTS, LIBC

ROOT = Path(__file__).resolve().parents[1]
LIMITS = Limits(seconds=2, memory=2**29, processes=24, file_size=2**20)
ARM = platform.machine() == "aarch64"
NUMBERS = {
    "clone": seccomp.CLONE[ARM],
    "mq_open": seccomp.REFUSED["mq_open"][ARM],
    "add_key": seccomp.REFUSED["add_key"][ARM],
}


@pytest.fixture(scope="module", autouse=True)
def jailer(need):
    need("bwrap", "bubblewrap")
    problems = jail.capabilities().problems
    if problems:
        message = f"this machine cannot jail: {problems}"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(message)


def course_file(folder):
    """Return a file of the course; a copy where that lies in /tmp, which a jail hides anyway."""
    file = ROOT / "pyproject.toml"
    return shutil.copy(file, folder) if ROOT.is_relative_to("/tmp") else file


@pytest.fixture(scope="module")
def host():
    """Make what attempts aim at: a gradebook, sockets that listen, a package that all may write."""
    os.environ["REFEREE_SECRET"] = "the judge's own"
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir="/var/tmp")))
        folder.chmod(0o755)
        (folder / "gradebook.db").write_text("grades")
        package = folder / "referee_probe_package"
        package.mkdir()
        (package / "__init__.py").write_text("")
        package.chmod(0o777)
        paths = stack.enter_context(socket.socket(socket.AF_UNIX))
        paths.bind(str(folder / "socket"))
        os.chmod(folder / "socket", 0o777)
        abstract = stack.enter_context(socket.socket(socket.AF_UNIX))
        abstract.bind(f"\0referee-{os.getpid()}")
        internet = stack.enter_context(socket.socket())
        internet.bind(("127.0.0.1", 0))
        for listener in (paths, abstract, internet):
            listener.listen(100)
        stack.callback(sys.path.remove, str(folder))
        sys.path.append(str(folder))
        yield {
            "course": str(course_file(folder)),
            "gradebook": str(folder / "gradebook.db"),
            "socket": str(folder / "socket"),
            "abstract": f"\0referee-{os.getpid()}",
            "port": internet.getsockname()[1],
            "home": str(Path.home()),
            "runtime": os.path.relpath(sys.base_prefix, Path.home()).split("/")[0],
            "folder": folder,
            **NUMBERS,
        }
    del os.environ["REFEREE_SECRET"]


@pytest.fixture(scope="module")
def sandbox(host):
    """Return a function that gives the jail, or one that leaves mechanisms out."""
    made = {}

    def get(*without):
        if without not in made:
            packages = ("referee_probe_package",)
            made[without] = Sandbox(packages, LIMITS, without=without)
        return made[without]

    yield get
    for each in made.values():
        each.close()


class Died(Exception):
    """The student's process has ended; says why."""


def run(session, source, seconds=30):
    """Run a cell and return what it printed."""
    session.channel.send({"do": "run", "cell": "try", "source": textwrap.dedent(source)})
    try:
        reply = session.channel.receive(seconds)
    except (wire.Closed, wire.Late):
        raise Died(session.ending()) from None
    assert reply["error"] is None, reply["error"]
    return reply["output"]


def attempt(session, body, host):
    """Run the body of a function; return whether it was refused, and what came of it."""
    body = textwrap.indent(textwrap.dedent(body).strip().format(**host), "    ")
    tail = """
try:
    refused, what = False, attempt()
except OSError as error:
    refused, what = True, str(error)
import json
print(json.dumps([refused, what]))
"""
    return json.loads(run(session, f"{LIBC}\ndef attempt():\n{body}\n{tail}"))


def descendants(process):
    """Return the numbers of all processes below one, as this machine counts them."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = path.read_text().rpartition(")")[2].split()
            parents.setdefault(int(fields[1]), []).append(int(path.parent.name))
    below, waiting = [], [process]
    while waiting:
        children = parents.get(waiting.pop(), [])
        below += children
        waiting += children
    return below


def warm(sandbox):
    """Return the process number of a sandbox's warm process."""
    (number,) = descendants(sandbox._process.pid)
    return number


@pytest.mark.parametrize("name", ATTEMPTS)
def test_an_attempt_is_refused(sandbox, host, name):
    _, body = ATTEMPTS[name]
    with sandbox().session() as session:
        refused, what = attempt(session, body, host)
    assert refused, what


@pytest.mark.parametrize("name", ATTEMPTS)
def test_an_attempt_succeeds_where_its_mechanism_is_left_out(sandbox, host, name):
    mechanisms, body = ATTEMPTS[name]
    with sandbox(*sorted(mechanisms)).session() as session:
        refused, what = attempt(session, body, host)
    assert not refused, what
    assert what not in (None, "")


@pytest.mark.parametrize("name", ALWAYS_REFUSED)
def test_what_nobody_may_is_refused(sandbox, host, name):
    with sandbox().session() as session:
        refused, what = attempt(session, ALWAYS_REFUSED[name], host)
    assert refused, what


PAIR = """
import socket
for family in (socket.AF_UNIX, socket.AF_INET, socket.AF_NETLINK):
    try:
        socket.socketpair(family, socket.SOCK_DGRAM)
        print(0)
    except OSError as error:
        print(error.errno)
"""


@pytest.mark.parametrize(
    ("without", "error"), [((), errno.ENETUNREACH), (("seccomp",), errno.EOPNOTSUPP)]
)
def test_the_kernel_makes_no_pair_of_sockets_of_a_network(sandbox, without, error):
    """Without the filter it makes both sockets, and finds only then that they can be no pair."""
    with sandbox(*without).session() as session:
        assert run(session, PAIR).split() == ["0", str(error), str(error)]


# Nothing inside a read-only file system can be written; the root's own is looked at throughout.
WRITABLE = """
import json, os
root, found = os.stat("/").st_dev, []
for folder, names, _ in os.walk("/"):
    if os.access(folder, os.W_OK):
        found.append(folder)
    if os.stat(folder).st_dev != root and os.statvfs(folder).f_flag & os.ST_RDONLY:
        names.clear()
print(json.dumps(found))
"""


def test_three_folders_can_be_written_and_no_other(sandbox):
    with sandbox().session() as session:
        assert sorted(json.loads(run(session, WRITABLE))) == ["/dev/shm", "/scratch", "/tmp"]


def test_no_folder_that_can_be_written_is_where_the_warm_process_looks_for_modules(sandbox):
    source = "import json, sys; print(json.dumps(sys.path))"
    with sandbox().session() as session:
        paths = json.loads(run(session, source))
    places = [path for path in paths if path and not path.startswith(("/packages", "/referee"))]
    assert all(path.startswith(sys.base_prefix) for path in places)


LEAVE = """
import os
for folder in ("/scratch", "/tmp", "/dev/shm"):
    for name in (".hidden", "numpy.py", "sitecustomize.py"):
        with open(f"{folder}/{name}", "w") as file:
            file.write("left")
    os.makedirs(folder + "/deep" * 100)
"""
LOOK = """
import json, os
print(json.dumps([os.listdir(folder) for folder in ("/scratch", "/tmp", "/dev/shm")]))
"""


def left_by_another(sandbox):
    """Let a session leave files; return what the next one finds, and drop it."""
    with sandbox.session() as session:
        run(session, LEAVE)
    with sandbox.session() as session:
        return json.loads(run(session, LOOK))


def test_a_session_finds_no_file_of_another(sandbox):
    assert left_by_another(sandbox()) == [[], [], []]
    found = left_by_another(sandbox("folders"))
    assert all(".hidden" in names and "numpy.py" in names for names in found)


SEGMENT = """
import ctypes
print(ctypes.CDLL(None).shmget(78, 4096, {flags}))
"""


@pytest.mark.parametrize(("without", "kept"), [(("seccomp",), False), (("ipc", "seccomp"), True)])
def test_shared_memory_ends_with_the_session_even_without_the_filter(sandbox, without, kept):
    with sandbox(*without).session() as session:
        assert int(run(session, SEGMENT.format(flags="0o1666"))) >= 0
    with sandbox(*without).session() as session:
        assert (int(run(session, SEGMENT.format(flags="0"))) >= 0) == kept


DAEMON = """
import os, signal, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for number in range(1, 65):
            try:
                signal.signal(number, signal.SIG_IGN)
            except (OSError, ValueError):
                pass
        os.execv("/bin/sleep", ["sleep", "600"])
    os._exit(0)
print(1)
"""


def test_what_a_session_leaves_running_ends_with_it(sandbox):
    each = sandbox()
    number = warm(each)
    with each.session() as session:
        run(session, DAEMON)
        assert len(descendants(number)) >= 3
    assert descendants(number) == []


def test_what_a_process_leaves_running_ends_with_it(sandbox):
    each = sandbox()
    number = warm(each)
    with each.session() as session:
        run(session, DAEMON)
        with pytest.raises(Died, match="ended itself with code 5"):
            run(session, "import os; os._exit(5)")
        deadline = time.monotonic() + 10
        while descendants(number)[1:] and time.monotonic() < deadline:
            time.sleep(0.01)
        assert descendants(number)[1:] == []


KILL_THE_KEEPER = """
import os, signal
for name in ("SIGSTOP", "SIGKILL", "SIGTERM", "SIGINT"):
    os.kill(1, getattr(signal, name))
print("alive")
"""


def test_signals_to_process_1_do_nothing(sandbox):
    with sandbox().session() as session:
        assert run(session, KILL_THE_KEEPER) == "alive\n"
        assert run(session, "print(2)") == "2\n"


@pytest.mark.parametrize(("without", "survives"), [((), True), (("processes",), False)])
def test_killing_everything_kills_nothing_of_another_session(sandbox, without, survives):
    with sandbox(*without).session() as first, sandbox(*without).session() as second:
        run(second, "print(1)")
        # Process 1 and the caller are spared by the kernel: the child calls, the parent dies.
        with contextlib.suppress(Died, wire.Closed):
            run(first, "import os, signal\nif os.fork() == 0:\n    os.kill(-1, signal.SIGKILL)\n")
            run(first, "import time; time.sleep(0.5)")
        if survives:
            assert run(second, "print(2)") == "2\n"
        else:
            with pytest.raises((Died, wire.Closed)):
                run(second, "print(2)")


PROCESSES = """
import os, time
made = 0
try:
    while True:
        if os.fork() == 0:
            time.sleep(600)
        made += 1
except OSError:
    print(made)
"""


def test_a_fork_bomb_is_bounded_and_the_next_session_works(sandbox):
    each = sandbox()
    number = warm(each)
    with each.session() as session:
        assert 5 < int(run(session, PROCESSES)) <= LIMITS.processes
    assert descendants(number) == []
    with each.session() as session:
        assert run(session, "print(1)") == "1\n"


def test_a_fork_bomb_that_renews_itself_ends_with_the_session(sandbox):
    source = """
    import os
    def burst():
        while True:
            try:
                os.fork()
            except OSError:
                pass
    if os.fork() == 0:
        burst()
    print(1)
    """
    each = sandbox()
    number = warm(each)
    with each.session() as session:
        run(session, source)
        time.sleep(0.3)
    assert descendants(number) == []


def test_memory_of_all_processes_together_is_bounded(sandbox):
    each = sandbox("limits")
    if each._place is None:
        pytest.skip("this user can make no control groups")
    source = """
    import os, time
    for number in range(6):
        if os.fork() == 0:
            held = b"x" * (200 * 2 ** 20)
            time.sleep(600)
    held = b"x" * (400 * 2 ** 20)
    time.sleep(600)
    """
    with each.session() as session, pytest.raises(Died, match="used more than 512 MiB of memory"):
        run(session, source)
    with each.session() as session:
        assert run(session, "print(1)") == "1\n"
        with pytest.raises(Died, match="ended itself with code 2"):
            run(session, "import os; os._exit(2)")


STUBBORN = """
import signal
for number in range(1, 65):
    try:
        signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError):
        pass
while True:
    try:
        while True:
            pass
    except BaseException:
        pass
"""


def test_an_endless_loop_that_ignores_signals_ends_with_the_session(sandbox):
    each = sandbox()
    number = warm(each)
    with each.session() as session:
        with pytest.raises(Died, match="no answer after 2 s"):
            run(session, STUBBORN, seconds=0.5)
        os.kill(descendants(number)[-1], signal.SIGTERM)
        assert len(descendants(number)) == 2
    assert descendants(number) == []


def test_a_loop_that_nobody_ends_is_ended_after_its_processor_time(sandbox, monkeypatch):
    monkeypatch.setattr("referee.sandbox.PROCESSOR_SECONDS", 1)
    with (
        sandbox().session() as session,
        pytest.raises(Died, match=r"used more than 1 s of processor time|crashed \(SIGKILL\)"),
    ):
        run(session, STUBBORN)


CRASH = "import ctypes; ctypes.string_at(0)"


@pytest.mark.parametrize(
    ("source", "ending"),
    [
        (CRASH, "the process crashed (SIGSEGV)"),
        ("import os; os.abort()", "the process crashed (SIGABRT)"),
        ("import os; os.kill(os.getpid(), 9)", "the process crashed (SIGKILL)"),
        ("import os; os._exit(3)", "ended itself with code 3"),
        (
            "import os, time\nfor n in range(3, 100):\n    try: os.close(n)\n"
            "    except OSError: pass\ntime.sleep(600)",
            "closed its connection to the grader",
        ),
        ("import time; time.sleep(600)", "no answer after 2 s"),
    ],
)
def test_the_ending_says_why(sandbox, source, ending):
    with sandbox().session() as session, pytest.raises(Died) as died:
        run(session, source, seconds=2)
    assert str(died.value) == ending


def test_a_crash_is_told_as_one_however_late_it_is_reported(sandbox, monkeypatch):
    monkeypatch.setattr("referee.sandbox.SECONDS_TO_REPORT", 0)
    for _ in range(5):
        with sandbox().session() as session, pytest.raises(Died) as died:
            run(session, CRASH, seconds=2)
        assert str(died.value) == "the process crashed (SIGSEGV)"


def test_a_student_s_process_that_cannot_be_forked_is_no_fault_of_the_student(sandbox):
    with sandbox().session() as session:
        session._report.close()
        session._report, keeper = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with keeper:
            keeper.send(b"failed: [Errno 11] Resource temporarily unavailable")
            with pytest.raises(RuntimeError, match="cannot begin a session: failed: .Errno 11"):
                session.ending()


def test_a_crash_leaves_no_core_file(sandbox):
    with sandbox().session() as session:
        source = f"""
        import os, signal
        child = os.fork()
        if child == 0:
            import ctypes; ctypes.string_at(0)
        status = os.waitpid(child, 0)[1]
        print(os.WTERMSIG(status) == signal.SIGSEGV, os.WCOREDUMP(status), os.listdir({"."!r}))
        """
        assert run(session, source) == "True False []\n"


def test_root_of_a_namespace_with_one_user_gets_the_jail_of_an_ordinary_user(need):
    command = [need("unshare", "util-linux"), "--user", "--map-root-user"]
    if subprocess.run([*command, "true"], capture_output=True).returncode:
        pytest.skip("no user namespace can be made here")
    script = (
        "from referee.sandbox import Sandbox as S\nwith S(()) as s, s.session(): print(s._user)"
    )
    done = subprocess.run(
        [*command, sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT
    )
    assert (done.returncode, done.stdout) == (0, f"{jail.USER_INSIDE}\n"), done.stderr


def test_a_program_with_set_user_bits_gives_no_rights(sandbox):
    source = """
    import os, shutil, subprocess
    shutil.copy("/usr/bin/id", "/scratch/id")
    os.chmod("/scratch/id", 0o6755)
    before = os.getuid()
    print(before == int(subprocess.run(["/scratch/id", "-u"], capture_output=True).stdout))
    import ctypes
    print(ctypes.CDLL(None).prctl(39, 0, 0, 0, 0))
    """
    with sandbox().session() as session:
        assert run(session, source) == "True\n1\n"


def test_a_student_is_neither_root_nor_its_own_group_of_people(sandbox):
    with sandbox().session() as session:
        source = "import os; print(os.getresuid(), os.getresgid(), os.getgroups())"
        users, groups, extra = eval(f"({run(session, source).replace(') ', '), ')})")
    assert 0 not in users + groups and len({*users}) == 1 and 0 not in extra


def test_two_jails_of_root_have_two_users(host):
    if not jail.is_root():
        pytest.skip("an ordinary user has one user only")
    with Sandbox((), LIMITS) as first, Sandbox((), LIMITS) as second:
        assert first._user != second._user


def test_descriptors_that_a_student_sends_do_not_reach_the_judge(sandbox):
    source = """
    import os, socket
    for number in range(3, 100):
        try:
            channel = socket.socket(fileno=os.dup(number))
        except OSError:
            continue
        files = [os.open("/dev/null", os.O_RDONLY) for _ in range(10)]
        socket.send_fds(channel, [b"\\0"], files)
    """
    before = len(os.listdir("/proc/self/fd"))
    with sandbox().session() as session:
        inside = len(os.listdir("/proc/self/fd"))
        session.channel.send({"do": "run", "cell": "x", "source": textwrap.dedent(source)})
        with pytest.raises((wire.WireError, wire.Closed, wire.Late)):
            session.channel.receive(2)
        assert len(os.listdir("/proc/self/fd")) == inside
    assert len(os.listdir("/proc/self/fd")) == before


def test_the_machine_s_random_numbers_can_be_read(sandbox):
    source = "print(len(open('/dev/urandom', 'rb').read(8)) + len(__import__('os').urandom(8)))"
    with sandbox().session() as session:
        assert run(session, source) == "16\n"


def test_a_session_has_its_files_and_nothing_else(sandbox):
    files = {"digits.csv": b"1,2\n", "data/more/a b.bin": bytes(range(256)) * 4000, "empty": b""}
    source = """
    import hashlib, os
    for folder, _, names in sorted(os.walk(".")):
        for name in sorted(names):
            path = os.path.join(folder, name)
            print(path, hashlib.sha256(open(path, "rb").read()).hexdigest()[:8])
    with open("digits.csv", "a") as file:
        count = file.write("mine")
    """
    with sandbox().session(files) as session:
        first = run(session, source)
    with sandbox().session(files) as session:
        assert run(session, source) == first
    assert [line.split(" ")[0] for line in first.splitlines()] == [
        "./digits.csv",
        "./empty",
        "./data/more/a",
    ]


def test_a_session_may_have_thousands_of_files_but_not_more_than_find_room(sandbox):
    files = {f"{number:040}": b"" for number in range(8000)}
    with sandbox().session(files) as session:
        assert run(session, "import os; print(len(os.listdir()))") == "8000\n"
    with pytest.raises(ValueError, match="files must be 10000 of 2 MiB together at most, and are"):
        sandbox().session({str(number): b"" for number in range(10_001)})
    with pytest.raises(ValueError, match="and are 2 of 3 MiB"):
        sandbox().session({"a": bytes(2**20), "b": bytes(2**21)})


@pytest.mark.parametrize("name", ["", ".", "/etc/x", "../x", "a/../../x", "a\0b"])
def test_a_file_must_stay_in_the_folder(sandbox, name):
    with pytest.raises(ValueError, match="files must have paths inside the folder"):
        sandbox().session({name: b""})


def test_a_file_must_be_bytes(sandbox):
    with pytest.raises(ValueError, match=r"files\['a'\] must be bytes, and is str"):
        sandbox().session({"a": "text"})


@pytest.mark.parametrize("name", ["seconds", "memory", "processes", "file_size", "output"])
@pytest.mark.parametrize("value", [0, -1, "1", None, True, float("nan")])
def test_a_limit_must_be_a_number_above_0(name, value):
    with pytest.raises(ValueError, match=f"{name} must be a (whole )?number above 0, and is"):
        Limits(**{name: value})


def test_a_package_that_is_not_there_is_named():
    with pytest.raises(ValueError, match="not 'no_such_package'"):
        Sandbox(("no_such_package",))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("import sys; sys.exit('no licence')", "SystemExit: no licence"),
        ("import os; os._exit(3)", "the process that imports them ended"),
        ("import ctypes; ctypes.string_at(0)", "the process that imports them ended"),
    ],
)
@pytest.mark.parametrize("unsafe", [False, True])
@pytest.mark.filterwarnings("ignore:students' code runs without a jail")
def test_a_package_that_ends_the_process_is_no_fault_of_the_machine(host, source, message, unsafe):
    (host["folder"] / "referee_probe_deadly.py").write_text(source)
    with pytest.raises(ValueError, match=f"packages cannot be loaded in the sandbox: {message}"):
        Sandbox(("referee_probe_deadly",), unsafe=unsafe)


@pytest.mark.filterwarnings("ignore:students' code runs without a jail")
def test_a_package_that_takes_for_ever_is_told_so(host, monkeypatch):
    monkeypatch.setattr("referee.sandbox.SECONDS_TO_START", 0.5)
    (host["folder"] / "referee_probe_slow.py").write_text("import time; time.sleep(600)")
    with pytest.raises(ValueError, match="packages cannot be loaded.*not done after 0.5 s"):
        Sandbox(("referee_probe_slow",))


def test_installed_packages_that_are_closed_to_others_are_named(tmp_path, monkeypatch):
    if not jail.is_root():
        pytest.skip("an ordinary user's packages are open to that user")
    closed = tmp_path / "site-packages"
    closed.mkdir(mode=0o700)
    folders = [str(closed), *site.getsitepackages()]
    monkeypatch.setattr(site, "getsitepackages", lambda: folders)
    with (
        Sandbox((), LIMITS) as each,
        pytest.raises(RuntimeError, match=f"{closed} is closed to other users; chmod"),
    ):
        each.session()


def test_a_package_that_fails_is_named(host):
    (host["folder"] / "referee_probe_broken.py").write_text("import no_such_module")
    with pytest.raises(ValueError, match="cannot be loaded in the sandbox.*no_such_module"):
        Sandbox(("referee_probe_broken",))


def test_sessions_go_on_after_the_warm_process_was_killed():
    with Sandbox((), LIMITS) as each:
        with each.session() as session:
            os.kill(descendants(each._process.pid)[0], signal.SIGKILL)
            each._process.wait()
            with pytest.raises((Died, wire.Closed)):
                run(session, "print(1)")
        with each.session() as session:
            assert run(session, "print(2)") == "2\n"


def test_a_start_that_the_warm_process_refuses_is_tried_once_more_in_another(monkeypatch):
    with Sandbox((), LIMITS) as each:
        started, start, task = [], Sandbox._start, Session._task
        monkeypatch.setattr(Sandbox, "_start", lambda self: started.append(1) or start(self))
        tasks = [{"start": 0}]
        monkeypatch.setattr(
            Session, "_task", lambda self, *rest: tasks.pop() if tasks else task(self, *rest)
        )
        with each.session() as session:
            assert run(session, "print(3)") == "3\n"
        assert len(started) == 1
        tasks += [{"start": 0}, {"start": 0}]
        with pytest.raises(RuntimeError, match="scratch"):
            each.session()
        assert len(started) == 2 and each._process is None
        with each.session() as session:
            assert run(session, "print(4)") == "4\n"


def test_a_session_of_a_closed_sandbox_is_refused():
    each = Sandbox((), LIMITS)
    session = each.session()
    each.close()
    session.close()
    each.close()
    with pytest.raises(ValueError, match="the sandbox is closed"):
        each.session()


COORDINATOR = """
import os, sys, time
from referee.sandbox import Limits, Sandbox
each = Sandbox((), Limits())
helper = os.fork()
if helper == 0:
    time.sleep(600)
session = each.session()
session.channel.send({"do": "run", "cell": "x", "source": "import time; time.sleep(600)"})
print(each._process.pid, helper, flush=True)
time.sleep(600)
"""


def groups_left(process):
    return [path for folder in group_folders() for path in folder.glob(f"{PREFIX}-*-{process}-*")]


def group_folders():
    found = cgroups.find()
    return {*found.folders.values()} if found else set()


def test_sessions_go_on_after_their_control_group_was_removed():
    before = groups_left(os.getpid())
    with Sandbox((), LIMITS) as each:
        with each.session() as session:
            run(session, "print(1)")
        for group in each._groups:
            group.remove()
        warm = each._process
        for _ in range(2):
            with each.session() as session:
                assert run(session, "print(2)") == "2\n"
                assert session._group is None or session._group.out_of_memory() == 0
        assert each._process is warm
    assert groups_left(os.getpid()) == before


def test_a_sweep_removes_groups_of_processes_that_are_gone_and_of_this_namespace_only():
    gone = subprocess.Popen(["true"])
    gone.wait()
    here = os.stat("/proc/self/ns/pid").st_ino
    for folder in group_folders():
        own, other = (folder / f"{PREFIX}-{space}-{gone.pid}-x" for space in (here, here + 1))
        own.mkdir()
        other.mkdir()
        try:
            cgroups.sweep()
            assert not own.exists() and other.exists()
        finally:
            other.rmdir()


def test_a_group_whose_processes_are_ending_is_removed():
    place = cgroups.find()
    if place is None:
        pytest.skip("there are no control groups here")
    group = cgroups.make(place)
    process = subprocess.Popen(["sleep", "0.3"])
    group.add(process.pid)
    group.remove()
    process.wait()
    assert not any(folder.exists() for folder in group.folders.values())


def test_nothing_is_left_when_the_judge_is_killed():
    judge = subprocess.Popen(
        [sys.executable, "-c", COORDINATOR], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    first, helper = map(int, judge.stdout.readline().split())
    deadline = time.monotonic() + 10
    while len(descendants(first)) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    jailed = [first, *descendants(first)]
    assert len(jailed) == 4
    judge.kill()
    judge.wait()
    judge.stdout.close()
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{n}").exists() for n in jailed) and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(helper, signal.SIGKILL)
    assert not any(Path(f"/proc/{n}").exists() for n in jailed)
    Sandbox((), LIMITS).close()
    assert groups_left(judge.pid) == []


def test_no_group_mount_process_or_file_is_left_when_a_sandbox_closes():
    temporary, groups = {*os.listdir(tempfile.gettempdir())}, groups_left(os.getpid())
    mounts = Path("/proc/self/mounts").read_text()
    with Sandbox((), LIMITS) as each:
        sessions = [each.session({"a": b"b"}) for _ in range(3)]
        jailed = [each._process.pid, *descendants(each._process.pid)]
        run(sessions[0], "print(1)")
    assert not any(Path(f"/proc/{number}").exists() for number in jailed)
    assert groups_left(os.getpid()) == groups
    assert Path("/proc/self/mounts").read_text() == mounts
    assert not [n for n in {*os.listdir(tempfile.gettempdir())} - temporary if "referee" in n]


def test_the_warm_process_has_one_thread_and_is_closed_to_others():
    with Sandbox(("numpy", "torch"), LIMITS) as each, each.session():
        number = descendants(each._process.pid)[0]
        status = Path(f"/proc/{number}/status").read_text()
        assert "Threads:\t1\n" in status
        assert Path(f"/proc/{number}/mem").stat().st_uid == 0


def test_a_session_with_packages_computes(sandbox):
    source = """
    import numpy, torch
    print(numpy.ones((50, 40)).sum() + torch.ones(3, requires_grad=True).sum().item())
    """
    with Sandbox(("numpy", "torch")) as each, each.session() as session:
        assert run(session, source) == "2003.0\n"


def test_unsafe_works_without_a_jail_and_says_so(monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: None)
    before = {*os.listdir(tempfile.gettempdir())}
    with pytest.warns(RuntimeWarning, match="without a jail"):
        each = Sandbox(("numpy",), LIMITS, unsafe=True)
    with each:
        with each.session({"a": b"b"}) as session:
            assert run(session, "import os; print(os.listdir())") == "['a']\n"
            run(session, DAEMON)
            assert json.loads(attempt_memory(session))
        assert descendants(each._process.pid) == []
        with each.session() as session, pytest.raises(Died, match="ended itself with code 3"):
            run(session, "import os; os._exit(3)")
    left = {*os.listdir(tempfile.gettempdir())} - before
    assert not [name for name in left if "referee" in name or name in ("ipython", "matplotlib")]


def test_unsafe_leaves_no_folder_when_a_package_fails(host):
    (host["folder"] / "referee_probe_broken.py").write_text("import no_such_module")
    before = {*os.listdir(tempfile.gettempdir())}
    with (
        pytest.warns(RuntimeWarning, match="without a jail"),
        pytest.raises(ValueError, match="no_such_module"),
    ):
        Sandbox(("referee_probe_broken",), unsafe=True)
    left = {*os.listdir(tempfile.gettempdir())} - before
    assert not [name for name in left if "referee-unsafe" in name]


def attempt_memory(session):
    source = """
    try:
        print("false" if len(bytearray(2 ** 31)) else "")
    except MemoryError:
        print("true")
    """
    return run(session, source)


def test_a_machine_without_bubblewrap_is_told_what_to_install(monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(CannotJail, match="bubblewrap is not installed.*apt install bubblewrap"):
        Sandbox(())


def fake_bwrap(folder, monkeypatch, message):
    program = folder / "bwrap"
    program.write_text(
        '#!/bin/sh\n[ "$1" = --version ] && echo bubblewrap 0.8.0 && exit\n'
        f"echo '{message}' >&2\nexit 1\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


@pytest.mark.parametrize(
    ("settings", "user", "message"),
    [
        ({"kernel/apparmor_restrict_unprivileged_userns": "1"}, 1000, "AppArmor.*sysctl"),
        ({"kernel/unprivileged_userns_clone": "0"}, 1000, "userns_clone=1"),
        ({"user/max_user_namespaces": "0"}, 1000, "switched off.*max_user_namespaces=10000"),
        ({}, 0, "container.*--privileged"),
        ({}, 1000, "bubblewrap says: bwrap: No permissions to create a new namespace"),
    ],
)
def test_a_machine_that_forbids_namespaces_is_told_why(
    tmp_path, monkeypatch, settings, user, message
):
    fake_bwrap(tmp_path, monkeypatch, "bwrap: No permissions to create a new namespace")
    monkeypatch.setattr(jail, "_setting", lambda name: settings.get(name, ""))
    monkeypatch.setattr(jail, "_status", lambda name: "0")
    monkeypatch.setattr(os, "geteuid", lambda: user)
    with pytest.raises(CannotJail, match=message):
        Sandbox((), LIMITS)


def test_a_kernel_that_is_too_old_is_told_so(monkeypatch):
    monkeypatch.setattr(platform, "release", lambda: "5.4.0-42-generic")
    problems = jail.capabilities().problems
    assert problems[0] == ("the kernel is Linux 5.4, and 5.8 is needed", "use a newer system")


def test_limits_are_written_where_control_groups_of_version_2_read_them(tmp_path):
    files = ("memory.max", "memory.swap.max", "pids.max", "cpu.max", "cgroup.procs")
    for name in files:
        (tmp_path / name).write_text("max")
    (tmp_path / "memory.events").write_text("low 0\noom 4\noom_kill 3\n")
    group = cgroups.Group(2, dict.fromkeys(("memory", "pids", "cpu"), tmp_path))
    group.limit(2**30, 20)
    group.add(77)
    written = [(tmp_path / name).read_text() for name in files]
    assert written == [str(2**30), "0", "20", "100000 100000", "77"]
    assert group.out_of_memory() == 3


@pytest.mark.parametrize("machine", seccomp.ARCHITECTURES)
def test_every_jump_of_the_filter_lands_inside_it_and_every_path_returns(machine):
    program = seccomp.build_filter(machine)
    steps = [program[i : i + 8] for i in range(0, len(program), 8)]
    assert len(steps) < 4096 and len(program) % 8 == 0
    for number, step in enumerate(steps):
        code, yes, no = step[0] + 256 * step[1], step[2], step[3]
        if code & 7 == 5:
            assert number + 1 + max(yes, no) < len(steps)
    assert steps[-1][0] == seccomp.RETURN


def test_a_machine_without_a_list_of_calls_is_refused():
    with pytest.raises(ValueError, match="machine must be x86_64 or aarch64, and is 'vax'"):
        seccomp.build_filter("vax")


def view_for_others():
    """Return bubblewrap's words for a view of this machine in which anyone can enter Python."""
    needed = [ROOT, Path(sys.prefix), Path(sys.base_prefix).resolve()]
    closed = set()
    for path in needed:
        for parent in reversed(path.parents):
            if not parent.stat().st_mode & 0o001:
                closed.add(parent)
                break
    words = ["--bind", "/", "/", "--dev-bind", "/dev", "/dev"]
    words += ["--remount-ro", "/", "--proc", "/proc"]
    for folder in ("/tmp", "/var/tmp"):
        words += ["--perms", "1777", "--tmpfs", folder]
    for folder in closed:
        words += ["--perms", "0755", "--tmpfs", str(folder)]
        for path in needed:
            if path.is_relative_to(folder):
                for parent in reversed(path.relative_to(folder).parents):
                    words += ["--perms", "0755", "--dir", str(folder / parent)]
    for path in needed:
        words += ["--ro-bind", str(path), str(path)]
    return words


def test_all_this_holds_for_an_ordinary_user_too(need):
    if os.geteuid() != 0:
        pytest.skip("this is an ordinary user")
    command = [need("bwrap", "bubblewrap"), *view_for_others(), "--setenv", "HOME", "/tmp", "--"]
    command += [need("setpriv", "util-linux"), "--reuid=65534", "--regid=65534"]
    command += ["--clear-groups", "--inh-caps=-all", sys.executable, "-B", "-m", "pytest", "-q"]
    command += [str(Path(__file__)), "--rootdir", str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    assert " passed" in done.stdout
