// What tests do with a page, and what no page may ever do.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { chromium } from "playwright-core";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const AXE_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];

export const TABLET = { width: 1024, height: 768 };
export const UPRIGHT = { width: 768, height: 1024 };
export const PHONE = { width: 390, height: 844 };
export const DESKTOP = { width: 1440, height: 900 };

export function findChromium() {
  if (process.env.KAKOU_CHROMIUM) return process.env.KAKOU_CHROMIUM;
  for (const name of ["chromium", "chromium-browser", "google-chrome"]) {
    try {
      return execFileSync("/bin/sh", ["-c", `command -v ${name}`]).toString().trim();
    } catch {
      // The next name.
    }
  }
  throw new Error("no chromium here: apt-get install chromium, or name one by KAKOU_CHROMIUM");
}

export async function launch() {
  // A container has no namespaces to give to the sandbox; the pages are our own.
  return chromium.launch({ executablePath: findChromium(), args: ["--no-sandbox"] });
}

/** Watches a page for what it may not do; `check` fails the test where it did. */
export function guard(page, origin) {
  const bad = [];
  page.on("request", (request) => {
    const url = new URL(request.url());
    if (url.protocol === "blob:") return;
    if (url.origin !== origin) bad.push(`request to ${request.url()}`);
  });
  page.on("console", (message) => {
    if (/Content.Security.Policy/i.test(message.text())) bad.push(`CSP: ${message.text()}`);
  });
  page.on("pageerror", (error) => bad.push(`script error: ${error.message}`));
  return { check: () => assert.deepEqual(bad, []) };
}

export async function login(page, user, password = `${user}-pass`) {
  await page.fill("#name", user);
  await page.fill("#password", password);
  await page.click("[data-test=login]");
  await page.waitForSelector('[data-test=link][data-link="live"]');
}

export async function accessible(page, about) {
  // The whole page at once: what a bar that stays in place covers can be scrolled to.
  const size = page.viewportSize();
  const height = await page.evaluate(() => document.documentElement.scrollHeight);
  await page.setViewportSize({ width: size.width, height: Math.max(size.height, height + 200) });
  await page.evaluate(axe);
  const found = await page.evaluate(
    async (tags) => {
      const result = await window.axe.run(document, { runOnly: { type: "tag", values: tags } });
      return result.violations.map((v) => `${v.id}: ${v.nodes.map((n) => `${n.target} ${n.failureSummary}`).join(" | ")}`);
    },
    AXE_TAGS,
  );
  await page.setViewportSize(size);
  assert.deepEqual(found, [], about);
}

/** Nothing is cut off at the side, and nothing has to be scrolled sideways. */
export async function fits(page, about) {
  const [wide, window] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  assert.ok(wide <= window, `${about}: ${wide} px wide in a window of ${window} px`);
}

/** A finger: down on `from`, over to `to`, up. */
export async function drag(page, from, to) {
  const client = await page.context().newCDPSession(page);
  const send = (type, points) => client.send("Input.dispatchTouchEvent", { type, touchPoints: points });
  await send("touchStart", [from]);
  for (let i = 1; i <= 8; i++) {
    await send("touchMove", [{ x: from.x + ((to.x - from.x) * i) / 8, y: from.y + ((to.y - from.y) * i) / 8 }]);
  }
  await send("touchEnd", []);
}

export async function centre(locator) {
  const box = await locator.boundingBox();
  return { x: box.x + box.width / 2, y: box.y + box.height / 2 };
}

export async function until(what, check, ms = 10_000) {
  const end = Date.now() + ms;
  while (!(await check())) {
    if (Date.now() > end) throw new Error(`not within ${ms} ms: ${what}`);
    await new Promise((next) => setTimeout(next, 50));
  }
}

/** In the page, from its first moment: when each state of each hit came to be seen. */
export function watchHits() {
  window.kakouSeen = [];
  const known = new Set();
  const look = () => {
    for (const card of document.querySelectorAll("[data-hit]")) {
      const key = [card.dataset.hit, card.dataset.state, card.dataset.told].join();
      if (known.has(key) || card.getClientRects().length === 0) continue;
      known.add(key);
      const { hit: id, state, told } = card.dataset;
      // After the next frame it is on the screen, and not only in the document.
      requestAnimationFrame(() => requestAnimationFrame(() => window.kakouSeen.push({ id, state, told, at: Date.now() })));
    }
  };
  new MutationObserver(look).observe(document, { childList: true, subtree: true, attributes: true, attributeFilter: ["data-state", "data-told"] });
}
