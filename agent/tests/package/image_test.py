#!/usr/bin/env python3
"""Unpacks the OCI image and runs the agent in it as a container would: as its own user, with a root that cannot be
written, the state in a volume and the config mounted, to the first passage at a real broker.

    image_test.py IMAGE.tar [--work DIR]

No container engine is needed: the layers are unpacked as the specification says, and the root is bound read-only in a mount
namespace. Needs root and Mosquitto.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tarfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from box import TestFailure, check  # noqa: E402
from broker import Broker, Subscriber  # noqa: E402

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
        for layer in manifest["layers"]:
            subprocess.run(["tar", "--extract", "--numeric-owner", "--same-owner", "--preserve-permissions", "--file",
                            self.blob(layer["digest"]), "--directory", self.root], check=True)

    def blob(self, digest):
        return self.folder / "oci/blobs" / digest.replace(":", "/")

    def command(self, arguments, config, state):
        """How a container would be started: `arguments` take the place of the image's own, None leaves them."""
        inner = [*self.config["Entrypoint"], *(self.config["Cmd"] if arguments is None else arguments)]
        user, group = self.config["User"].split(":")
        script = f"""
            mount --bind {self.root} {self.root}
            mount --bind {config.parent} {self.root}/etc/kakou
            mount --bind {state} {self.root}/var/lib/kakou
            mount --bind {REPOSITORY}/agent/samples/day {self.root}/mnt
            mount -t proc proc {self.root}/proc
            mount -t tmpfs tmpfs {self.root}/tmp
            mount --bind /dev {self.root}/dev
            mount -o remount,bind,ro {self.root}
            exec chroot {self.root} setpriv --no-new-privs --bounding-set=-all --inh-caps=-all --reuid={user} \\
              --regid={group} --clear-groups env -i {" ".join(self.config["Env"])} "$@"
        """
        return ["unshare", "--mount", "bash", "-euc", script, "image", *inner]

    def run(self, arguments, config, state):
        return subprocess.run(self.command(arguments, config, state), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("image", type=Path, metavar="IMAGE.tar")
    parser.add_argument("--work", type=Path, default=REPOSITORY / "out/image", metavar="DIR")
    args = parser.parse_args()
    check(os.geteuid() == 0, "mounts need root; call it by sudo")
    work = args.work.resolve() / f"test-{os.getpid()}"
    broker = Broker(work / "broker")
    broker.start()
    subscriber = Subscriber(broker)
    agent = None
    try:
        image = Image(args.image, work / "image")
        user = image.config["User"].split(":")[0]
        check(user.isdigit() and user != "0", f"the user is {user!r}: an engine cannot see that it is not root")
        check(list(image.config["Volumes"]) == ["/var/lib/kakou"], f"volumes: {image.config['Volumes']}")
        state = work / "state"
        state.mkdir()
        os.chown(state, int(user), int(user))
        config = work / "config/kakou.toml"
        # With its rights and its owner: the agent must be able to read the one in the image.
        subprocess.run(["cp", "-a", image.root / "etc/kakou", config.parent], check=True)
        told = image.run(["--version"], config, state)
        check(told.returncode == 0 and told.stdout.startswith("kakou "), told.stdout)
        print(told.stdout.strip())
        example = image.run(None, config, state)
        check(example.returncode == 78, f"the example was started: {example.returncode} {example.stdout}")
        text = config.read_text()
        for there, instead in (('site = "north-gate"', f'site = "{SITE}"'), ('agent = "box-1"', f'agent = "{AGENT}"'),
                               ('url = "mqtts://broker.example"', f'url = "mqtt://127.0.0.1:{broker.port}"'),
                               ('url = "rtsp://10.0.0.11/stream1"', 'url = "/mnt"\nloop = true'),
                               ('user = "kakou"', ""), ('password_file = "credential:entry-password"', "")):
            check(there in text, f"the example has no {there}")
            text = text.replace(there, instead, 1)
        config.write_text(text)
        told = image.run(["check-config", "/etc/kakou/kakou.toml"], config, state)
        check(told.returncode == 0, f"check-config: {told.stdout}")
        told = image.run(["models", "verify"], config, state)
        check(told.returncode == 0, f"models verify: {told.stdout}")
        with open(work / "log", "w") as log:
            agent = subprocess.Popen(image.command(None, config, state), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        began = time.monotonic()
        try:
            subscriber.next("a passage", 120, lambda topic, _: f"/{SITE}/{AGENT}/passage/" in f"/{topic}")
        except TestFailure as failure:
            raise TestFailure(f"{failure}\n{(work / 'log').read_text()[-3000:]}") from None
        print(f"the first passage after {time.monotonic() - began:.1f} s")
        agent.terminate()
        check(agent.wait(30) == 0, f"after SIGTERM: {agent.returncode}\n{(work / 'log').read_text()[-2000:]}")
        agent = None
        check((state / "outbox.db").stat().st_uid == int(user), "the outbox does not belong to the user")
    finally:
        if agent:
            agent.kill()
            agent.wait()
        subscriber.stop()
        broker.stop()
        shutil.rmtree(work, ignore_errors=True)
    print("the image is as it should be")


if __name__ == "__main__":
    try:
        main()
    except (TestFailure, subprocess.CalledProcessError, OSError) as error:
        sys.exit(f"image test: {error}")
