// A box that is none: serves dist/ with the box's Content-Security-Policy and the panel's API with
// a story. Tests start it in their own process and steer it by `box`; by hand:
//   npm run mock -- --port 8090      (users: officer, installer, operator, chief; NAME-pass)

import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import * as png from "./mock/png.mjs";
import {
  FINDINGS,
  USERS,
  makeHit,
  makeHours,
  makeLanes,
  makeLog,
  makePassage,
  makeStatus,
  nearHit,
  stamp,
} from "./mock/story.mjs";

const DIST = fileURLToPath(new URL("../dist/", import.meta.url));
export const CSP =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
  "font-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
const TYPES = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
};
const SIZE = [1280, 720];
const FRAMES_KEPT = 6;

class Fault extends Error {
  constructor(status, code, message, more = {}) {
    super(message);
    Object.assign(this, { status, code, more });
  }
}

export class Box {
  constructor() {
    this.sessions = new Map();
    this.streams = new Set();
    this.scenes = new Set();
    this.hits = [];
    this.passages = [];
    this.sequence = 40_000;
    this.eventId = 0;
    this.down = false;
    this.forgetful = false;
    /** What the next requests of a kind are refused with: { answer: Fault }. */
    this.refuse = {};
    /** A promise: saves wait for it before they are taken. */
    this.holdSave = null;
    this.audit = [];
    this.saves = [];
    this.cameras = new Map(
      ["cam-1", "cam-2"].map((id) => [
        id,
        { version: "v1", lanes: makeLanes(), masks: [[[0.02, 0.02], [0.4, 0.02], [0.4, 0.09], [0.02, 0.09]]], plate_side: 640 },
      ]),
    );
    this.status = {};
    this.frame = 0;
    this.log = null;
    for (let i = 0; i < 120; i++) this.passages.unshift(makePassage(Date.now() - (120 - i) * 9_000, ++this.sequence));
  }

  // ---- What a test or the story tells it to do.

  tell(hit) {
    const at = this.hits.findIndex((h) => h.hit.id === hit.hit.id);
    if (at >= 0) this.hits.splice(at, 1);
    this.hits.unshift(hit);
    hit.number = ++this.eventId;
    this.send("hit", hit, hit.number);
    return hit;
  }

  change(hit, state, more = {}) {
    return this.tell({ ...hit, told: stamp(Date.now()), hit: { ...hit.hit, state, ...more } });
  }

  pass(change) {
    const row = makePassage(Date.now(), ++this.sequence, change);
    this.passages.unshift(row);
    // It is told before it has a number.
    this.send("passage", { ...row, sequence: null });
    return row;
  }

  send(event, data, id) {
    for (const stream of this.streams) {
      if (event === "passage" && !stream.roles.some((r) => r !== "officer")) continue;
      stream.response.write(`event: ${event}\n${id ? `id: ${id}\n` : ""}data: ${JSON.stringify(data)}\n\n`);
    }
  }

  /** The line is cut: streams end, and requests find nobody. */
  cut() {
    this.down = true;
    for (const s of [...this.streams, ...this.scenes]) s.response.destroy();
  }

  mend() {
    this.down = false;
  }

  // ---- HTTP.

  async serve(request, response) {
    if (this.down) return request.socket.destroy();
    const url = new URL(request.url, "http://box");
    try {
      if (url.pathname.startsWith("/api/v1/")) await this.api(request, response, url);
      else await this.asset(url.pathname, response);
    } catch (error) {
      if (!(error instanceof Fault)) console.error(error);
      const { status = 500, code = "failed", message, more = {} } = error;
      json(response, { error: { code, message, ...more } }, status);
    }
  }

  async asset(path, response) {
    const name = path === "/" ? "index.html" : normalize(path).replace(/^[/\\.]+/, "");
    try {
      const bytes = await readFile(join(DIST, name));
      response.writeHead(200, {
        "Content-Type": TYPES[extname(name)] ?? "application/octet-stream",
        "Content-Security-Policy": CSP,
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store",
      });
      response.end(bytes);
    } catch {
      response.writeHead(404).end();
    }
  }

