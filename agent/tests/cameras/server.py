#!/usr/bin/python3
"""The cameras of the tests: GStreamer's RTSP server, and MJPEG over HTTP, on 127.0.0.1.

    server.py --check            says what is missing on this machine, exit code 1 if anything is
    server.py OPEN GUARDED HTTP  serves on these ports until stdin ends; 0 takes a free one. OPEN and GUARDED speak
                                 RTSP, and GUARDED asks for a password (digest).

Commands are JSON objects, one a line on stdin; each is answered by one line on stdout, {"ok": true, ...} or
{"ok": false, "error": ...}. The first line of stdout is
{"open": PORT, "guarded": PORT, "http": PORT}.

A mount is a camera: it runs whether or not anybody watches, and who connects joins in the middle. What it shows comes
from video files (H.264 or H.265, sent as they are, looping without a gap and with time stamps that go on) or, for
`clock`, from a clock drawn into each picture. See `Commands` for what can be asked for.
"""
import base64
import binascii
import http.server
import json
import os
import random
import sys
import threading
import time

MISSING = []
try:
    import gi

    for name, version in (("Gst", "1.0"), ("GstApp", "1.0"), ("GstRtsp", "1.0"), ("GstRtspServer", "1.0")):
        gi.require_version(name, version)
    from gi.repository import GLib, Gst, GstApp, GstRtsp, GstRtspServer  # noqa: F401  (GstApp types appsrc)

    Gst.init(None)
    ELEMENTS = "appsrc appsink qtdemux h264parse h265parse rtph264pay rtph265pay rtpbin udpsink x264enc".split()
    MISSING = [e for e in ELEMENTS if Gst.ElementFactory.find(e) is None]
except (ImportError, ValueError) as e:
    MISSING = [str(e)]


def nals(data):
    """The NAL units of a byte stream, each with its start code."""
    starts, at = [], data.find(b"\0\0\1")
    while at >= 0:
        starts.append(at - 1 if at and data[at - 1] == 0 else at)
        at = data.find(b"\0\0\1", at + 3)
    return [data[a:b] for a, b in zip(starts, starts[1:] + [len(data)])]


def nal_type(nal, codec):
    first = nal[4 if nal[2] == 0 else 3]
    return first & 0x1F if codec == "h264" else (first >> 1) & 0x3F


class Clip:
    """The access units of a video file, in the order they are sent."""

    def __init__(self, path):
        probe = open(path, "rb").read()
        self.codec = "h265" if b"hvc1" in probe or b"hev1" in probe else "h264"
        pipeline = Gst.parse_launch(
            f"filesrc name=f ! qtdemux ! {self.codec}parse config-interval=-1 "
            f"! video/x-{self.codec},stream-format=byte-stream,alignment=au ! appsink name=out sync=false"
        )
        pipeline.get_by_name("f").set_property("location", path)
        out = pipeline.get_by_name("out")
        pipeline.set_state(Gst.State.PLAYING)
        self.units = []  # (bytes, dts, pts, is a key frame), times in ns from the first dts
        while (sample := out.emit("pull-sample")) is not None:
            buffer = sample.get_buffer()
            dts = buffer.pts if buffer.dts == Gst.CLOCK_TIME_NONE else buffer.dts
            data = buffer.extract_dup(0, buffer.get_size())
            self.units.append((data, dts, buffer.pts, not buffer.has_flags(Gst.BufferFlags.DELTA_UNIT)))
        pipeline.set_state(Gst.State.NULL)
        if len(self.units) < 2:
            raise ValueError(f"{path}: no video in it")
        first = self.units[0][1]
        self.units = [(data, dts - first, pts - first, key) for data, dts, pts, key in self.units]
        self.duration = self.units[-1][1] * len(self.units) // (len(self.units) - 1)
        # Pictures are shown this long after they are sent, for B-frames' sake.
        self.delay = self.units[0][2]
        sets = (7, 8) if self.codec == "h264" else (32, 33, 34)
        self.parameters = b"".join(n for n in nals(self.units[0][0]) if nal_type(n, self.codec) in sets)


