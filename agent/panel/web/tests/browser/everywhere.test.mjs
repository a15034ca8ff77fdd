// What holds on every page, in both languages and both themes.

import assert from "node:assert/strict";
import { HOSTILE, makeHit, nearHit } from "../mock/story.mjs";
import { DESKTOP, PHONE, TABLET, UPRIGHT, accessible, fits, login, panel, until } from "./panel.mjs";

const READY = {
  hits: "[data-test=answers]",
  cameras: "[data-camera]",
  "cameras/cam-1": ".widths .mark",
  box: "[data-test=box]",
  passages: "[data-sequence]",
  quality: "[data-test=lane-quality]",
  log: ".log li",
};
const TITLES = {
  zh: { hits: "命中", cameras: "相机", "cameras/cam-1": "cam-1", box: "终端", passages: "过车", quality: "质量", log: "日志" },
  en: { hits: "Hits", cameras: "Cameras", "cameras/cam-1": "cam-1", box: "Box", passages: "Passages", quality: "Quality", log: "Log" },
};

async function open(page, name) {
  await page.evaluate((to) => (location.hash = `#/${to}`), name);
  await page.waitForSelector(READY[name], { state: "attached" });
  if (name === "cameras/cam-1" && (await page.locator("[data-test=edit]").count()) > 0) await page.click("[data-test=edit]");
}

for (const [lang, theme, size] of [["zh", "light", TABLET], ["zh", "dark", PHONE], ["en", "light", PHONE], ["en", "dark", UPRIGHT], ["en", "light", DESKTOP]]) {
  const about = `${lang}, ${theme}, ${size.width} px`;
  panel(`every page is accessible and fits: ${about}`, { user: null, lang, theme, size }, async ({ page, box }) => {
    await accessible(page, `login, ${about}`);
    await fits(page, `login, ${about}`);
    const hit = box.tell(makeHit(Date.now() - 90_000, { level: "orange", is_late: true }));
    box.change(hit, "retracted", { retraction: { reason: "no_vehicle" } });
    box.tell(makeHit(Date.now() - 60_000, { level: "red", state: "confirmed" }));
    box.tell(makeHit(Date.now() - 50_000, { level: "blue", state: "unresolved" }));
    box.tell(nearHit(Date.now()));
    await login(page, "chief");
    for (const name of Object.keys(READY)) {
      await open(page, name);
      assert.equal(await page.locator("main h1").first().textContent(), TITLES[lang][name]);
      await accessible(page, `${name}, ${about}`);
      await fits(page, `${name}, ${about}`);
    }
    await open(page, "hits");
    for (const state of ["retracted", "confirmed", "unresolved"]) {
      await page.click(`.other[data-state=${state}]`);
      await page.waitForSelector(`article[data-state=${state}]`);
      await page.waitForSelector("[data-verdict]:enabled");
      await accessible(page, `${state} hit, ${about}`);
      await fits(page, `${state} hit, ${about}`);
    }
    await page.click("[data-test=menu]");
    await accessible(page, `menu, ${about}`);
    assert.equal(await page.getAttribute("html", "lang"), lang === "zh" ? "zh-CN" : "en");
  });
}

panel("the language and the theme are changed in the menu and remembered", { user: "operator", lang: "en" }, async ({ page }) => {
  await page.click("[data-test=menu]");
  assert.equal(await page.textContent("[data-test=user]"), "operator");
  assert.equal(await page.textContent("[data-test=roles]"), "Operator");
  await page.click("[data-lang=zh]");
  await page.click("[data-theme-choice=dark]");
  await page.click("[data-test=close]");
  await page.reload();
  await page.waitForSelector(".pages");
  assert.match(await page.textContent(".pages"), /命中.*过车/s);
  assert.equal(await page.getAttribute("html", "data-theme"), "dark");
  await page.click("[data-test=menu]");
  await page.click("[data-test=logout]");
  await page.waitForSelector("#password");
});

for (const [user, pages] of [["officer", []], ["installer", ["cameras", "box", "quality", "log"]], ["operator", ["hits", "cameras", "box", "passages", "quality", "log"]]]) {
  panel(`an ${user} sees the pages of that role only`, { user, page: "#/passages" }, async ({ page }) => {
    const links = await page.locator(".pages a").evaluateAll((all) => all.map((a) => a.dataset.page));
    assert.deepEqual(links, pages);
    if (user !== "operator") assert.equal(await page.locator("#f-plate").count(), 0);
  });
}

panel("times are the site's, whatever the tablet's zone is", { user: "operator", page: "#/box" }, async ({ page }) => {
  assert.match(await page.textContent("[data-test=box]"), /4 May 2031, 07:41:03 \+08:00/);
});

panel("text from outside stays text", { user: null }, async ({ page, box }) => {
  const camera = box.cameras.get("cam-1");
  box.cameras.set(HOSTILE, structuredClone(camera));
  camera.lanes[0].name = HOSTILE;
  box.status = {
    cameras: [{ camera: "cam-1", health: "failed", state: HOSTILE, detail: HOSTILE, frames: 0, frames_dropped: 0, frames_broken: 0 }],
  };
  const plate = { text: HOSTILE, raw: HOSTILE, characters: [...HOSTILE].map((char) => ({ char, confidence: 1, runner_up: { char: "<", confidence: 0.1 } })) };
  const hit = box.tell(
    makeHit(Date.now(), {
      camera: HOSTILE, reason: HOSTILE, category: HOSTILE, plate, lane: { id: HOSTILE, name: HOSTILE },
      entry: { plate: HOSTILE, authority: HOSTILE, list: HOSTILE },
      doubt: { contradictions: [{ what: HOSTILE, seen: HOSTILE, listed: HOSTILE }] },
    }),
  );
  hit.pictures = { thumbnail: "https://elsewhere.example/x.png", frame: "javascript:alert(1)", plate: "//elsewhere.example/y.png" };
  hit.answer = { verdict: "confirmed", by: HOSTILE, note: HOSTILE, time: HOSTILE };
  await login(page, "chief");
  await page.waitForSelector("[data-test=answered]");
  assert.equal(await page.textContent("[data-test=reason]"), HOSTILE);
  box.pass({ camera: HOSTILE, plate: { ...plate, kind: null, colour: null, confidence: 1 } });
  for (const name of Object.keys(READY)) {
    if (name === "cameras/cam-1") continue;
    await open(page, name);
  }
  await until("the log shows it", async () => (await page.textContent(".log")).includes(HOSTILE));
  await page.evaluate((id) => (location.hash = `#/cameras/${encodeURIComponent(id)}`), HOSTILE);
  await until("the camera's page shows it", async () => (await page.textContent("h1")) === HOSTILE);
  await page.evaluate(() => (location.hash = "#/cameras/cam-1"));
  await page.getByText(HOSTILE).first().waitFor({ state: "attached" });
  assert.equal(await page.evaluate(() => window.owned), undefined);
  assert.equal(await page.locator("img[src=x]").count(), 0);
});