  async api(request, response, url) {
    const path = url.pathname.slice("/api/v1".length);
    const key = `${request.method} ${path}`;
    const q = url.searchParams;
    if (key === "POST /login") return this.login(response, await body(request));
    const cookie = /kakou=([^;]+)/.exec(request.headers.cookie ?? "")?.[1];
    const session = this.sessions.get(cookie);
    if (!session) throw new Fault(401, "unauthenticated", "log in first");
    if (request.method !== "GET" && request.headers["x-kakou-csrf"] !== session.csrf) {
      throw new Fault(403, "csrf", "the header X-Kakou-Csrf does not match the session");
    }
    const need = (...roles) => {
      if (!roles.some((r) => session.roles.includes(r))) throw new Fault(403, "role", `this needs the role ${roles.join(" or ")}`);
    };
    const refused = (kind) => {
      const fault = this.refuse[kind];
      if (!fault) return;
      if (!fault.always) delete this.refuse[kind];
      throw new Fault(fault.status, fault.code, fault.message, fault.more);
    };
    let m;
    if (key === "GET /session") return json(response, this.session(session));
    if (key === "POST /logout") {
      this.sessions.delete(cookie);
      return response.writeHead(204).end();
    }
    if (key === "GET /events") return this.events(request, response, session);
    if (key === "GET /hits") {
      need("officer", "operator");
      return json(response, { hits: this.hits.slice(0, Number(q.get("limit") ?? 50)) });
    }
    if ((m = /^POST \/hits\/([^/]+)\/answer$/.exec(key))) {
      need("officer");
      const said = await body(request);
      refused("answer");
      const hit = this.hits.find((h) => h.hit.id === m[1]);
      if (!hit) throw new Fault(404, "not_found", "no such hit");
      if (!["confirmed", "wrong_plate", "released"].includes(said.verdict) || (said.note ?? "").length > 500) {
        throw new Fault(400, "invalid", "verdict or note");
      }
      hit.answer = { verdict: said.verdict, by: session.name, note: said.note ?? null, time: stamp(Date.now()) };
      hit.number = ++this.eventId;
      this.send("answer", hit, hit.number);
      return json(response, hit);
    }
    // From its memory it gives the newest only, older ones by the number of their passage.
    if (this.forgetful && path.startsWith("/pictures/") && !q.get("near")) throw new Fault(404, "not_found", "no longer kept");
    if ((m = /^GET \/pictures\/([^/]+)\/(frame|plate|thumbnail)$/.exec(key))) {
      return picture(response, m[2] === "frame" ? png.road(...SIZE, 18) : m[2] === "plate" ? png.crop() : png.thumbnail());
    }
    if (key === "GET /status") return json(response, makeStatus(Date.now(), this.status));
    if (key === "GET /cameras") return json(response, { cameras: this.cameraList() });
    if ((m = /^(GET|PUT) \/cameras\/([^/]+)\/(picture|live|config|frames\/(\d+))$/.exec(key))) {
      return await this.camera(request, response, { need, refused, method: m[1], id: decodeURIComponent(m[2]), what: m[3], frame: Number(m[4]) });
    }
    if (key === "POST /doctor") {
      need("installer", "operator");
      await new Promise((done) => setTimeout(done, 400));
      return json(response, { findings: FINDINGS });
    }
    if (key === "GET /passages") {
      need("operator");
      refused("passages");
      return json(response, this.search(q, session));
    }
    if (key === "GET /quality") {
      need("operator", "installer");
      return json(response, { hours: makeHours(Date.now(), Number(q.get("hours") ?? 24)) });
    }
    if (key === "GET /log") {
      need("operator", "installer");
      return json(response, { lines: this.log ?? makeLog(Date.now()) });
    }
    if (key === "GET /report.csv") {
      need("operator");
      if ([...(q.get("reason") ?? "")].length < 4) throw new Fault(400, "invalid", "reason: at least 4 characters");
      this.audit.push({ what: "report", by: session.name, reason: q.get("reason") });
      response.writeHead(200, { "Content-Type": "text/csv", "Content-Disposition": "attachment; filename=report.csv" });
      return response.end("hour,camera,lane,passages,read\n");
    }
    throw new Fault(404, "not_found", path);
  }

