// Walks through the pages of a real box as the user that is given: the officer's, the installer's
// and the operator's way, whichever roles the user has.
//
//   KAKOU_PANEL_URL          http://127.0.0.1:8443, as the browser opens it
//   KAKOU_PANEL_USER, KAKOU_PANEL_PASSWORD
//   KAKOU_PANEL_WAIT_S       how long to wait for a hit, a frame, a passage (60)
//   KAKOU_PANEL_SCREENSHOTS  folder for a picture of each page
//   KAKOU_PANEL_LANG         zh or en (zh)
//   KAKOU_PANEL_DOCTOR=0     leaves Doctor out, which takes long
//   KAKOU_PANEL_AXE=1        also looks at each page with axe-core
//
// Prints one JSON object a line with what it measured, ends with {"step":"done"} and 0, or with
// {"step":"failed"} and 1. Beside an error of the page itself, a request to another host or a
// breach of the Content-Security-Policy fails it. The times from told to visible compare the
// box's clock with the browser's: they mean something where both are one machine's.

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { TABLET, accessible, centre, drag, guard, launch, until, watchHits } from "./browser/helpers.mjs";

const env = (name, otherwise) => {
  const value = process.env[name] ?? otherwise;
  if (value === undefined) {
    console.error(`${name} is not set; see the head of tests/live.mjs`);
    process.exit(2);
  }
  return value;
};
const url = new URL(env("KAKOU_PANEL_URL"));
const user = env("KAKOU_PANEL_USER");
const password = env("KAKOU_PANEL_PASSWORD");
const waitMs = Number(env("KAKOU_PANEL_WAIT_S", "60")) * 1000;
const lang = env("KAKOU_PANEL_LANG", "zh");
const pictures = process.env.KAKOU_PANEL_SCREENSHOTS;

const say = (step, more = {}) => console.log(JSON.stringify({ step, ...more }));
const since = (from) => Math.round(performance.now() - from);

async function shoot(page, name) {
  if (process.env.KAKOU_PANEL_AXE === "1") await accessible(page, name);
  if (!pictures) return;
  mkdirSync(pictures, { recursive: true });
  await page.screenshot({ path: join(pictures, `${user}-${name}-${lang}.png`), fullPage: true });
}

async function open(page, name, ready) {
  const from = performance.now();
  await page.evaluate((to) => (location.hash = `#/${to}`), name);
  await page.waitForSelector(ready, { timeout: waitMs });
  say("page", { page: name, ms: since(from) });
}

const ask = (page, path) => page.evaluate(async (p) => (await fetch(`/api/v1${p}`)).json(), path);

async function officer(page, openedAt) {
  await open(page, "hits", "h1");
  await page.waitForSelector("article[data-hit]", { timeout: waitMs });
  // A hit that is told while the page is open is what is measured; one that was there will do.
  const live = () => page.evaluate((at) => window.kakouSeen.filter((h) => Date.parse(h.told) > at), openedAt);
  try {
    await until("a hit told while the page is open", async () => (await live()).length > 0, waitMs);
  } catch {
    say("hits", { live: 0, note: "none was told while the page was open" });
  }
  for (const hit of await live()) say("hit", { id: hit.id, state: hit.state, told: hit.told, visible_ms: hit.at - Date.parse(hit.told) });
  await shoot(page, "hits");
  const change = page.locator("[data-test=answered] button");
  if ((await change.count()) > 0) await change.click();
  await page.waitForSelector("[data-verdict=confirmed]:enabled");
  await page.locator("[data-test=add-note]:visible").first().tap();
  await page.fill("[data-test=note]", "kakou panel test");
  // Only now no newer hit takes this one's place.
  const id = await page.locator("article[data-hit]:has([data-test=note])").first().getAttribute("data-hit");
  const from = performance.now();
  await page.locator("[data-verdict=confirmed]").tap();
  await page.waitForSelector("[data-test=answered], [data-test=answer-failed]");
  if ((await page.locator("[data-test=answer-failed]").count()) > 0) {
    throw new Error(`the answer was not taken: ${await page.textContent("[data-test=answer-failed]")}`);
  }
  const ms = since(from);
  const stored = (await ask(page, "/hits?limit=50")).hits.find((h) => h.hit.id === id)?.answer;
  if (stored?.verdict !== "confirmed" || stored.by !== user) throw new Error(`the box stored ${JSON.stringify(stored)}`);
  say("answer", { id, ms });
  await shoot(page, "hits-answered");
}

