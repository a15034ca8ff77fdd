#!/usr/bin/env python3
"""Unpacks an OCI image and runs the program in it as a container would: as its own user, with a root that cannot be
written, the state in a volume and the config mounted. The agent has to come to its first passage at a real broker; the
centre has to have all that ten made-up agents sent in a real PostgreSQL.

    image_test.py IMAGE.tar [--work DIR] [--kakou PROGRAM]

No container engine is needed: the layers are unpacked as the specification says, and the root is bound read-only in a mount
namespace. Needs root and Mosquitto; for the centre PostgreSQL, and the agent's program for the made-up agents.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from box import TestFailure, check, wait_for  # noqa: E402
from broker import Broker, Subscriber, free_port  # noqa: E402

REPOSITORY = Path(__file__).resolve().parents[3]
SITE, AGENT = "image-test", "gate-1"


class Image:
    """An OCI archive, unpacked."""

    def __init__(self, archive, folder):
        self.folder, self.root = folder, folder / "root"
        self.root.mkdir(parents=True)
        with tarfile.open(archive) as file:
            file.extractall(folder / "oci", filter="data")
        (entry,) = json.loads((folder / "oci/index.json").read_text())["manifests"]
        manifest = json.loads(self.blob(entry["digest"]).read_text())
        self.config = json.loads(self.blob(manifest["config"]["digest"]).read_text())["config"]
        self.name = self.config["Labels"]["org.opencontainers.image.title"]
        self.user, self.group = self.config["User"].split(":")
        for layer in manifest["layers"]:
            subprocess.run(["tar", "--extract", "--numeric-owner", "--same-owner", "--preserve-permissions", "--file",
                            self.blob(layer["digest"]), "--directory", self.root], check=True)
        check(self.user.isdigit() and self.user != "0", f"the user is {self.user!r}: an engine cannot see that it is not root")
        check(list(self.config["Volumes"]) == [f"/var/lib/{self.name}"], f"volumes: {self.config['Volumes']}")

    def blob(self, digest):
        return self.folder / "oci/blobs" / digest.replace(":", "/")

    def settings(self, folder):
        """A copy of its config, with its rights and its owner: the program must be able to read the one in the image."""
        subprocess.run(["cp", "-a", self.root / "etc" / self.name, folder], check=True)
        return folder / f"{self.name}.toml"

    def command(self, arguments, config, state):
        """How a container would be started: `arguments` take the place of the image's own, None leaves them."""
        inner = [*self.config["Entrypoint"], *(self.config["Cmd"] if arguments is None else arguments)]
        script = f"""
            mount --bind {self.root} {self.root}
            mount --bind {config.parent} {self.root}/etc/{self.name}
            mount --bind {state} {self.root}/var/lib/{self.name}
            mount --bind {REPOSITORY}/agent/samples/day {self.root}/mnt
            mount -t proc proc {self.root}/proc
            mount -t tmpfs tmpfs {self.root}/tmp
            mount --bind /dev {self.root}/dev
            mount -o remount,bind,ro {self.root}
            exec chroot {self.root} setpriv --no-new-privs --bounding-set=-all --inh-caps=-all --reuid={self.user} \\
              --regid={self.group} --clear-groups env -i {" ".join(self.config["Env"])} "$@"
        """
        return ["unshare", "--mount", "bash", "-euc", script, "image", *inner]

    def run(self, arguments, config, state):
        return subprocess.run(self.command(arguments, config, state), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True)


    def start(self, config, state, log):
        with open(log, "w") as file:
            return subprocess.Popen(self.command(None, config, state), stdin=subprocess.DEVNULL, stdout=file, stderr=file)


def write(config, changes):
    text = config.read_text()
    for there, instead in changes:
        check(there in text, f"the example has no {there}")
        text = text.replace(there, instead, 1)
    config.write_text(text)


def ended(process, log):
    process.terminate()
    check(process.wait(60) == 0, f"after SIGTERM: {process.returncode}\n{log.read_text()[-2000:]}")


def agent(image, work, state, broker):
    config, log = image.settings(work / "config"), work / "log"
    told = image.run(["--version"], config, state)
    check(told.returncode == 0 and told.stdout.startswith("kakou "), told.stdout)
    print(told.stdout.strip())
    example = image.run(None, config, state)
    check(example.returncode == 78, f"the example was started: {example.returncode} {example.stdout}")
    write(config, (('site = "north-gate"', f'site = "{SITE}"'), ('agent = "box-1"', f'agent = "{AGENT}"'),
                   ('url = "mqtts://broker.example"', f'url = "mqtt://127.0.0.1:{broker.port}"'),
                   ('url = "rtsp://10.0.0.11/stream1"', 'url = "/mnt"\nloop = true'),
                   ('user = "kakou"', ""), ('password_file = "credential:entry-password"', "")))
    told = image.run(["check-config", "/etc/kakou/kakou.toml"], config, state)
    check(told.returncode == 0, f"check-config: {told.stdout}")
    told = image.run(["models", "verify"], config, state)
    check(told.returncode == 0, f"models verify: {told.stdout}")
    subscriber = Subscriber(broker)
    process = image.start(config, state, log)
    began = time.monotonic()
    try:
        subscriber.next("a passage", 120, lambda topic, _: f"/{SITE}/{AGENT}/passage/" in f"/{topic}")
        print(f"the first passage after {time.monotonic() - began:.1f} s")
        ended(process, log)
    except TestFailure as failure:
        raise TestFailure(f"{failure}\n{log.read_text()[-3000:]}") from None
    finally:
        process.kill()
        process.wait()
        subscriber.stop()
    check((state / "outbox.db").stat().st_uid == int(image.user), "the outbox does not belong to the user")