  session(s) {
    return { name: s.name, roles: s.roles, csrf: s.csrf, site: "g15-k42", agent: "box-9", version: "0.9.0", time: stamp(Date.now()) };
  }

  login(response, { name, password }) {
    const user = Object.hasOwn(USERS, name ?? "") ? USERS[name] : null;
    if (name === "locked") throw new Fault(429, "locked", "too many wrong tries", { retry_s: 60 });
    if (!user || user.password !== password) throw new Fault(401, "wrong_login", "name or password is wrong");
    const id = `s${this.sessions.size + 1}`;
    const session = { name, roles: user.roles, csrf: `csrf-${id}` };
    this.sessions.set(id, session);
    response.setHeader("Set-Cookie", `kakou=${id}; HttpOnly; SameSite=Strict; Path=/`);
    return json(response, this.session(session));
  }

  stream(response) {
    response.writeHead(200, { "Content-Type": "text/event-stream", "Cache-Control": "no-store" });
    response.write(": hello\n\n");
  }

  events(request, response, session) {
    this.stream(response);
    const stream = { response, roles: session.roles };
    this.streams.add(stream);
    const status = () =>
      response.write(`event: status\ndata: ${JSON.stringify(makeStatus(Date.now(), this.status))}\n\n`);
    status();
    const timer = setInterval(status, 2_000);
    response.on("close", () => {
      clearInterval(timer);
      this.streams.delete(stream);
    });
  }

  cameraList() {
    const { status } = makeStatus(Date.now(), this.status);
    return [...this.cameras].map(([id, c], i) => ({
      id,
      status: { ...(status.cameras[i] ?? status.cameras[0]), camera: id },
      size: SIZE,
      lanes: c.lanes,
      masks: c.masks,
      passages: 1204 - i * 218,
      read: 1177 - i * 256,
      plate_width: i === 0 ? 96.4 : null,
    }));
  }

  async camera(request, response, { need, refused, method, id, what, frame }) {
    const camera = this.cameras.get(id);
    if (!camera) throw new Fault(404, "not_found", `no camera ${id}`);
    if (what === "picture") return picture(response, png.road(640, 360, 15));
    if (what === "live") {
      need("installer", "operator");
      return this.live(response, id);
    }
    if (what.startsWith("frames/")) {
      if (frame < this.frame - FRAMES_KEPT) throw new Fault(404, "not_found", "that frame is gone");
      return picture(response, png.road(...SIZE, frame));
    }
    need("installer");
    if (method === "GET") {
      return json(response, {
        version: camera.version,
        writable: true,
        plate_side: camera.plate_side,
        plate_side_advice: 864,
        widths: { median: 91.5, count: 204 },
        lanes: camera.lanes,
        masks: camera.masks,
      });
    }
    const put = await body(request);
    if (this.holdSave) await this.holdSave;
    refused("save");
    if (put.version !== camera.version) throw new Fault(409, "conflict", "the config has changed");
    this.saves.push({ id, ...put });
    camera.lanes = put.lanes;
    camera.masks = put.masks;
    if (put.plate_side) camera.plate_side = put.plate_side;
    camera.version = `v${Number(camera.version.slice(1)) + 1}`;
    return json(response, {
      version: camera.version,
      backup: "kakou.toml.2031-05-04T08-20-00",
      notes: [{ kind: "warning", line: 41, key: "camera.lane.trigger", message: "the trigger does not span the whole lane", mend: "draw it from edge to edge" }],
      started: [id],
    });
  }

