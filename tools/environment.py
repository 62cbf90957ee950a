"""Make or update the environment `.venv`: `python3 tools/environment.py [--keras]`.

With `--keras`, add what chapter a2 alone needs. Where that cannot be installed, the rest works all
the same, so it is said in a line and is no error, except in CI.

Runs on whatever Python 3 the machine offers, so that it can say what is missing in one line.
"""

import hashlib
import os
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FOLDER = os.path.join(ROOT, ".venv")
PYTHON = os.path.join(FOLDER, "bin", "python")
READY = os.path.join(FOLDER, ".ready")
LOG = os.path.join(FOLDER, "install.log")
KERAS = os.path.join(FOLDER, ".keras")
DESCRIPTIONS = ("requirements.txt", "pyproject.toml")
OLDEST = (3, 11)
GIGABYTES = 3
CAUSES = (
    ("No space left on device", "the disk is full"),
    ("Failed to establish a new connection", "the package index cannot be reached: no network?"),
    ("Temporary failure in name resolution", "the package index cannot be reached: no network?"),
    ("Name or service not known", "the package index cannot be reached: no network?"),
    ("ConnectTimeout", "the package index does not answer: no network?"),
    ("ReadTimeout", "the package index does not answer: no network?"),
    ("ProxyError", "the package index cannot be reached through the proxy"),
    ("CERTIFICATE_VERIFY_FAILED", "the certificate of the package index cannot be verified"),
    ("No matching distribution found", "the package index lacks a package of requirements.txt"),
)


def fail(message):
    sys.exit("make: " + message)


def find_python():
    """Return a Python that is new enough, preferring the one that runs this file."""
    names = [f"python3.{minor}" for minor in range(OLDEST[1], 20)]
    for name in [sys.executable, *names]:
        path = shutil.which(name) if name else None
        if path is None:
            continue
        probe = f"import sys, venv, ensurepip; sys.exit(sys.version_info < {OLDEST!r})"
        if subprocess.call([path, "-c", probe], stderr=subprocess.DEVNULL) == 0:
            return path
    fail(
        "Python {}.{} or newer with its venv module is needed, and python3 here is {}.{}"
        " (Debian and Ubuntu: apt install python3-venv)".format(*OLDEST, *sys.version_info)
    )


def fingerprint():
    """Return a hash of all that the environment is made from."""
    digest = hashlib.sha256(ROOT.encode())
    for name in DESCRIPTIONS:
        with open(os.path.join(ROOT, name), "rb") as file:
            digest.update(file.read())
    return digest.hexdigest()


def is_ready(wanted):
    if not os.path.exists(READY) or not os.path.exists(PYTHON):
        return False
    with open(READY) as file:
        return file.read() == wanted


def run(step, *command):
    """Run one step; on failure name its cause in one line and keep the output in a file."""
    print(step, flush=True)
    with open(LOG, "ab") as log:
        code = subprocess.call(command, stdout=log, stderr=subprocess.STDOUT, cwd=ROOT)
    if code == 0:
        return
    with open(LOG, errors="replace") as log:
        text = log.read()
    cause = next((cause for sign, cause in CAUSES if sign in text), "pip failed")
    fail(f"{cause} (see {os.path.relpath(LOG, ROOT)})")


def add_keras():
    """Install requirements-keras.txt beside requirements.txt, whose pins stay as they are."""
    pip = [PYTHON, "-m", "pip", "install", "--disable-pip-version-check", "--retries", "2"]
    open(LOG, "w").close()
    try:
        run(
            "Environment: installing requirements-keras.txt",
            *[*pip, "-r", "requirements-keras.txt", "-c", "requirements.txt"],
        )
        run("Environment: checking that the packages fit", PYTHON, "-m", "pip", "check")
    except SystemExit as error:
        if os.environ.get("CI"):
            raise
        print(f"{error}; without Keras, chapter a2 cannot run, and its test is skipped")
        return
    open(KERAS, "w").close()


def main():
    wanted = fingerprint()
    if is_ready(wanted):
        os.utime(READY)
        return
    python = find_python()
    if shutil.disk_usage(ROOT).free < GIGABYTES * 2**30 and not os.path.exists(PYTHON):
        fail(f"{GIGABYTES} GB of free disk are needed for the environment")
    print("Environment: making .venv (a few minutes the first time)", flush=True)
    if not os.path.exists(PYTHON) and subprocess.call([python, "-m", "venv", FOLDER]) != 0:
        fail(f"{python} could not make a virtual environment in .venv")
    open(LOG, "w").close()
    pip = [PYTHON, "-m", "pip", "install", "--disable-pip-version-check", "--retries", "2"]
    run("Environment: installing requirements.txt", *pip, "-r", "requirements.txt")
    run(
        "Environment: installing cnnbook and referee",
        *[*pip, "--no-deps", "--no-build-isolation", "-e", "."],
    )
    run("Environment: checking that the packages fit", PYTHON, "-m", "pip", "check")
    with open(READY, "w") as file:
        file.write(wanted)


if __name__ == "__main__":
    add_keras() if sys.argv[1:] == ["--keras"] else main()
