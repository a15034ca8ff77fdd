"""A broker that can be stopped and asked for a password, and a subscriber that counts what arrived."""

import json
import socket
import subprocess
import threading

from box import check, wait_for

USER, PASSWORD = "box-1", "word-of-the-test"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Broker:
    """Mosquitto on the host, whose network the box shares. What it has taken outlives its end."""

    def __init__(self, folder):
        self.folder, self.port, self.process = folder, free_port(), None
        folder.mkdir(parents=True, exist_ok=True)
        self.passwords = folder / "passwords"
        self.passwords.touch()
        subprocess.run(["mosquitto_passwd", "-b", self.passwords, USER, PASSWORD], check=True, capture_output=True)

    def start(self, ask_for_password=False):
        who = f"password_file {self.passwords}" if ask_for_password else ""
        (self.folder / "mosquitto.conf").write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous {str(not ask_for_password).lower()}\n{who}\n"
            f"user root\npersistence true\npersistence_location {self.folder}/\nmax_queued_messages 0\nmax_inflight_messages 4096\n")
        self.process = subprocess.Popen(["mosquitto", "-c", self.folder / "mosquitto.conf"], stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        wait_for("the broker listens", 10, self.listens)

    def listens(self):
        check(self.process.poll() is None, "mosquitto ended at its start")
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait(20)
            self.process = None


class Subscriber:
    """All messages of the boxes, by a session that the broker keeps while one of the two is away."""

    def __init__(self, broker):
        # Messages of text, and the ids of all messages, pictures too.
        self.messages, self.ids, self.changed = [], set(), threading.Condition()
        self.process = subprocess.Popen(
            ["mosquitto_sub", "-V", "5", "-h", "127.0.0.1", "-p", str(broker.port), "-u", USER, "-P", PASSWORD,
             "-i", "package-test", "-c", "-x", "3600", "-q", "1", "-t", "kakou/v1/#", "-F", "%t %x %P"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            topic, payload, *properties = line.rstrip("\n").split(" ")
            with self.changed:
                self.ids.update(text.removeprefix("id:") for text in properties if text.startswith("id:"))
                if payload and "/evidence/" not in topic:
                    self.messages.append((topic, json.loads(bytes.fromhex(payload))))
                self.changed.notify_all()

    def next(self, what, seconds, wanted, after=0):
        """The first message from number `after` on for which `wanted(topic, message)` holds."""
        with self.changed:
            def search():
                return next((message for topic, message in self.messages[after:] if wanted(topic, message)), None)
            found = self.changed.wait_for(search, seconds)
        check(found, f"not within {seconds} s: {what}")
        return found

    def count(self):
        with self.changed:
            return len(self.messages)

    def missing(self, ids):
        """Which of these ids have not arrived."""
        with self.changed:
            return ids - self.ids

    def numbers(self, site, agent):
        """Sequence numbers of the messages of text that an agent has delivered."""
        prefix = f"kakou/v1/{site}/{agent}/"
        with self.changed:
            return {message["sequence"] for topic, message in self.messages
                    if topic.startswith(prefix) and message.get("sequence")}

    def stop(self):
        self.process.terminate()
        self.process.wait(10)
