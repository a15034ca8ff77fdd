// A real box in a temporary folder: Mosquitto, and the agent on sample footage that is played again
// and again. Everybody who passes there is on its watchlist.

import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import http from "node:http";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { until } from "./browser/helpers.mjs";

export const ROOT = fileURLToPath(new URL("../../../../", import.meta.url));
export const PASSWORD = "long enough 1";
const ROLES = ["officer", "installer", "operator"];

export async function freePort() {
  const server = createServer();
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  const { port } = server.address();
  await new Promise((done) => server.close(done));
  return port;
}

/** `footage`: one camera for each of these folders of agent/samples. */
export async function startBox(footage = ["day"]) {
  const kakou = process.env.KAKOU ?? join(ROOT, "target/release/kakou");
  const folder = mkdtempSync(join(tmpdir(), "kakou-panel-"));
  const at = (name) => join(folder, name);
  const [broker, port] = [await freePort(), await freePort()];
  writeFileSync(at("mosquitto.conf"), `listener ${broker} 127.0.0.1\nallow_anonymous true\n`);
  const samples = readFileSync(join(ROOT, "configs/samples.toml"), "utf8");
  const lanes = samples.slice(samples.indexOf("[[camera.lane]]"));
  const cameras = footage.map(
    (name, n) =>
      `[[camera]]\nid = "cam-${n + 1}"\nurl = ${JSON.stringify(join(ROOT, "agent/samples", name))}\nloop = true\n${lanes}`,
  );
  writeFileSync(
    at("kakou.toml"),
    `site = "north"\nagent = "box-1"\n[broker]\nurl = "mqtt://127.0.0.1:${broker}"\n[outbox]\nstate = "state"\n` +
      `[watchlist]\nfile = "list.csv"\n[panel]\nlisten = "127.0.0.1:${port}"\n` +
      // Each loop of the footage brings new vehicles and new hits.
      `[passage]\nrejoin_s = 2.0\n[hits]\nstory_s = 0\n[vision]\nmanifest = ${JSON.stringify(join(ROOT, "models/manifest.toml"))}\nplate_every_ms = 200\n` +
      `vehicle_every_ms = 200\n${cameras.join("\n")}`,
  );
  const plates = footage.flatMap((name) => {
    const truth = JSON.parse(readFileSync(join(ROOT, "agent/samples", name, "truth.jsonl"), "utf8").split("\n")[0]);
    return truth.passages.map((passage) => passage.text).filter(Boolean);
  });
  writeFileSync(
    at("list.csv"),
    `plate,level,category,reason,valid_until\n${plates.map((p) => `${p},orange,stolen,reported on Monday,\n`).join("")}`,
  );
  mkdirSync(at("state"));
  for (const role of ROLES) {
    const args = ["panel", "user", "add", role, "--role", role, "--state", at("state")];
    execFileSync(kakou, args, { input: `${PASSWORD}\n`, stdio: ["pipe", "ignore", "inherit"] });
  }
  const path = `${process.env.PATH}:/usr/sbin`;
  const mosquitto = spawn("mosquitto", ["-c", at("mosquitto.conf")], {
    stdio: "ignore",
    env: { ...process.env, PATH: path },
  });
  const agent = spawn(kakou, ["run", "--config", at("kakou.toml")], { cwd: ROOT, stdio: "ignore" });
  const stop = async () => {
    const ended = new Promise((done) => agent.once("exit", done));
    if (agent.exitCode === null && agent.kill("SIGTERM")) await ended;
    mosquitto.kill();
    rmSync(folder, { recursive: true, force: true });
  };
  const box = { url: `http://127.0.0.1:${port}`, pid: agent.pid, folder, stop };
  try {
    await until("the page is answered", () => fetch(box.url).then(() => true, () => false), 60_000);
  } catch (error) {
    await stop();
    throw error;
  }
  return box;
}

/** Who asks without a browser. */
export class Client {
  static async enter(box, name) {
    const client = new Client();
    client.box = box;
    client.agent = new http.Agent({ keepAlive: true });
    const headers = { "Content-Type": "application/json" };
    const body = JSON.stringify({ name, password: PASSWORD });
    const response = await fetch(`${box.url}/api/v1/login`, { method: "POST", headers, body });
    if (!response.ok) throw new Error(`${name} cannot log in: ${await response.text()}`);
    client.cookie = response.headers.get("set-cookie").split(";")[0];
    return client;
  }

  ask(path) {
    return new Promise((done, failed) => {
      const options = { agent: this.agent, headers: { Cookie: this.cookie } };
      const request = http.get(`${this.box.url}/api/v1${path}`, options, (response) => {
        const parts = [];
        response.on("data", (part) => parts.push(part));
        response.on("end", () => done({ status: response.statusCode, body: Buffer.concat(parts) }));
      });
      request.on("error", failed);
    });
  }

  async json(path) {
    const { status, body } = await this.ask(path);
    if (status !== 200) throw new Error(`${path}: ${status} ${body}`);
    return JSON.parse(body.toString());
  }

  /** Tells each event of a stream; returns what ends it. */
  watch(path, tell) {
    const options = { agent: false, headers: { Cookie: this.cookie } };
    const request = http.get(`${this.box.url}/api/v1${path}`, options, (response) => {
      if (response.statusCode !== 200) throw new Error(`${path}: ${response.statusCode}`);
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (part) => {
        const events = (text + part).split("\n\n");
        text = events.pop();
        for (const event of events) {
          const kind = /^event: (.*)$/m.exec(event)?.[1];
          if (kind) tell(kind, /^data: (.*)$/m.exec(event)?.[1]);
        }
      });
      response.on("error", () => {});
    });
    request.on("error", () => {});
    return () => request.destroy();
  }
}
