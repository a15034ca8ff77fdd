import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { panel, until } from "./panel.mjs";

const rows = (page) => page.locator("[data-sequence]").count();

panel("a plate is searched for with a reason, and not without", { user: "operator", page: "#/passages" }, async ({ page, box }) => {
  await page.waitForSelector("[data-sequence]");
  await page.fill("#f-plate", "冀z7k?t9");
  await page.click("[data-test=search]");
  await page.getByText("at least 4 characters").waitFor();
  assert.equal(box.audit.length, 0);
  await page.fill("#f-reason", "case 31-0504");
  await page.click("[data-test=search]");
  await until("only that plate is shown", async () => {
    const plates = await page.locator("[data-sequence] [data-plate]").evaluateAll((all) => all.map((p) => p.dataset.plate));
    return plates.length > 0 && plates.every((p) => p === "冀Z7K0T9");
  });
  assert.deepEqual(box.audit, [{ what: "passages", by: "operator", plate: "冀Z7K?T9", reason: "case 31-0504" }]);
  const before = await rows(page);
  box.pass();
  await new Promise((later) => setTimeout(later, 400));
  assert.equal(await rows(page), before, "nothing is added to the answer of a look-up");
});

panel("a pattern of everything is refused", { user: "operator", page: "#/passages" }, async ({ page, box }) => {
  await page.fill("#f-plate", "*");
  await page.fill("#f-reason", "just looking");
  await page.click("[data-test=search]");
  await page.getByText("At least one character beside").waitFor();
  assert.equal(box.audit.length, 0);
});

panel("passages are filtered, come live, and go on when asked", { user: "operator", page: "#/passages" }, async ({ page, box }) => {
  await until("a first page", async () => (await rows(page)) === 50);
  await page.click("[data-test=more]");
  await until("a second page", async () => (await rows(page)) === 100);
  const come = [box.pass(), box.pass(), box.pass()].reverse();
  await page.waitForSelector(`[data-passage="${come[0].passage.id}"]`);
  const all = await page.locator("[data-passage]").evaluateAll((all) => all.map((r) => r.dataset.passage));
  const newest = box.passages.slice(0, 103).map((row) => row.passage.id);
  assert.deepEqual(new Set(all.slice(0, 3)), new Set(newest.slice(0, 3)), "what has come is on top");
  assert.deepEqual(all.slice(3), newest.slice(3), "newest first, and each once");
  // Asked for anew they have their numbers, and are there once.
  await page.getByRole("button", { name: "Clear" }).click();
  await page.waitForSelector(`[data-sequence="${come[0].sequence}"]`);
  const again = await page.locator("[data-passage]").evaluateAll((all) => all.map((r) => r.dataset.passage));
  assert.deepEqual(again, newest.slice(0, 50));
  await page.selectOption("#f-camera", "cam-2");
  await page.check("label.check input");
  await page.click("[data-test=search]");
  await until("only unread ones of cam-2", async () => {
    const texts = await page.locator("[data-sequence]").allTextContents();
    return texts.length > 0 && texts.every((t) => t.includes("cam-2") && t.includes("not readable"));
  });
});

panel("a passage that came by itself keeps its pictures", { user: "operator", page: "#/passages" }, async ({ page, box }) => {
  await until("a first page", async () => (await rows(page)) === 50);
  box.sequence = 41_000;
  const { passage } = box.pass();
  const row = page.locator(`[data-passage="${passage.id}"]`);
  await row.locator("button.thumb").waitFor();
  box.forgetful = true;
  await row.locator("button.thumb").click();
  await page.waitForFunction(() => document.querySelector("dialog img")?.naturalWidth > 0);
  assert.match(await page.getAttribute("dialog img", "src"), /near=41001$/);
});

panel("the report asks for a reason and is downloaded", { user: "operator", page: "#/box" }, async ({ page, box }) => {
  await page.click("[data-test=report]");
  await page.getByText("at least 4 characters").waitFor();
  await page.fill("#report-reason", "monthly report");
  const [download] = await Promise.all([page.waitForEvent("download"), page.click("[data-test=report]")]);
  assert.match(download.suggestedFilename(), /^kakou-g15-k42-.*\.csv$/);
  assert.equal(await readFile(await download.path(), "utf8"), "hour,camera,lane,passages,read\n");
  assert.equal(box.audit[0].reason, "monthly report");
});

panel("doctor tells what it found, worst first", { user: "operator", page: "#/box" }, async ({ page }) => {
  await page.click("[data-test=doctor]");
  await page.waitForSelector("[data-test=findings]");
  const first = await page.locator("[data-test=findings] li").first().textContent();
  assert.match(first, /Fault.*camera · cam-2.*connection refused.*Mend: check cable/s);
  await page.getByText("Faults: 1. Warnings: 1.").waitFor();
});

panel("the box says how it is, why, and what to do", { user: "operator", page: "#/box" }, async ({ page, box }) => {
  assert.equal(await page.textContent("[data-test=health]"), "Degraded");
  const text = await page.textContent("[data-test=box]");
  for (const part of ["cam-2: connection refused", "Unreachable", "Check cable, power", "prefecture", "synchronised", "clp-det"]) {
    assert.ok(text.includes(part), part);
  }
  const ends = await page.locator("[data-test=certificates] .mark").allTextContents();
  assert.deepEqual(ends, ["OK", "Degraded", "Failed"], "what ends within a month, and what has ended");
  box.status = { health: "failed" };
  await page.waitForSelector("[data-test=health]:has-text('Failed')");
});

panel("quality has a table for every plot", { user: "operator", page: "#/quality" }, async ({ page }) => {
  await until("three lanes", async () => (await page.locator("[data-test=lane-quality]").count()) === 3);
  assert.equal(await page.locator("[data-test=lane-quality] svg[role=img]").count(), 12);
  await page.locator("details.table summary").first().click();
  assert.ok((await page.locator("details.table[open] tbody tr").count()) > 12);
  await page.selectOption("[data-test=span]", "168");
  await until("a week", async () => (await page.locator("details.table[open] tbody tr").count()) > 100);
});

panel("the log is filtered by level and text", { user: "operator", page: "#/log" }, async ({ page }) => {
  await until("all lines", async () => (await page.locator(".log li").count()) === 60);
  await page.selectOption("#log-level", "ERROR");
  await until("errors", async () => (await page.locator(".log li").count()) === 15);
  await page.selectOption("#log-level", "WARN");
  await until("warnings too", async () => (await page.locator(".log li").count()) === 30);
  await page.fill("#log-text", "CAM-2");
  await until("by text", async () => (await page.locator(".log li").count()) === 15);
});
