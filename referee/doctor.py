"""`referee doctor`: what this machine can jail with, what is missing, and how to get it."""

from referee.sandbox import CannotJail, Sandbox, capabilities


def examine():
    """Return what this machine can jail with, tried by a session in a jail.

    Returns
    -------
    referee.sandbox.Capabilities
    """
    found = capabilities()
    if found.can_jail:
        try:
            with Sandbox(()) as sandbox:
                sandbox.session().close()
        except (CannotJail, OSError, RuntimeError, ValueError) as error:
            how = "try again; if it stays, report what is said here"
            found.problems.append((f"no session can be begun: {error}", how))
    return found


def report(found):
    """Return a table of what was found, and what to do about what was not.

    Parameters
    ----------
    found : referee.sandbox.Capabilities
    """
    user = "root" if found.root else "an ordinary user"
    shared = f"control groups version {found.cgroup}" if found.cgroup else "single processes only"
    rows = [
        ("bubblewrap", found.bwrap or "absent"),
        ("namespaces", f"yes, as {user}" if found.namespaces else "no"),
        ("filter of system calls", "seccomp" if found.seccomp else "absent"),
        ("memory and processes", shared),
    ]
    lines = [f"{name:<24}{value}" for name, value in rows]
    for what, how in found.problems:
        lines += ["", f"Missing: {what}.", f"To mend it: {how}"]
    verdict = "can" if found.can_jail else "cannot"
    return "\n".join([*lines, "", f"This machine {verdict} jail students' code."])
