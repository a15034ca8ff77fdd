#!/usr/bin/env python3
"""Installs, upgrades, rolls back, removes and purges the package on a bare Debian, as its users do.

    package_test.py OLD.deb NEW.deb [--release 12] [--work DIR] [--quick]

--quick: installation, first start and purge alone. Needs root, and Debian's mirror for the first run. Ends with the
seconds of each step; exit code 1 at the first thing that is not as it should be.
"""

import argparse
import gzip
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from box import Box, TestFailure, check, missing_programs, wait_for  # noqa: E402
from broker import PASSWORD, USER, Broker, Subscriber  # noqa: E402

REPOSITORY = Path(__file__).resolve().parents[3]
SITE, AGENT = "package-test", "gate-1"
CONFIG, STATE = "/etc/kakou/kakou.toml", "/var/lib/kakou"
AS_KAKOU = "setpriv --reuid=kakou --regid=kakou --clear-groups"


class Page:
    """The box's own page, as a browser asks it. The box has the network of this machine."""

    def __init__(self, port):
        self.address, self.headers = f"http://127.0.0.1:{port}", {"Content-Type": "application/json"}

    def is_there(self):
        try:
            urllib.request.urlopen(self.address, timeout=5)
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False
        return True

    def ask(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.address + path, data, self.headers, method=method)
        try:
            answer = urllib.request.urlopen(request, timeout=60)
        except urllib.error.HTTPError as error:
            raise TestFailure(f"{method} {path}: {error.code} {error.read().decode(errors='replace')}") from None
        if cookie := answer.headers["Set-Cookie"]:
            self.headers["Cookie"] = cookie.split(";")[0]
        return json.load(answer)

    def enter(self, name, password):
        session = self.ask("POST", "/api/v1/login", {"name": name, "password": password})
        self.headers["X-Kakou-Csrf"] = session["csrf"]