  live(response, id) {
    this.stream(response);
    const stream = { response, id };
    this.scenes.add(stream);
    const timer = setInterval(() => {
      const n = ++this.frame;
      const at = png.placeAt(n);
      const [w, h] = SIZE;
      const box = [at.box.x * w, at.box.y * h, at.box.w * w, at.box.h * h];
      const [x, y, pw] = [at.plate.x * w, at.plate.y * h, at.plate.w * w];
      const quad = [[x, y], [x + pw, y], [x + pw, y + pw / 3.14], [x, y + pw / 3.14]];
      const lap = Math.floor(n / 24);
      const moved = [];
      for (let r = 0; r < 9; r++) for (let c = 0; c < 16; c++) {
        const [cx, cy] = [((c + 0.5) / 16) * w, ((r + 0.5) / 9) * h];
        if (cx > box[0] && cx < box[0] + box[2] && cy > box[1] && cy < box[1] + box[3]) moved.push(r * 16 + c);
      }
      const scene = {
        frame: n,
        time: stamp(Date.now()),
        size: SIZE,
        looked: true,
        vehicles: [{ box, class: "car", score: 0.93, track: lap }],
        plates: [{ quad, text: pw < 60 ? null : ["冀Z7K0T9", "鲁E6K829", "豫B3C77D"][lap % 3], confidence: 0.96, score: 0.9, width: pw }],
        motion: { columns: 16, rows: 9, moved },
        focus: 120 + 60 * Math.sin(n / 20),
        exposure: { mean: 118 + 9 * Math.sin(n / 9), dark: 0.08, bright: 0.02 },
      };
      response.write(`event: scene\ndata: ${JSON.stringify(scene)}\n\n`);
    }, 220);
    response.on("close", () => {
      clearInterval(timer);
      this.scenes.delete(stream);
    });
  }

  search(q, session) {
    const pattern = q.get("plate");
    if (pattern) {
      if ([...(q.get("reason") ?? "")].length < 4) throw new Fault(400, "invalid", "reason: at least 4 characters");
      this.audit.push({ what: "passages", by: session.name, plate: pattern, reason: q.get("reason") });
    }
    const form = pattern && new RegExp(`^${[...pattern].map((c) => (c === "?" ? "." : c === "*" ? ".*" : c)).join("")}$`, "u");
    const limit = Number(q.get("limit") ?? 50);
    const all = this.passages.filter(
      ({ sequence, passage: p }) =>
        (!q.get("before") || sequence < Number(q.get("before"))) &&
        (!q.get("camera") || p.camera === q.get("camera")) &&
        (!q.get("lane") || p.lane?.id === q.get("lane")) &&
        (!q.get("class") || p.vehicle?.class === q.get("class")) &&
        (!q.get("unread") || !p.plate) &&
        (!form || (p.plate && form.test(p.plate.text))),
    );
    const passages = all.slice(0, limit).map((row) => ({ ...row, pictures: near(row) }));
    return { passages, next: all.length > limit ? passages.at(-1).sequence : null };
  }
}

function near({ sequence, pictures }) {
  return Object.fromEntries(Object.entries(pictures).map(([role, path]) => [role, `${path}?near=${sequence}`]));
}

function json(response, value, status = 200) {
  response.writeHead(status, { "Content-Type": "application/json", "Cache-Control": "no-store" });
  response.end(JSON.stringify(value));
}

function picture(response, bytes) {
  response.writeHead(200, { "Content-Type": "image/png", "Cache-Control": "no-store" });
  response.end(bytes);
}

async function body(request) {
  const parts = [];
  for await (const part of request) parts.push(part);
  return JSON.parse(Buffer.concat(parts).toString("utf8") || "{}");
}

export async function startMock(port = 0) {
  const box = new Box();
  const server = createServer((request, response) => void box.serve(request, response));
  await new Promise((ready) => server.listen(port, "127.0.0.1", ready));
  return {
    box,
    url: `http://127.0.0.1:${server.address().port}`,
    close: () =>
      new Promise((done) => {
        box.cut();
        server.close(done);
        server.closeAllConnections?.();
      }),
  };
}

/** A few minutes at a checkpoint, over and over. */
function play(box) {
  let n = 0;
  setInterval(() => {
    const step = n++ % 12;
    if (step % 2 === 0) box.pass();
    if (step === 1) box.current = box.tell(makeHit(Date.now()));
    if (step === 3) box.change(box.current, "confirmed");
    if (step === 6) box.current = box.tell(nearHit(Date.now()));
    if (step === 8) box.change(box.current, "retracted", { retraction: { reason: "vote_changed", plate: "冀Z7K8T9" } });
  }, 3_000);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const at = process.argv.indexOf("--port");
  const mock = await startMock(at > 0 ? Number(process.argv[at + 1]) : 8090);
  play(mock.box);
  console.log(`mock box at ${mock.url}; users ${Object.entries(USERS).map(([n, u]) => `${n}/${u.password}`).join(", ")}`);
}
