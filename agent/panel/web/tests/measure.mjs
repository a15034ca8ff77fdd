// What the page costs a real box, and how fast it is: rows for docs/measurements.md. Nothing is
// asserted: the figures are of this machine, and of what else it does.
//
//   KAKOU                 the agent to measure (target/release/kakou)
//   KAKOU_BENCH_LOOPS     loops of the footage, some 16 s each, that a turn takes (4)
//   KAKOU_BENCH_TURNS     turns with and without viewers (3)
//   KAKOU_BENCH_HITS      changes of hits to wait for (120)
//   KAKOU_BENCH_VIEWERS   viewers of events (50); with 0 the two kinds of turns differ by their windows alone
// Names on the command line choose parts: load, hits, viewer, events.

import { execFileSync } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import { loadavg } from "node:os";
import { Client, PASSWORD, startBox } from "./box.mjs";
import { TABLET, launch, until, watchHits } from "./browser/helpers.mjs";

const number = (name, otherwise) => Number(process.env[name] ?? otherwise);
/** Of agent/samples/day, so that a turn with viewers and one without see the same. */
const LOOP_MS = 15_500;
const TURN_MS = number("KAKOU_BENCH_LOOPS", 4) * LOOP_MS;
const TURNS = number("KAKOU_BENCH_TURNS", 3);
const HITS = number("KAKOU_BENCH_HITS", 120);
const LOADS = 7;
const VIEWERS = number("KAKOU_BENCH_VIEWERS", 50);
const TICKS = Number(execFileSync("getconf", ["CLK_TCK"]).toString());

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
const sorted = (all) => [...all].sort((a, b) => a - b);
const part = (all, share) => sorted(all)[Math.max(0, Math.ceil(all.length * share) - 1)];
const mean = (all) => all.reduce((sum, one) => sum + one, 0) / all.length;
const row = (what, aim, measured) => {
  const [load] = loadavg();
  console.log(`| ${what} | ${aim} | ${measured} (load ${load.toFixed(1)}) |`);
};

/** Seconds of a processor that a process or one of its threads has used, and its name. */
function used(path) {
  const [, name, rest] = /\((.*)\) (.*)/.exec(readFileSync(`${path}/stat`, "utf8"));
  const fields = rest.split(" ");
  return { name, seconds: (Number(fields[11]) + Number(fields[12])) / TICKS };
}

/** The same of all threads that answer the page: a camera's own work varies by more than they cost. */
function answering(pid) {
  const threads = readdirSync(`/proc/${pid}/task`).map((id) => used(`/proc/${pid}/task/${id}`));
  return threads.filter(({ name }) => name.startsWith("tokio")).reduce((sum, one) => sum + one.seconds, 0);
}

const tablet = (browser) => browser.newContext({ viewport: TABLET, hasTouch: true, locale: "zh-CN" });

async function login(page) {
  await page.fill("#name", "officer");
  await page.fill("#password", PASSWORD);
  await page.click("[data-test=login]");
}

/** A new browser each time, over 1 Mbit/s and 50 ms. */
async function load(box, browser) {
  const [form, list, pictures, bytes] = [[], [], [], []];
  for (let n = 0; n < LOADS; n++) {
    const context = await tablet(browser);
    const page = await context.newPage();
    const line = await context.newCDPSession(page);
    await line.send("Network.enable");
    const slow = { offline: false, latency: 50, downloadThroughput: 125_000, uploadThroughput: 125_000 };
    await line.send("Network.emulateNetworkConditions", slow);
    let received = 0;
    line.on("Network.loadingFinished", (event) => (received += event.encodedDataLength));
    let from = performance.now();
    await page.goto(box.url, { waitUntil: "commit" });
    await page.waitForSelector("#password");
    form.push(performance.now() - from);
    bytes.push(received);
    from = performance.now();
    await login(page);
    await page.waitForSelector("article[data-hit]");
    list.push(performance.now() - from);
    await page.waitForFunction(() => {
      const all = [...document.querySelectorAll("article[data-hit] img")].filter((i) => i.getClientRects().length > 0);
      return all.length > 0 && all.every((image) => image.complete && image.naturalWidth > 0);
    });
    pictures.push(performance.now() - from);
    await context.close();
  }
  const seconds = (all) => `${(part(all, 0.5) / 1000).toFixed(2)} s, at most ${(Math.max(...all) / 1000).toFixed(2)} s`;
  row("first load over 1 Mbit/s and 50 ms, to the login form", "2 s", `${seconds(form)} of ${LOADS}; ${Math.round(Math.max(...bytes) / 1024)} KiB`);
  row("from the tap on login to the hits, the same line", "2 s", `${seconds(list)} of ${LOADS}; with the large card's pictures ${seconds(pictures)}`);
}

