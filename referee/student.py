"""The judge's side of a student's process: it asks, and checks what comes back.

The process answers as it likes, so a reply is data of the right shape or the process counts as
ended. Texts are cut to a length and cleared of what a page or a terminal would act on.
"""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass

from referee.wire import Closed, Late, Raised, WireError

LONGEST_OUTPUT = 2**20
LONGEST_TEXT, LONGEST_NAME, MOST_LINES, MOST_NAMES = 10_000, 100, 40, 10_000
REPLAYS = 10
# Controls except for tab and line feed, separators of lines, changes of direction, surrogates.
UNSEEN = re.compile(
    "[\0-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
NOT_AN_ANSWER = "it sent something that is not an answer"


class Ended(Exception):
    """A student's process is gone: it crashed, took too long or sent what is no answer."""


@dataclass(frozen=True)
class Error:
    """What a cell raised; `traceback` has a line for each place in the student's cells."""

    name: str
    message: str
    traceback: tuple[str, ...]


@dataclass(frozen=True)
class CellResult:
    error: Error | None
    output: str


@dataclass(frozen=True)
class Call:
    """A call of a student's function as plain data: it gave `value`, or it raised `raised`."""

    name: str
    args: list
    kwargs: dict
    value: object = None
    raised: Raised | None = None


class Student:
    """Runs a notebook's cells in a student's process and asks for what they define.

    Every method that asks raises `Ended` if the process is gone, then and from then on until
    `restart`.

    Parameters
    ----------
    open_session : function that starts a fresh process and returns its `Session`
    seconds : what one request may take
    replay_seconds : what all restarts together may take, ten times `seconds` if None
    """

    def __init__(self, open_session: Callable, seconds, replay_seconds=None):
        self._open_session = open_session
        self._seconds = seconds
        self._replay_left = REPLAYS * seconds if replay_seconds is None else replay_seconds
        self._cells = []
        self._deadly = set()
        self._session = None
        self._ended = None
        self._number = 0

    def run(self, label, source, keep=True):
        """Run a cell; return a CellResult. A restart runs it again if it is to be kept."""
        if not keep:
            return self._run(label, source, self._seconds)
        self._cells.append((label, source))
        try:
            return self._run(label, source, self._seconds)
        except Ended:
            self._deadly.add(len(self._cells) - 1)
            raise

    def call(self, name, args, kwargs):
        """Call a function with plain data.

        Returns
        -------
        dict with one key
            `value`; `raised`, a dict of `name`, `ancestors`, `message` and `traceback`; `refused`,
            why the result is not plain data; `missing`; or `not callable`, the type's name
        """
        request = {"do": "call", "name": name, "args": list(args), "kwargs": kwargs}
        return self._ask(request, _read_outcome, self._seconds)

    def fetch(self, name):
        """Ask what a name stands for.

        Returns
        -------
        dict with one key
            `value`, `callable`, `module` (its name), `refused` or `missing`
        """
        return self._ask({"do": "fetch", "name": name}, _read_found, self._seconds)

    def forbid(self, names):
        """Let cells not call these functions, and no others; return those that there are.

        A restart forgets it.
        """
        return self._ask({"do": "forbid", "names": list(names)}, _read_forbidden, self._seconds)

    def restart(self):
        """Start a fresh process and run all cells again but those that have ended one."""
        start = time.monotonic()
        try:
            while not self._replay(start + self._replay_left):
                pass
        finally:
            self._replay_left -= time.monotonic() - start

    def close(self):
        """End the process."""
        if self._session is not None:
            self._session.close()
            self._session = None

    def _replay(self, deadline):
        """Run the cells again; return whether none of them has ended the process."""
        self.close()
        self._ended = None
        for number, (label, source) in enumerate(self._cells):
            if number in self._deadly:
                continue
            try:
                self._run(label, source, min(self._seconds, deadline - time.monotonic()))
            except Ended:
                if time.monotonic() >= deadline:
                    self._end("running its cells again took too long")
                self._deadly.add(number)
                return False
        return True

    def _run(self, label, source, seconds):
        return self._ask({"do": "run", "cell": label, "source": source}, _read_result, seconds)

    def _ask(self, request, read, seconds):
        """Send a request and return its reply, read; both together may take `seconds`."""
        if self._ended is not None:
            raise Ended(self._ended)
        if self._session is None:
            self._session = self._open_session()
        channel = self._session.channel
        self._number += 1
        deadline = time.monotonic() + seconds
        try:
            if channel.waiting():
                self._end("it sent an answer before it was asked")
            channel.send(request | {"id": self._number}, seconds)
            reply = _read_dict(channel.receive(deadline - time.monotonic()))
            number = reply.pop("id", None)
            if type(number) is not int or number != self._number:
                raise WireError("no reply to this request")
            return read(reply)
        except (Closed, Late):
            self._end(self._session.ending())
        except WireError:
            self._end(NOT_AN_ANSWER)

    def _end(self, reason):
        self.close()
        self._ended = reason
        raise Ended(reason)


def _read_dict(reply):
    """Return a dict whose keys are texts: comparing others may run code, or fail."""
    if type(reply) is not dict or any(type(key) is not str for key in reply):
        raise WireError("not a dict with names")
    return reply


def _read_result(reply):
    if set(reply) != {"error", "output"}:
        raise WireError("not the result of a cell")
    error = reply["error"]
    if error is not None:
        raised = _read_raised(error)
        error = Error(raised["name"], raised["message"], tuple(raised["traceback"]))
    return CellResult(error, _read_text(reply["output"], LONGEST_OUTPUT))


def _read_outcome(reply):
    match _only(reply):
        case "value", value:
            return {"value": value}
        case "raised", raised:
            return {"raised": _read_raised(raised)}
        case "missing", True:
            return {"missing": True}
        case ("refused" | "not callable") as key, text:
            return {key: _read_text(text)}
    raise WireError("not the outcome of a call")


def _read_found(reply):
    match _only(reply):
        case "value", value:
            return {"value": value}
        case ("callable" | "missing") as key, True:
            return {key: True}
        case ("refused" | "module") as key, text:
            return {key: _read_text(text)}
    raise WireError("not what a name stands for")


def _read_forbidden(reply):
    match _only(reply):
        case "forbidden", names:
            return _read_texts(names, MOST_NAMES)
    raise WireError("not what is forbidden")


def _only(reply):
    if len(reply) != 1:
        raise WireError("not one answer")
    return next(iter(reply.items()))


def _read_raised(raised):
    if set(_read_dict(raised)) != {"name", "ancestors", "message", "traceback"}:
        raise WireError("not an exception")
    name = _read_text(raised["name"], LONGEST_NAME)
    return {
        "name": name if name.isidentifier() else "Exception",
        "ancestors": _read_texts(raised["ancestors"], MOST_LINES),
        "message": _read_text(raised["message"]),
        "traceback": _read_texts(raised["traceback"], MOST_LINES),
    }


def _read_texts(texts, most):
    if type(texts) not in (list, tuple):
        raise WireError("not a list of texts")
    return [_read_text(text) for text in texts[:most]]


def _read_text(text, longest=LONGEST_TEXT):
    """Return a text, cut, with a mark for each character that does not stand for itself."""
    if type(text) is not str:
        raise WireError("not a text")
    return UNSEEN.sub("\N{REPLACEMENT CHARACTER}", text[:longest])
