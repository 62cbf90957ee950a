"""Forbidden things that a student's process may try, as sources of cells.

Each is a function body that returns what it got; an OSError is a refusal. `{secret}` and
the like are filled in by the test.
"""

LIBC = """
import ctypes, os
_c = ctypes.CDLL(None, use_errno=True)
def call(name, *arguments):
    result = getattr(_c, name)(*arguments)
    if result == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result
"""

# name: (mechanisms, source of a function body)
ATTEMPTS = {
    "read a file of the course": ({"files"}, "return open({course!r}).read(1)"),
    "read the gradebook": ({"files"}, "return open({gradebook!r}).read()"),
    "list the folder of the gradebook": (
        {"files"},
        "import os; return os.listdir(os.path.dirname({gradebook!r}))",
    ),
    "read /etc/passwd": ({"files"}, "return open('/etc/passwd').read()[:4]"),
    "connect to a path socket of the host": (
        {"files"},
        """
        import socket
        with socket.socket(socket.AF_UNIX) as s:
            s.connect({socket!r})
        return 'connected'
        """,
    ),
    "connect to an abstract socket of the host": (
        {"network"},
        """
        import socket
        with socket.socket(socket.AF_UNIX) as s:
            s.connect({abstract!r})
        return 'connected'
        """,
    ),
    "connect by TCP": (
        {"network", "seccomp"},
        """
        import socket
        with socket.create_connection(('127.0.0.1', {port}), 2):
            return 'connected'
        """,
    ),
    "send by UDP": (
        {"network", "seccomp"},
        """
        import socket
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.connect(('192.0.2.1', 9))
            return s.send(b'x')
        """,
    ),
    "ask the kernel about the network": (
        {"seccomp"},
        "import socket; socket.socket(socket.AF_NETLINK, socket.SOCK_RAW).close(); return 1",
    ),
    "write into a package": (
        {"read-only"},
        """
        with open('/packages/own/referee_probe_package/planted.pth', 'w') as f:
            return f.write('import os')
        """,
    ),
    "trace another process": (
        {"seccomp"},
        """
        import os
        child = os.fork()
        if child == 0:
            os._exit(0 if _c.ptrace(0, 0, None, None) == 0 else 1)
        if os.waitpid(child, 0)[1]:
            raise OSError('refused')
        return 'traced'
        """,
    ),
    "write another process's memory": (
        {"seccomp"},
        """
        import os
        source, target = ctypes.create_string_buffer(b'new'), ctypes.create_string_buffer(b'old')
        class Vector(ctypes.Structure):
            _fields_ = [('base', ctypes.c_void_p), ('length', ctypes.c_size_t)]
        here = Vector(ctypes.addressof(source), 3)
        there = Vector(ctypes.addressof(target), 3)
        call('process_vm_writev', os.getpid(), ctypes.byref(here), 1, ctypes.byref(there), 1, 0)
        return target.value.decode()
        """,
    ),
    "make a user namespace": ({"seccomp"}, "call('unshare', 0x10000000); return 'made'"),
    "make a process in a new namespace": (
        {"seccomp"},
        """
        import os
        child = call('syscall', {clone}, 0x10000000 | 17, 0, 0, 0, 0)
        if child == 0:
            os._exit(0)
        os.waitpid(child, 0)
        return 'made'
        """,
    ),
    "mount a folder": (
        {"seccomp"},
        """
        call('unshare', 0x10000000 | 0x20000)
        call('mount', b'x', b'/tmp', b'tmpfs', 0, None)
        return 'mounted'
        """,
    ),
    "make shared memory that stays": ({"seccomp"}, "return call('shmget', 77, 4096, 0o1666)"),
    "make a semaphore that stays": ({"seccomp"}, "return call('semget', 77, 1, 0o1666)"),
    "make a message queue that stays": ({"seccomp"}, "return call('msgget', 77, 0o1666)"),
    "make a POSIX message queue": (
        {"seccomp"},
        "return call('syscall', {mq_open}, b'left', os.O_RDWR | os.O_CREAT, 0o666, None)",
    ),
    "leave a key in the user's keyring": (
        {"seccomp"},
        "return call('syscall', {add_key}, b'user', b'left', b'x', 1, -4)",
    ),
    "make memory that is no file": (
        {"seccomp"},
        "import os; descriptor = os.memfd_create('x'); os.close(descriptor); return 'made'",
    ),
    "use io_uring": (
        {"seccomp"},
        """
        parameters = ctypes.create_string_buffer(120)
        os.close(call('syscall', 425, 1, parameters))
        return 'made'
        """,
    ),
    "read the kernel's personality of processes": (
        {"seccomp"},
        "return call('personality', 0x0040000)  or 'changed'",
    ),
    "hold a right": (
        {"capabilities"},
        """
        header, sets = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
        call('capget', header, sets)
        if not sets[0]:
            raise OSError('no right is held')
        return sets[0]
        """,
    ),
    "mount with a right that is held": (
        {"capabilities", "seccomp"},
        "call('mount', b'x', b'/tmp', b'tmpfs', 0, None); return 'mounted'",
    ),
    "see the judge's environment": (
        {"environment"},
        """
        import os
        if 'REFEREE_SECRET' not in os.environ:
            raise OSError('not there')
        return os.environ['REFEREE_SECRET']
        """,
    ),
    "find a descriptor that is left open": (
        {"descriptors"},
        """
        import os
        found = []
        for number in range(4096):
            try:
                os.fstat(number)
            except OSError:
                continue
            found.append(number)
        if len(found) == 4:
            raise OSError('the channel and /dev/null only')
        return found
        """,
    ),
    "fill the disk": (
        {"folders", "limits"},
        """
        for number in range(4):
            with open(f'/scratch/{{number}}', 'wb') as file:
                file.write(bytes(2 ** 20))
        return 4
        """,
    ),
    "write a large file": (
        {"limits"},
        "with open('/tmp/large', 'wb') as file: return file.write(bytes(2 ** 20 + 1))",
    ),
    "make many files": (
        {"folders"},
        """
        for number in range(25_000):
            open(f'/tmp/{{number}}', 'w').close()
        return number
        """,
    ),
    "open many files": (
        {"limits"},
        "files = [open('/dev/null') for number in range(600)]; return len(files)",
    ),
    "start many processes": (
        {"limits", "cgroup"},
        """
        import os, time
        for number in range(40):
            if os.fork() == 0:
                time.sleep(600)
        return number
        """,
    ),
    "start many threads": (
        {"limits", "cgroup"},
        """
        import threading, time
        try:
            for number in range(40):
                threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
        except RuntimeError as error:
            raise OSError(error)
        return number
        """,
    ),
    "take much memory": (
        {"limits", "cgroup"},
        """
        try:
            return len(bytearray(600 * 2 ** 20))
        except MemoryError:
            raise OSError('no memory')
        """,
    ),
}