/** From the moment at which the agent tells of a hit to the frame in which it is on the screen. */
async function hits(box, browser) {
  const context = await tablet(browser);
  const page = await context.newPage();
  await page.addInitScript(watchHits);
  await page.goto(box.url);
  await login(page);
  await page.waitForSelector('[data-test=link][data-link="live"]');
  await page.waitForSelector("article[data-hit]");
  const from = Date.now();
  // What was told before the page was there comes in one piece, and is not measured.
  const live = async () => (await page.evaluate(() => window.kakouSeen)).filter((hit) => Date.parse(hit.told) > from);
  await until(`${HITS} changes of hits`, async () => (await live()).length >= HITS, HITS * LOOP_MS);
  const took = (await live()).map((hit) => hit.at - Date.parse(hit.told));
  const first = (await live()).filter((hit) => hit.state === "provisional").length;
  await context.close();
  row("hit made to hit on the screen", "300 ms p99", `${part(took, 0.5)} ms median, ${part(took, 0.99)} ms p99, ${Math.max(...took)} ms at most of ${took.length} changes, ${first} of them new hits`);
}

/** Runs turns without and with; `begin` returns what ends it. */
async function turns(begin, measure) {
  const [without, beside] = [[], []];
  for (let n = 0; n < TURNS; n++) {
    without.push(await measure());
    const end = await begin();
    await sleep(2_000);
    beside.push(await measure());
    end();
    // A camera keeps what it finds for some seconds after somebody watched.
    await sleep(7_000);
  }
  return [without, beside];
}

/** One viewer of one camera: what the camera's page asks, without the browser's own work. */
async function viewer(box) {
  const installer = await Client.enter(box, "installer");
  let [scenes, frames, found] = [0, 0, 0];
  const ages = [];
  const begin = () => {
    let busy = false;
    const ends = [
      installer.watch("/events", () => {}),
      installer.watch("/cameras/cam-1/live?motion=1", async (kind, data) => {
        if (kind !== "scene") return;
        const scene = JSON.parse(data);
        scenes++;
        found += scene.vehicles.length + scene.plates.length;
        if (busy) return;
        busy = true;
        const { status } = await installer.ask(`/cameras/cam-1/frames/${scene.frame}`);
        busy = false;
        if (status !== 200) return;
        frames++;
        ages.push(Date.now() - Date.parse(scene.time));
      }),
    ];
    return () => ends.forEach((end) => end());
  };
  const share = async () => {
    const look = () => [used(`/proc/${box.pid}`).seconds, answering(box.pid), performance.now() / 1000];
    const before = look();
    await sleep(TURN_MS);
    const [all, threads, seconds] = look().map((now, n) => now - before[n]);
    return [all / seconds, threads / seconds];
  };
  const [without, beside] = await turns(begin, share);
  const of = (turns, n) => mean(turns.map((turn) => turn[n])).toFixed(3);
  const more = (n) => mean(beside.map((turn, i) => turn[n] - without[i][n])).toFixed(3);
  const each = beside.map((turn, i) => (turn[0] - without[i][0]).toFixed(3)).join(", ");
  const watched = (TURNS * (TURN_MS + 2_000)) / 1000;
  row("one viewer of one live camera with boxes, share of a core", "0.1", `${more(0)} (${each}): ${of(without, 0)} without and ${of(beside, 0)} with, ${TURNS} turns of ${TURN_MS / 1000} s each; of the threads that answer ${more(1)}; ${(frames / watched).toFixed(1)} pictures/s, ${(found / scenes).toFixed(1)} finds in each, ${part(ages, 0.5)} ms after the camera had it`);
}

async function events(box) {
  const operator = await Client.enter(box, "operator");
  let [heard, lost] = [0, 0];
  const begin = async () => {
    const ends = Array.from({ length: VIEWERS }, () => operator.watch("/events", () => heard++));
    await until("all watch", async () => (await operator.json("/status")).viewers === VIEWERS);
    return () => ends.forEach((end) => end());
  };
  // Of a recording every frame is looked at, so those are its looks.
  const camera = async () => (await operator.json("/status")).status.cameras[0];
  const looks = async () => {
    const [before, from] = [await camera(), performance.now()];
    await sleep(TURN_MS);
    const after = await camera();
    lost += after.frames_dropped - before.frames_dropped;
    return (after.frames - before.frames) / ((performance.now() - from) / 1000);
  };
  const [without, beside] = await turns(begin, looks);
  const figures = (all) => all.map((one) => one.toFixed(2)).join(", ");
  row(`${VIEWERS} viewers of events: looks a second of the camera`, "none lost", `${figures(beside)} with, ${figures(without)} without, ${TURNS} turns of ${TURN_MS / 1000} s each; ${lost} frames dropped; ${heard} events were heard`);
}

const PARTS = { load, hits, viewer, events };
const wanted = process.argv.slice(2);
const box = await startBox();
let browser;
try {
  // Something must have happened before it can be seen.
  const officer = await Client.enter(box, "officer");
  await until("the first hits", async () => (await officer.json("/hits")).hits.length > 3, 120_000);
  for (const [name, measure] of Object.entries(PARTS)) {
    if (wanted.length > 0 && !wanted.includes(name)) continue;
    browser ??= measure.length > 1 ? await launch() : undefined;
    await measure(box, browser);
    if (measure.length > 1) {
      await browser.close();
      browser = undefined;
    }
  }
} finally {
  await browser?.close();
  await box.stop();
}
