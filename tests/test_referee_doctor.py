"""`referee doctor` says what this machine can jail with, what is missing and how to get it."""

import shutil

import pytest

from referee import cli
from referee.doctor import report
from referee.sandbox import Capabilities, Sandbox, capabilities

FULL = {"bwrap": "0.9.0", "namespaces": True, "seccomp": True, "cgroup": 2}


def test_the_report_of_a_machine_that_can_jail_names_each_part():
    lines = report(Capabilities(root=True, **FULL)).splitlines()
    assert lines == [
        "bubblewrap              0.9.0",
        "namespaces              yes, as root",
        "filter of system calls  seccomp",
        "memory and processes    control groups version 2",
        "",
        "This machine can jail students' code.",
    ]


def test_the_report_says_what_is_missing_and_how_to_get_it():
    found = Capabilities(seccomp=True, problems=[("bubblewrap is not installed", "apt install x")])
    lines = report(found).splitlines()
    assert lines[0].split() == ["bubblewrap", "absent"]
    assert lines[1].split() == ["namespaces", "no"]
    assert "single processes only" in lines[3]
    assert lines[-4:] == [
        "Missing: bubblewrap is not installed.",
        "To mend it: apt install x",
        "",
        "This machine cannot jail students' code.",
    ]


@pytest.mark.parametrize("missing", ["namespaces", "seccomp"])
def test_a_machine_that_lacks_a_part_of_the_jail_cannot_jail(missing):
    assert Capabilities(**FULL).can_jail
    assert not Capabilities(**FULL | {missing: False}).can_jail


def test_a_machine_without_control_groups_can_jail():
    assert Capabilities(**FULL | {"cgroup": 0}).can_jail


def test_a_machine_in_whose_jail_no_session_begins_cannot_jail(need, monkeypatch, capsys):
    need("bwrap", "bubblewrap")

    def refuse(*arguments):
        raise RuntimeError("mount: Operation not permitted")

    monkeypatch.setattr(Sandbox, "session", refuse)
    assert cli.main(["doctor"]) == 1
    said = capsys.readouterr().out
    assert "Missing: no session can be begun: mount: Operation not permitted." in said
    assert said.endswith("This machine cannot jail students' code.\n")


def test_the_command_ends_with_0_where_a_jail_can_be_made(need, capsys):
    need("bwrap", "bubblewrap")
    can = capabilities().can_jail
    assert cli.main(["doctor"]) == (0 if can else 1)
    assert f"This machine {'can' if can else 'cannot'} jail" in capsys.readouterr().out
    if can:
        Sandbox(()).close()


def test_the_command_ends_with_1_and_the_install_line_without_bubblewrap(monkeypatch, capsys):
    which = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name: None if name == "bwrap" else which(name))
    assert cli.main(["doctor"]) == 1
    assert "To mend it: apt install bubblewrap" in capsys.readouterr().out