async function installer(page) {
  await open(page, "cameras", "[data-camera]");
  await page.waitForFunction(() => [...document.images].some((i) => i.naturalWidth > 0), null, { timeout: waitMs });
  await shoot(page, "cameras");
  const { cameras } = await ask(page, "/cameras");
  const from = performance.now();
  await open(page, `cameras/${encodeURIComponent(cameras[0].id)}`, "[data-test=stage]");
  await page.waitForSelector("[data-test=stage]:not([data-frame=''])", { timeout: waitMs });
  say("first_frame", { camera: cameras[0].id, ms: since(from) });
  const rate = await page.evaluate(async () => {
    const stage = document.querySelector("[data-test=stage]");
    const seen = new Set();
    const watch = new MutationObserver(() => seen.add(stage.dataset.frame));
    watch.observe(stage, { attributes: true });
    await new Promise((done) => setTimeout(done, 4_000));
    watch.disconnect();
    return seen.size / 4;
  });
  say("live", { frames_per_s: rate });
  await shoot(page, "camera");
  await page.click("[data-test=edit]");
  if ((await page.locator("[data-lane]").count()) === 0) await page.click("[data-test=new-lane]");
  else await page.locator("[data-lane]").first().click();
  const point = page.locator('[data-point="lane-0-0"]');
  await point.scrollIntoViewIfNeeded();
  const at = await centre(point.locator(".knob"));
  await drag(page, at, { x: at.x + 12, y: at.y + 12 });
  await page.waitForSelector("[data-test=unsaved]");
  await page.click("[data-test=undo]");
  await point.focus();
  await page.keyboard.press("ArrowRight");
  await page.waitForSelector("[data-test=unsaved]");
  await shoot(page, "editor");
  const saving = performance.now();
  await page.click("[data-test=save]");
  await page.waitForSelector("[data-test=saved], [data-test=save-failed]", { timeout: 60_000 });
  const failed = page.locator("[data-test=save-failed]");
  const code = (await failed.count()) > 0 ? await failed.getAttribute("data-code") : "saved";
  if (code !== "saved" && code !== "read_only") throw new Error(`saving: ${code}: ${await failed.textContent()}`);
  if (code === "read_only") {
    const [download] = await Promise.all([page.waitForEvent("download"), page.click("[data-test=download]")]);
    say("download", { file: download.suggestedFilename() });
  }
  say("save", { outcome: code, ms: since(saving) });
  await shoot(page, "editor-saved");
  page.once("dialog", (dialog) => dialog.accept());
}

async function operator(page) {
  await open(page, "box", "[data-test=health]");
  say("box", { health: await page.textContent("[data-test=health]") });
  await shoot(page, "box");
  if (process.env.KAKOU_PANEL_DOCTOR !== "0") {
    const from = performance.now();
    await page.click("[data-test=doctor]");
    await page.waitForSelector("[data-test=findings]", { timeout: 70_000 });
    say("doctor", { ms: since(from), findings: await page.locator("[data-test=findings] li").count() });
    await shoot(page, "doctor");
  }
  await page.fill("#report-reason", "kakou panel test");
  const [report] = await Promise.all([page.waitForEvent("download"), page.click("[data-test=report]")]);
  say("report", { file: report.suggestedFilename() });

  await open(page, "passages", "[data-sequence]");
  await shoot(page, "passages");
  const plate = page.locator("[data-sequence] [data-plate]").first();
  if ((await plate.count()) > 0) {
    const text = await plate.getAttribute("data-plate");
    await page.fill("#f-plate", `${[...text].slice(0, -1).join("")}?`);
    await page.fill("#f-reason", "kakou panel test");
    const from = performance.now();
    await page.click("[data-test=search]");
    await page.waitForFunction(
      (start) => {
        const plates = [...document.querySelectorAll("[data-sequence] [data-plate]")].map((p) => p.dataset.plate);
        return plates.length > 0 && plates.every((p) => p.startsWith(start));
      },
      [...text].slice(0, -1).join(""),
      { timeout: waitMs },
    );
    say("search", { ms: since(from), rows: await page.locator("[data-sequence]").count() });
    await shoot(page, "passages-searched");
  } else {
    say("search", { note: "no passage has a plate" });
  }
  await open(page, "quality", "main h1");
  await page.waitForSelector("[data-test=lane-quality], main p.sheet", { timeout: waitMs });
  say("quality", { lanes: await page.locator("[data-test=lane-quality]").count() });
  await shoot(page, "quality");
  await open(page, "log", "[data-test=log]");
  say("log", { lines: await page.locator("[data-test=log] li").count() });
  await shoot(page, "log");
}

const browser = await launch();
let code = 0;
try {
  const context = await browser.newContext({
    viewport: TABLET,
    hasTouch: true,
    locale: lang === "zh" ? "zh-CN" : "en-GB",
    ignoreHTTPSErrors: true,
    acceptDownloads: true,
  });
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  const guarded = guard(page, url.origin);
  await page.addInitScript(watchHits);
  let from = performance.now();
  await page.goto(url.href);
  await page.waitForSelector("#password");
  say("open", { ms: since(from), browser: browser.version() });
  await shoot(page, "login");
  from = performance.now();
  await page.fill("#name", user);
  await page.fill("#password", password);
  await page.click("[data-test=login]");
  await page.waitForSelector('[data-test=link][data-link="live"], .login .fault', { timeout: 30_000 });
  const refused = page.locator(".login .fault");
  if ((await refused.count()) > 0) throw new Error(`login: ${await refused.textContent()}`);
  const { roles, time } = await ask(page, "/session");
  say("login", { ms: since(from), roles, clock_apart_ms: Date.now() - Date.parse(time) });
  const openedAt = Date.parse(time);
  if (roles.includes("officer")) await officer(page, openedAt);
  if (roles.includes("installer")) await installer(page);
  if (roles.includes("operator")) await operator(page);
  guarded.check();
  await page.click("[data-test=menu]");
  await page.click("[data-test=logout]");
  await page.waitForSelector("#password");
  say("done");
} catch (error) {
  code = 1;
  say("failed", { message: String(error?.message ?? error) });
} finally {
  await browser.close();
}
process.exit(code);
