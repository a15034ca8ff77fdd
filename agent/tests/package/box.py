"""A bare Debian that boots with its own systemd, to install the package in.

debootstrap makes the image once (from the mirror that this machine's apt uses) and systemd-nspawn boots a copy of it.
systemd, journal, sandbox and credentials are real; the network is the host's. Needs root.
"""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

PROGRAMS = {"debootstrap": "debootstrap", "systemd-nspawn": "systemd-container", "nsenter": "util-linux",
            "mosquitto": "mosquitto", "mosquitto_sub": "mosquitto-clients"}
CODENAMES = {"12": "bookworm", "13": "trixie"}


class TestFailure(Exception):
    """The text says what was expected and what was there."""


def check(holds, text):
    if not holds:
        raise TestFailure(text)


def wait_for(what, seconds, probe):
    """What `probe` gives as soon as it is true."""
    end = time.monotonic() + seconds
    while True:
        found = probe()
        if found:
            return found
        check(time.monotonic() < end, f"not within {seconds} s: {what}")
        time.sleep(0.1)


def missing_programs():
    """Debian packages of programs that are not there."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    return sorted({package for program, package in PROGRAMS.items() if not shutil.which(program, path=path)})


def mirror():
    """Where this machine's apt has Debian from."""
    out = subprocess.run(["apt-get", "indextargets", "--format", "$(REPO_URI) $(LABEL) $(COMPONENT)", "Created-By: Packages"],
                         capture_output=True, text=True, check=True).stdout
    found = [line.split()[0] for line in out.splitlines() if line.split()[1:] == ["Debian", "main"]]
    check(found, "apt of this machine names no mirror of Debian (apt-get indextargets); run it on Debian")
    return found[0]


def image(release, folder):
    """The folder of a bare Debian; made if it is not there yet."""
    root = folder / f"debian-{release}"
    if not root.exists():
        part = folder / f"debian-{release}.part"
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        with open(folder / f"debian-{release}.log", "w") as log:
            done = subprocess.run(["debootstrap", "--variant=minbase", "--include=systemd,systemd-sysv",
                                   CODENAMES[release], part, mirror()], stdout=log, stderr=subprocess.STDOUT)
        check(done.returncode == 0, f"debootstrap failed: {log.name}")
        part.rename(root)
    return root


class Box:
    """A machine that runs. Use it in a `with`: it is switched off and deleted at the end."""

    def __init__(self, release, folder):
        self.root = folder / f"box-{os.getpid()}"
        self.archives = folder / f"archives-{release}"
        self.log = folder / "console.log"
        (self.archives / "partial").mkdir(parents=True, exist_ok=True)
        base = image(release, folder)
        subprocess.run(["cp", "-a", "--reflink=auto", base, self.root], check=True)
        (self.root / "etc/apt/apt.conf.d/90keep").write_text('Binary::apt::APT::Keep-Downloaded-Packages "1";\n')
        self.process = self.leader = None

    def __enter__(self):
        try:
            self.boot()
        except BaseException:
            self.__exit__()
            raise
        return self

    def boot(self):
        # Not registered with systemd-machined: the host needs none of systemd's services.
        command = ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--resolv-conf=copy-host",
                   f"--bind={self.archives}:/var/cache/apt/archives", "--directory", self.root, "--boot"]
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
        self.leader = wait_for("the box has a first process", 30, self.first_process)
        wait_for("the box has booted", 60, lambda: self.try_run("systemctl is-system-running").stdout.strip()
                 in ("running", "degraded"))

    def first_process(self):
        check(self.process.poll() is None, f"systemd-nspawn ended: {self.log.read_text()}")
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        for pid in children:
            if Path(f"/proc/{pid}/exe").resolve().name == "systemd":
                return int(pid)
        return None

    def __exit__(self, *_):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.root, ignore_errors=True)

    def path(self, name):
        """A file of the box, seen from the host."""
        return self.root / name.lstrip("/")

    def try_run(self, command):
        environment = ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LANG=C.UTF-8", "DEBIAN_FRONTEND=noninteractive"]
        return subprocess.run(["nsenter", "--target", str(self.leader), "--all", "env", "--chdir=/root", "-i", *environment,
                               "bash", "-c", command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, errors="replace")

    def run(self, command):
        """Output of a command that must succeed."""
        done = self.try_run(command)
        check(done.returncode == 0, f"`{command}` ended with {done.returncode}: {done.stdout[-3000:]}")
        return done.stdout

    def property(self, name):
        return self.run(f"systemctl show --value -p {name} kakou.service").strip()

    def journal(self):
        return self.run("journalctl -u kakou.service --no-pager -o cat")