class Trial:
    def __init__(self, box, broker, subscriber, old, new):
        self.box, self.broker, self.subscriber, self.old, self.new = box, broker, subscriber, old, new
        self.times = []

    def step(self, function, *args):
        began = time.monotonic()
        try:
            function(*args)
        except TestFailure as failure:
            told = self.box.try_run("journalctl -u kakou.service --no-pager -n 30").stdout
            raise TestFailure(f"{function.__doc__}: {failure}\n{told}") from None
        seconds = time.monotonic() - began
        self.times.append((function.__doc__.strip().splitlines()[0].rstrip("."), seconds))
        print(f"{seconds:7.1f} s  {self.times[-1][0]}", flush=True)

    # A newcomer's steps, each timed.

    def package_lists(self):
        """apt-get update."""
        self.box.run("apt-get update -qq")

    def install(self):
        """apt-get install ./kakou.deb, with ffmpeg and all that it needs."""
        self.before = self.files()
        shutil.copy(self.old, self.box.path("/srv/kakou-old.deb"))
        shutil.copy(self.new, self.box.path("/srv/kakou-new.deb"))
        told = self.box.run("apt-get install -y --no-install-recommends /srv/kakou-old.deb")
        check("still the example" in told and "systemctl start kakou" in told, f"no word of what to do next: {told[-800:]}")

    def example(self):
        """An example that nobody has edited starts nothing."""
        box = self.box
        check(box.run("systemctl is-enabled kakou").strip() == "enabled", "the service is not enabled")
        check(box.property("ActiveState") == "inactive", "the first installation started the service")
        check(box.run(f"stat -c '%a %U:%G' {CONFIG}").strip() == "640 root:kakou", "mode of the config")
        check(box.run(f"stat -c '%a %U:%G' {STATE}").strip() == "750 kakou:kakou", "mode of the state folder")
        check(box.run("stat -c '%a %U' /etc/kakou/secrets").strip() == "700 root", "mode of the secrets")
        check("WRONG" not in box.run("kakou models verify"), "models")
        for page in ("man1/kakou.1.gz", "man1/kakou-run.1.gz", "man1/kakou-outbox-status.1.gz"):
            check(box.path(f"/usr/share/man/{page}").exists(), f"no man page {page}")
        for name in ("bash-completion/completions/kakou", "zsh/vendor-completions/_kakou", "fish/vendor_completions.d/kakou.fish"):
            check(box.path(f"/usr/share/{name}").exists(), f"no completion {name}")
        self.licences()
        check(box.try_run("systemctl start kakou").returncode != 0, "the example was started")
        time.sleep(5)  # longer than RestartSec
        state = [box.property(name) for name in ("ActiveState", "ExecMainStatus", "NRestarts")]
        check(state == ["failed", "78", "0"], f"after the start of an example: {state}")
        check(CONFIG in box.journal(), f"the log does not name the file: {box.journal()}")
        check(not box.path(f"{STATE}/outbox.db").exists(), "the example has bound the outbox to its ids")

    def licences(self):
        """What the package hands on of others is named with its licence, and its texts are there."""
        folder = self.box.path("/usr/share/doc/kakou")
        told = gzip.decompress((folder / "third-party.txt.gz").read_bytes()).decode()
        for crate in ("rumqttc", "rusqlite", "tokio", "ring"):
            check(re.search(rf"^  {crate} \d[^ ]*  \S", told, re.MULTILINE), f"third-party.txt.gz does not name {crate}")
        for text in ("Permission is hereby granted", "Apache License", "ONNX Runtime: onnxruntime-ThirdPartyNotices.txt"):
            check(text in told, f"third-party.txt.gz has no `{text}`")
        check("third-party.txt.gz" in (folder / "copyright").read_text(), "copyright does not say where the rest is")

    def configure(self):
        """The one file edited, and checked."""
        shutil.copytree(REPOSITORY / "agent/samples/day", self.box.path("/srv/day"))
        text = self.box.path(CONFIG).read_text()
        for there, instead in (('site = "north-gate"', f'site = "{SITE}"'), ('agent = "box-1"', f'agent = "{AGENT}"'),
                               ('url = "mqtts://broker.example"', f'url = "mqtt://127.0.0.1:{self.broker.port}"'),
                               ('url = "rtsp://10.0.0.11/stream1"', 'url = "/srv/day"\nloop = true'),
                               ('user = "kakou"', ""), ('password_file = "credential:entry-password"', "")):
            check(there in text, f"the example has no {there}")
            text = text.replace(there, instead, 1)
        self.box.path(CONFIG).write_text(text)
        self.box.run(f"kakou check-config {CONFIG}")

    def first_passage(self):
        """systemctl start kakou, to the first passage at the subscriber."""
        self.box.run("systemctl start kakou")
        self.subscriber.next("a passage", 60, lambda topic, _: f"/{SITE}/{AGENT}/passage/" in f"/{topic}")

    def page(self):
        """Lanes drawn on the box's own page come into a config that only root may write."""
        box, config = self.box, self.box.path(CONFIG)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        config.write_text(config.read_text() + f'\n[panel]\nlisten = "127.0.0.1:{port}"\n')
        box.run(f"echo 'long enough 1' | kakou panel user add fitter --role installer --state {STATE}")
        pid = box.property("MainPID")
        box.run("systemctl reload kakou")
        page = Page(port)
        wait_for("the page", 30, page.is_there)
        page.enter("fitter", "long enough 1")
        path = "/api/v1/cameras/entry/config"
        geometry = page.ask("GET", path)
        check(geometry["writable"], "the page says that lanes cannot be saved")
        geometry["lanes"][0]["name"] = "drawn on the page"
        before, saved = config.read_text(), page.ask("PUT", path, geometry)
        check('name = "drawn on the page"' in config.read_text(), "the config has no word of it")
        kept = box.path(f"/etc/kakou/{saved['backup']}")
        check(kept.read_text() == before, "the old config is not kept")
        owner = box.run(f"stat -c '%U:%G %a' {CONFIG}").strip()
        check(owner == "root:kakou 640", f"the config is {owner}")
        check(box.property("MainPID") == pid, "it took a restart")
        # The agent is believed nothing else.
        proposal = f"{STATE}/config.proposed.toml"
        box.run(f"sed 's,mqtt://,mqtt://elsewhere.example,' {CONFIG} > /tmp/p && install -o kakou -m 640 /tmp/p {proposal}")
        wait_for("the helper's refusal", 20, lambda: not box.path(proposal).exists())
        check("elsewhere" not in config.read_text(), "another broker was taken")
        check(box.try_run("systemctl is-active kakou-config.path").stdout.strip() == "active", "kakou-config.path is not active")

    # The rest of a box's life.

    def birth(self):
        """The status names version and commit."""
        # From here on speed says nothing about a newcomer's day: dpkg need not wait for the disk.
        self.box.path("/etc/dpkg/dpkg.cfg.d/test").write_text("force-unsafe-io\n")
        told = self.box.run("kakou --version")
        commit = re.search(r"\((\w{10})", told)
        status = self.subscriber.next("status", 5, lambda topic, _: topic.endswith(f"/{AGENT}/status"))
        version = status["software"]["version"]
        check(commit and commit[1] in version, f"{told.strip()} beside {version}")

    def exposure(self):
        """systemd-analyze security, at most 1.9."""
        told = self.box.run("systemd-analyze security --no-pager kakou.service")
        level = float(re.search(r"Overall exposure level for kakou.service: ([\d.]+)", told)[1])
        check(level <= 1.9, f"systemd-analyze security: {level}")
        print(f"           exposure level {level}")

    def credential(self):
        """A password by LoadCredential= where the broker asks for one."""
        box, secret = self.box, "/etc/kakou/secrets/broker-password"
        self.broker.stop()
        self.broker.start(ask_for_password=True)
        self.drop_in("secrets", f"LoadCredential=broker-password:{secret}")
        check(box.try_run("systemctl restart kakou").returncode != 0, "started without the file of a credential")
        check("CREDENTIALS" in box.try_run("systemctl status kakou").stdout, "the status does not name credentials")
        box.path(secret).write_text(PASSWORD + "\n")
        box.run(f"chmod 600 {secret}")
        config = box.path(CONFIG)
        config.write_text(config.read_text().replace(
            '# user = "box-1"\n# password_file =', f'user = "{USER}"\npassword_file =', 1))
        after = self.subscriber.count()
        box.run("systemctl restart kakou")
        self.online(after)

    def reload(self):
        """systemctl reload takes a second camera in without a restart."""
        box, before = self.box, self.box.property("MainPID")
        config = box.path(CONFIG)
        text = config.read_text()
        camera = text[text.index("[[camera]]"):]
        config.write_text(text + "\n" + camera.replace('id = "entry"', 'id = "exit"', 1))
        after = self.subscriber.count()
        box.run("systemctl reload kakou")
        self.subscriber.next("a passage of the second camera", 60, lambda topic, _: topic.endswith("/passage/exit"), after)
        check(box.property("MainPID") == before, "the reload was a restart")

    def watchdog(self):
        """A process that hangs is ended by the watchdog, and started again."""
        box = self.box
        self.drop_in("watchdog", "WatchdogSec=6")
        box.run("systemctl restart kakou")
        pid, after = box.property("MainPID"), self.subscriber.count()
        box.run(f"kill -STOP {pid}")
        wait_for("a restart by the watchdog", 30, lambda: box.property("NRestarts") == "1")
        check("watchdog" in box.journal().lower(), "the journal does not say why")
        self.online(after)
        box.run("rm /etc/systemd/system/kakou.service.d/watchdog.conf && systemctl daemon-reload && systemctl restart kakou")

    def end_under_load(self):
        """SIGTERM while messages are committed and sent; what was committed arrives."""
        box = self.box
        load = (f"kakou load --state {STATE}/load --site {SITE} --agent load --broker "
                f"mqtt://{USER}:{PASSWORD}@127.0.0.1:{self.broker.port}")
        box.run(f"systemd-run --quiet --unit=load -p User=kakou {load} --pictures 1 --rate 300 --print")
        self.subscriber.next("load", 30, lambda topic, _: topic.endswith("/load/passage/load"))
        time.sleep(2)
        box.run("systemctl stop kakou load")  # both at once: the agent's own end is under load too
        committed = re.findall(r"committed (\d+) passage", box.run("journalctl -u load.service --no-pager -o cat"))
        check(len(committed) > 100, f"only {len(committed)} passages were committed; that is no load")
        box.run(f"{AS_KAKOU} {load} --count 0")
        wait_for("what was committed under load", 30,
                 lambda: {int(number) for number in committed} <= self.subscriber.numbers(SITE, "load"))
        box.run(f"rm -r {STATE}/load && systemctl start kakou")
        print(f"           {len(committed)} passages committed before SIGTERM, all delivered")

    def fill(self):
        """An outbox with more than a thousand messages that no broker takes."""
        self.box.run("systemctl stop kakou")
        self.broker.stop()
        self.box.run(f"{AS_KAKOU} kakou load --state {STATE} --site {SITE} "
                     f"--agent {AGENT} --count 600 --pictures 1")
        self.box.run("systemctl start kakou")
        wait_for("the agent's own messages beside them", 60, lambda: self.outbox()["waiting"] > 1210)

    def upgrade(self):
        """Upgrade with a full outbox: rows, key and config stay, the service is restarted."""
        self.replace("/srv/kakou-new.deb", "")

    def roll_back(self):
        """The former version again, with the full outbox."""
        self.replace("/srv/kakou-old.deb", "--allow-downgrades")

    def replace(self, package, options):
        box = self.box
        kept = f"sha256sum {STATE}/agent.key {CONFIG}; stat -c '%n %a %U:%G' {STATE} {STATE}/agent.key {CONFIG}"
        pid, same, before = box.property("MainPID"), box.run(kept), self.outbox()
        check(before["waiting"] > 1200, f"the outbox is not full: {before}")
        box.run(f"apt-get install -y --no-install-recommends {options} {package}")
        check(box.property("ActiveState") == "active", "the service does not run after the upgrade")
        check(box.property("MainPID") != pid, "the former version is still running")
        check(box.run(kept) == same, f"changed by the upgrade: {same} {box.run(kept)}")
        version = box.run("dpkg-query -W -f '${Version}' kakou")
        wanted = box.run("dpkg-deb -f " + package + " Version").strip()
        check(version == wanted, f"{version} instead of {wanted}")
        after = self.outbox()
        check(after["waiting"] >= before["waiting"] and after["sequence"] >= before["sequence"], f"{before} {after}")

    def drain(self):
        """All that was ever committed has arrived, pictures too."""
        box = self.box
        self.broker.start(ask_for_password=True)
        wait_for("an empty outbox", 180, lambda: time.sleep(1) or self.outbox()["waiting"] == 0)
        box.run("systemctl stop kakou")
        # What was delivered is kept for a day, so that the outbox itself says what there was.
        rows = box.run(f"kakou outbox export --state {STATE} --pictures /srv/pictures 2>/dev/null; rm -r /srv/pictures")
        rows = [json.loads(row) for row in rows.splitlines()]
        last = max(row["sequence"] for row in rows)
        check(len(rows) > 1200 and len(rows) == last, f"{len(rows)} messages in the outbox, the last has number {last}")
        ids = {row["id"] for row in rows if row["place"] == "kept"}
        try:
            wait_for("all messages", 30, lambda: not self.subscriber.missing(ids))
        except TestFailure:
            missing = self.subscriber.missing(ids)
            lost = [(row["sequence"], row["topic"]) for row in rows if row["id"] in missing]
            raise TestFailure(f"{len(lost)} of {last} messages have not arrived: {lost[:50]}") from None
        box.run(f"kakou outbox verify --state {STATE} && systemctl start kakou")
        print(f"           {len(ids)} messages, none missing")

    def lost_box(self):
        """The key of a lost box goes on without its outbox, with numbers above all former ones."""
        box, last = self.box, self.outbox()["sequence"]
        box.run(f"systemctl stop kakou && rm {STATE}/outbox.db*")
        check(box.try_run("systemctl start kakou").returncode != 0, "a key without its outbox was started")
        box.run("systemctl stop kakou")
        box.run(f"{AS_KAKOU} kakou outbox repair --agent {SITE}/{AGENT} --state {STATE}")
        after = self.subscriber.count()
        box.run("systemctl start kakou")
        self.online(after)
        check(self.outbox()["sequence"] > last, "numbers are used twice")

    def remove(self):
        """Removal stops the agent and keeps config, key and outbox."""
        box = self.box
        box.run("apt-get remove -y kakou")
        check(box.run("readlink /proc/[0-9]*/exe || true").count("/usr/bin/kakou") == 0, "the agent still runs")
        for name in (CONFIG, f"{STATE}/agent.key", f"{STATE}/outbox.db"):
            check(box.path(name).exists(), f"the removal took {name}")
        check(not box.path("/usr/bin/kakou").exists(), "the program is still there")

    def purge(self):
        """A purge leaves nothing."""
        box = self.box
        ids = box.run("id -u kakou; id -g kakou").split()
        box.run("rm -rf /etc/systemd/system/kakou.service.d")  # the administrator's own
        box.run("apt-get purge -y kakou")
        left = box.run(f"find / -xdev \\( -uid {ids[0]} -o -gid {ids[1]} -o -nouser -o -nogroup \\) -print").split()
        check(not left, f"files of the user are left: {left}")
        check(box.try_run("getent passwd kakou; getent group kakou").stdout == "", "the user is left")
        left = sorted(name for name in self.files() - self.before if "kakou" in name)
        check(not left, f"left by the purge: {left}")
        check(box.property("LoadState") == "not-found", "systemd still knows the unit")

    # Means.

    def files(self):
        """All names on the box but the packages that this test brings, and apt's and systemd's own records."""
        own = "-path /srv -prune -o -path /var/cache -prune -o -path /var/log -prune"
        return set(self.box.run(f"find / -xdev {own} -o -print").splitlines())

    def outbox(self):
        told = json.loads(self.box.run(f"kakou outbox status --json --state {STATE}"))
        return {"waiting": sum(lane["waiting"] for lane in told["lanes"].values()), "sequence": told["sequence"]}

    def drop_in(self, name, line):
        folder = self.box.path("/etc/systemd/system/kakou.service.d")
        folder.mkdir(exist_ok=True)
        (folder / f"{name}.conf").write_text(f"[Service]\n{line}\n")
        self.box.run("systemctl daemon-reload")

    def online(self, after):
        self.subscriber.next("an agent that is online", 60,
                             lambda topic, message: topic.endswith(f"/{AGENT}/status") and message["state"] == "online", after)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", type=Path, metavar="OLD.deb")
    parser.add_argument("new", type=Path, metavar="NEW.deb")
    parser.add_argument("--release", choices=("12", "13"), default="12", help="of Debian")
    parser.add_argument("--work", type=Path, default=REPOSITORY / "out/package", metavar="DIR")
    parser.add_argument("--quick", action="store_true", help="installation, first start and purge alone")
    args = parser.parse_args()
    check(os.geteuid() == 0, "systemd-nspawn needs root; call it by sudo")
    missing = missing_programs()
    check(not missing, f"missing: apt-get install {' '.join(missing)}")
    broker, began = Broker(args.work.resolve() / f"broker-{os.getpid()}"), time.monotonic()
    broker.start()
    subscriber = Subscriber(broker)
    try:
        with Box(args.release, args.work.resolve()) as box:
            trial = Trial(box, broker, subscriber, args.old, args.new)
            print(f"Debian {args.release} has booted after {time.monotonic() - began:.1f} s", flush=True)
            first = [trial.package_lists, trial.install, trial.example, trial.configure, trial.first_passage]
            life = [trial.birth, trial.exposure, trial.credential, trial.reload, trial.watchdog, trial.end_under_load,
                    trial.fill, trial.upgrade, trial.roll_back, trial.drain, trial.lost_box]
            for step in first + [trial.page] + ([] if args.quick else life) + [trial.remove, trial.purge]:
                trial.step(step)
    finally:
        subscriber.stop()
        broker.stop()
        shutil.rmtree(broker.folder, ignore_errors=True)
    print(f"the package is as it should be ({time.monotonic() - began:.0f} s)")


if __name__ == "__main__":
    try:
        main()
    except (TestFailure, subprocess.CalledProcessError, OSError) as error:
        sys.exit(f"package test: {error}")