def flipped(data, chance):
    """Some bytes inside the picture data changed; headers and start codes stay, so that a decoder tries."""
    data = bytearray(data)
    for _ in range(max(1, len(data) // 200)):
        at = chance.randrange(min(64, len(data) - 1), len(data))
        data[at] = chance.randrange(1, 256)
    return bytes(data)


def drawn_clock(width, height):
    """A picture, I420, that says when it was drawn: 4 rows of 16 squares, white is 1; 48 bits of milliseconds since
    1970 and 16 bits of their CRC (CCITT, from 0)."""
    now = int(time.time() * 1000)
    bits = now << 16 | binascii.crc_hqx(now.to_bytes(6, "big"), 0)
    side = width // 16
    rows = []
    for row in range(4):
        word = bits >> (48 - 16 * row) & 0xFFFF
        line = b"".join((b"\xeb" if word >> (15 - i) & 1 else b"\x10") * side for i in range(16))
        rows.append((line + b"\x10" * (width - len(line))) * side)
    luma = b"".join(rows)
    return luma + b"\x80" * (width * height - len(luma)) + b"\x80" * (width * height // 2)


class Viewer:
    """One client's pipeline."""

    def __init__(self, source):
        self.source = source
        running = source.get_clock().get_time() - source.get_base_time()
        # Media time is the process's monotonic time; this turns it into the pipeline's running time.
        self.offset = running - time.monotonic_ns()
        self.begun = False

    def push(self, data, dts, pts):
        buffer = Gst.Buffer.new_wrapped(data)
        buffer.dts = max(0, dts + self.offset)
        buffer.pts = max(0, pts + self.offset)
        return self.source.emit("push-buffer", buffer)


class Mount:
    """A camera."""

    def __init__(self, path, clips, show=None, fps=None, size=None, kind="video", join="any"):
        self.path, self.kind, self.join, self.fps = path, kind, join, fps
        self.clips = {name: Clip(file) for name, file in clips.items()}
        self.delay = max((c.delay for c in self.clips.values()), default=0)
        self.size = size or [640, 360]
        self.lock = threading.Lock()
        self.viewers = {}
        self.plays = self.sent = self.loops = 0
        self.loop_began = None
        self.paused = False
        self.wanted = show or next(iter(self.clips), None)
        self.rewind = False
        self.garbage = (0.0, "")
        self.chance = random.Random(4)
        self.ended = False
        self.thread = threading.Thread(target=self.clock if kind == "clock" else self.feed, daemon=True)
        self.thread.start()

    # A pipeline's own threads call these.
    def configure(self, _factory, media):
        source = media.get_element().get_by_name("src")
        source.connect("need-data", self.joined)
        media.connect("unprepared", lambda _: self.left(source))
        if self.kind == "silent":
            pay = media.get_element().get_by_name("pay0").get_static_pad("src")
            # The first packet makes the description; nothing after that, and that one neither.
            media.connect("prepared", lambda _: pay.add_probe(Gst.PadProbeType.BUFFER | Gst.PadProbeType.BUFFER_LIST,
                                                              lambda *_: Gst.PadProbeReturn.DROP))

    def joined(self, source, _length):
        with self.lock:
            if source not in self.viewers:
                self.plays += 1
                self.viewers[source] = Viewer(source)

    def left(self, source):
        with self.lock:
            self.viewers.pop(source, None)

    def launch(self):
        head = "appsrc name=src is-live=true format=time max-buffers=500 leaky-type=downstream"
        if self.kind == "clock":
            w, h = self.size
            caps = f"video/x-raw,format=I420,width={w},height={h},framerate={self.fps}/1"
            # One slice: the payloader would set parameter sets between those of a key frame.
            enc = "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=10 bitrate=2000 sliced-threads=false threads=1"
            return f"( {head} caps={caps} ! {enc} ! rtph264pay name=pay0 pt=96 config-interval=-1 )"
        codec = next(iter(self.clips.values())).codec
        caps = f"video/x-{codec},stream-format=byte-stream,alignment=au"
        return f"( {head} caps={caps} ! rtp{codec}pay name=pay0 pt=96 config-interval=-1 )"

    def deliver(self, data, dts, pts, key, parameters):
        with self.lock:
            self.sent += 1
            for viewer in list(self.viewers.values()):
                unit = data
                if not viewer.begun:
                    if self.join == "key" and not key:
                        continue
                    viewer.begun = True
                    unit = data if key else parameters + data
                viewer.push(unit, dts, pts)

    def feed(self):
        began = time.monotonic_ns()
        while not self.ended:
            shown, clip = self.wanted, self.clips[self.wanted]
            self.rewind = False
            self.loop_began, self.loops = time.time(), self.loops + 1
            for data, dts, pts, key in clip.units:
                due = began + dts
                time.sleep(max(0, due - time.monotonic_ns()) / 1e9)
                # What is wanted anew begins at once, with its first picture, a key frame; time stamps go on.
                if self.ended or self.rewind or self.wanted != shown:
                    began = due
                    break
                if self.paused:
                    continue
                until, kind = self.garbage
                if time.monotonic() < until:
                    data = flipped(data, self.chance) if kind == "flip" else b"\0\0\1" + self.chance.randbytes(len(data))
                self.deliver(data, due, began + pts + self.delay - clip.delay, key, clip.parameters)
            else:
                began += clip.duration

    def clock(self):
        step, due = 1_000_000_000 // self.fps, time.monotonic_ns()
        while not self.ended:
            # A picture that is missed is not caught up on.
            due = max(due + step, time.monotonic_ns())
            time.sleep(max(0, due - time.monotonic_ns()) / 1e9)
            if not self.paused:
                now = time.monotonic_ns()
                self.deliver(drawn_clock(*self.size), now, now, True, b"")


class Pictures:
    """An MJPEG camera."""

    def __init__(self, clips, show, fps, credentials):
        self.clips = {name: [open(f, "rb").read() for f in files] for name, files in clips.items()}
        self.fps, self.credentials, self.paused, self.plays = fps, credentials, False, 0
        self.show(show)

    def show(self, clip):
        self.wanted, self.began, self.loop_began = clip, time.monotonic(), time.time()

    def picture(self):
        """Number of the picture that is due, and the picture."""
        number, pictures = int((time.monotonic() - self.began) * self.fps), self.clips[self.wanted]
        return (self.began, number), pictures[number % len(pictures)]


class Mjpeg(http.server.BaseHTTPRequestHandler):
    cameras = {}
    protocol_version = "HTTP/1.0"

    def log_message(self, *_):
        pass

    def do_GET(self):
        camera = self.cameras.get(self.path)
        if camera is None:
            return self.send_error(404)
        given = self.headers.get("Authorization", "")
        if camera.credentials and given != "Basic " + base64.b64encode(camera.credentials.encode()).decode():
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="camera"')
            return self.end_headers()
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        camera.plays += 1
        sent = None
        try:
            while True:
                due, jpeg = camera.picture()
                if camera.paused or due == sent:
                    time.sleep(0.005)
                    continue
                sent = due
                head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                self.wfile.write(head.encode() + jpeg + b"\r\n")
        except OSError:
            pass


class Commands:
    def __init__(self, open_server, guarded_server):
        self.open_server, self.guarded_server = open_server, guarded_server
        self.mounts = {}
        # A server with a way in for everybody never asks for a password, hence two.
        self.auth = GstRtspServer.RTSPAuth()
        self.auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
        self.auth.set_realm("cameras")
        guarded_server.set_auth(self.auth)

    def mount(self, path, user=None, password=None, **more):
        """path, clips {name: file}, show (which first); with user and password it is on the guarded port;
        kind "silent": describes itself and sends nothing; kind "clock": draws the time, with fps and size;
        join "key": who connects gets a key frame first."""
        mount = Mount(path, more.pop("clips", {}), **more)
        factory = GstRtspServer.RTSPMediaFactory()
        factory.set_launch(mount.launch())
        factory.set_protocols(GstRtsp.RTSPLowerTrans.TCP | GstRtsp.RTSPLowerTrans.UDP)
        factory.set_latency(0)
        factory.connect("media-configure", mount.configure)
        server = self.open_server
        if user is not None:
            server = self.guarded_server
            token = GstRtspServer.RTSPToken()
            token.set_string("media.factory.role", user)
            self.auth.add_digest(user, password, token)
            rights = Gst.Structure.new_empty(user)
            rights.set_value("media.factory.access", True)
            rights.set_value("media.factory.construct", True)
            factory.add_role_from_structure(rights)
        server.get_mount_points().add_factory(path, factory)
        self.mounts[path] = mount

    def mjpeg(self, path, clips, show, fps, credentials=None):
        """path, clips {name: [JPEG files]}, show, fps, credentials "user:password"."""
        Mjpeg.cameras[path] = self.mounts[path] = Pictures(clips, show, fps, credentials)

    def pause(self, path):
        """The stream stops, the connection stays."""
        self.mounts[path].paused = True

    def resume(self, path):
        self.mounts[path].paused = False

    def show(self, path, clip):
        """Another clip of the mount, at once."""
        if clip not in self.mounts[path].clips:
            raise ValueError(f"{path} has no clip {clip}")
        mount = self.mounts[path]
        if isinstance(mount, Pictures):
            mount.show(clip)
        else:
            mount.wanted = clip

    def rewind(self, path):
        """The clip from its beginning, at once."""
        self.mounts[path].rewind = True

    def garbage(self, path, seconds, kind="flip"):
        """"flip": some bytes inside the pictures are wrong; "noise": nothing but noise."""
        self.mounts[path].garbage = (time.monotonic() + seconds, kind)

    def drop(self):
        """Closes every client's connection."""
        for server in (self.open_server, self.guarded_server):
            server.client_filter(lambda *_: GstRtspServer.RTSPFilterResult.REMOVE)

    def stats(self, path):
        mount = self.mounts[path]
        if isinstance(mount, Pictures):
            return {"plays": mount.plays, "loop_began": mount.loop_began}
        return {"plays": mount.plays, "viewers": len(mount.viewers), "sent": mount.sent, "loops": mount.loops,
                "loop_began": mount.loop_began}


def listen(commands, loop):
    for line in sys.stdin:
        try:
            order = json.loads(line)
            answer = getattr(commands, order.pop("do"))(**order) or {}
            answer = {"ok": True, **answer}
        except Exception as e:  # whatever it was, the test shall read of it
            answer = {"ok": False, "error": f"{type(e).__name__}: {e}"}
        print(json.dumps(answer), flush=True)
    loop.quit()


def rtsp_server(port):
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(port)
    if server.attach(None) == 0:
        sys.exit(f"port {port} is taken")
    pool = server.get_session_pool()
    # Sessions over UDP whose client vanished.
    GLib.timeout_add_seconds(2, lambda: pool.cleanup() >= 0)
    return server


def main():
    if MISSING:
        sys.exit("missing: " + ", ".join(MISSING))
    if sys.argv[1] == "--check":
        return
    open_server, guarded_server = (rtsp_server(port) for port in sys.argv[1:3])
    web = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[3])), Mjpeg)
    web.daemon_threads = True
    threading.Thread(target=web.serve_forever, daemon=True).start()
    ports = {"open": open_server.get_bound_port(), "guarded": guarded_server.get_bound_port()}
    print(json.dumps({**ports, "http": web.server_address[1]}), flush=True)
    loop = GLib.MainLoop()
    threading.Thread(target=listen, args=(Commands(open_server, guarded_server), loop), daemon=True).start()
    loop.run()
    # Without the interpreter's tidy end: pipelines may still run.
    os._exit(0)


if __name__ == "__main__":
    main()