class Postgres:
    """A cluster of its own on a free port of 127.0.0.1, as the user postgres."""

    def __init__(self, folder):
        programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
        check(programs, "PostgreSQL is not installed: apt-get install postgresql")
        self.port = free_port()
        folder.mkdir(parents=True)
        shutil.chown(folder, "postgres")
        # Every folder above it is open to its user.
        as_postgres = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        subprocess.run([*as_postgres, programs[-1].parent / "initdb", "-D", folder / "data", "-U", "kakou", "-A", "trust",
                        "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"], check=True, stdout=subprocess.DEVNULL, cwd="/")
        self.process = subprocess.Popen(
            [*as_postgres, programs[-1], "-D", folder / "data", "-p", str(self.port), "-k", folder,
             "-c", "listen_addresses=127.0.0.1"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/")
        wait_for("PostgreSQL listens", 30, self.listens)
        subprocess.run(["psql", "-q", "-h", "127.0.0.1", "-p", str(self.port), "-U", "kakou", "-d", "postgres", "-c",
                        "CREATE DATABASE kakou"], check=True)

    def listens(self):
        check(self.process.poll() is None, "PostgreSQL ended at its start")
        told = subprocess.run(["pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)])
        return told.returncode == 0

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(30)


def centre(image, work, state, broker, program):
    check(program.is_file(), f"{program} is not there: it makes the agents up; `make build` builds it")
    config, log = image.settings(work / "config"), work / "log"
    told = image.run(["--version"], config, state)
    check(told.returncode == 0 and told.stdout.startswith("kakou-central "), told.stdout)
    print(told.stdout.strip())
    with tempfile.TemporaryDirectory(prefix="kakou-image-") as folder:
        os.chmod(folder, 0o755)
        postgres = Postgres(Path(folder) / "postgres")
        process = None
        try:
            database = f"host=127.0.0.1 port={postgres.port} user=kakou dbname=kakou"
            write(config, (('urls = ["mqtts://broker.example"]', f'urls = ["mqtt://127.0.0.1:{broker.port}"]'),
                           ('url = "host=/run/postgresql user=kakou-central dbname=kakou"', f'url = "{database}"')))
            named = ["--config", "/etc/kakou-central/kakou-central.toml"]
            told = image.run(["check-config", *named], config, state)
            check(told.returncode == 0, f"check-config: {told.stdout}")
            process = image.start(config, state, log)
            # The broker must know for whom to keep what comes.
            wait_for("it has subscribed", 60, lambda: log.read_text().count("subscribed") >= 3)
            subprocess.run([program, "load", "--agents", "10", "--count", "200", "--rate", "50", "--pictures", "1",
                            "--broker", f"mqtt://127.0.0.1:{broker.port}"], check=True, stdout=subprocess.DEVNULL)

            def whole():
                told = image.run(["gaps", *named], config, state)
                return told.returncode == 0 and "10 agents, 0 messages missing" in told.stdout

            wait_for("nothing is missing", 60, whole)
            check(any((state / "objects").rglob("*.jpg")), "no picture is in the volume")
            ended(process, log)
        except TestFailure as failure:
            raise TestFailure(f"{failure}\n{log.read_text()[-3000:] if log.exists() else ''}") from None
        finally:
            if process:
                process.kill()
                process.wait()
            postgres.stop()
    print("all that 10 agents sent is there")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("image", type=Path, metavar="IMAGE.tar")
    parser.add_argument("--work", type=Path, default=REPOSITORY / "out/image", metavar="DIR")
    parser.add_argument("--kakou", type=Path, default=REPOSITORY / "target/release/kakou", metavar="PROGRAM")
    args = parser.parse_args()
    check(os.geteuid() == 0, "mounts need root; call it by sudo")
    work = args.work.resolve() / f"test-{os.getpid()}"
    broker = Broker(work / "broker")
    broker.start()
    try:
        image = Image(args.image, work / "image")
        state = work / "state"
        state.mkdir()
        os.chown(state, int(image.user), int(image.group))
        if image.name == "kakou-central":
            centre(image, work, state, broker, args.kakou)
        else:
            agent(image, work, state, broker)
    finally:
        broker.stop()
        shutil.rmtree(work, ignore_errors=True)
    print("the image is as it should be")


if __name__ == "__main__":
    try:
        main()
    except (TestFailure, subprocess.CalledProcessError, OSError) as error:
        sys.exit(f"image test: {error}")