# Stopped by more than one thing that cannot be switched off: refused, whatever else is missing.
ALWAYS_REFUSED = {
    "set the clock": "import time; time.clock_settime(time.CLOCK_REALTIME, time.time())",
    "make a device": "import os; os.mknod('/tmp/disk', 0o60600, os.makedev(254, 0))",
    "become root": "import os; os.setuid(0)",
    "read the memory of process 1": "open('/proc/1/mem', 'rb')",
    "read the environment of process 1": "open('/proc/1/environ', 'rb')",
    "list the descriptors of process 1": "import os; os.listdir('/proc/1/fd')",
    "list processes": "import os; os.listdir('/proc/self')",
    "write to the terminal": "open('/dev/tty', 'w')",
    "open a disk": "open('/dev/vda', 'rb')",
    "open the machine's memory": "open('/dev/mem', 'rb')",
    "load a kernel module": "call('syscall', 313, 0, b'', 0)",
    "reboot": "call('syscall', 169, 0, 0, 0, 0)",
    "read /etc/shadow": "open('/etc/shadow')",
    "list a home": """
        import os
        if not {{*os.listdir({home!r})}} - {{{runtime!r}}}:
            raise OSError('nothing but the way to Python is there')
    """,
    "change root": "import os; os.chroot('/tmp')",
    "change the host's name": "call('sethostname', b'x', 1)",
    "give itself more processor time": "import os; os.nice(-5)",
    "raise a limit": """
        import resource
        hard = resource.getrlimit(resource.RLIMIT_NPROC)[1]
        try:
            resource.setrlimit(resource.RLIMIT_NPROC, (hard + 1, hard + 1))
        except ValueError as error:
            raise OSError(error)
    """,
}
