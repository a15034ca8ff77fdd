import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { centre, drag, panel, until } from "./panel.mjs";

const at = "#/cameras/cam-1";

async function edit(page) {
  await page.waitForSelector("[data-test=stage]:not([data-frame=''])");
  await page.click("[data-test=edit]");
  await page.waitForSelector('[data-point="lane-0-1"]');
}

panel("a point is dragged by a finger, undone, and saved", { user: "installer", page: at }, async ({ page, box }) => {
  await edit(page);
  const handle = page.locator('[data-point="lane-0-1"] .knob');
  assert.ok((await handle.boundingBox()).y > 64, "the picture is in view when drawing begins");
  const from = await centre(handle);
  const stage = await page.locator("[data-test=stage]").boundingBox();
  await drag(page, from, { x: from.x + stage.width * 0.1, y: from.y + stage.height * 0.05 });
  await page.waitForSelector("[data-test=unsaved]");
  await page.click("[data-test=undo]");
  assert.equal(await page.locator("[data-test=unsaved]").count(), 0);
  await page.click("[data-test=redo]");
  await page.click("[data-test=save]");
  await page.waitForSelector("[data-test=saved]");
  const [x, y] = box.saves[0].lanes[0].polygon[1];
  assert.ok(Math.abs(x - 0.6) < 0.01 && Math.abs(y - 0.35) < 0.01, `${x}, ${y}`);
  assert.equal(box.saves[0].version, "v1");
  assert.equal(box.saves[0].plate_side, undefined);
  assert.match(await page.textContent("[data-test=saved]"), /kakou\.toml\.2031/);
  assert.match(await page.textContent("[data-test=notes]"), /line 41.*does not span.*Mend: draw it from edge to edge/s);
});

panel("a point is moved, removed and added by keyboard", { user: "installer", page: at }, async ({ page, box }) => {
  await edit(page);
  await page.focus('[data-point="lane-0-0"]');
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("Shift+ArrowDown");
  await page.focus('[data-edge="lane-0-1"]');
  await page.keyboard.press("Enter");
  await until("the new point has the focus", () => page.evaluate(() => document.activeElement.getAttribute("data-point") === "lane-0-2"));
  await page.focus('[data-point="lane-0-4"]');
  await page.keyboard.press("Delete");
  await until("its neighbour has the focus", () => page.evaluate(() => document.activeElement.getAttribute("data-point") === "lane-0-3"));
  await page.focus('[data-point="trigger-0-0"]');
  await page.keyboard.press("ArrowUp");
  await page.keyboard.press("Delete");
  await page.click("[data-test=save]");
  await page.waitForSelector("[data-test=saved]");
  const lane = box.saves[0].lanes[0];
  assert.deepEqual(lane.polygon, [[0.302, 0.32], [0.5, 0.3], [0.51, 0.65], [0.52, 1]]);
  assert.deepEqual(lane.trigger, [[0.2, 0.718], [0.5, 0.72]]);
});

panel("lanes are made, named and deleted; the advised plate_side is taken", { user: "installer", page: at }, async ({ page, box }) => {
  await edit(page);
  await page.click("[data-test=new-lane]");
  await page.fill("#lane-name", "应急车道");
  await page.press("#lane-name", "Tab");
  await page.fill("#lane-id", "lane-1");
  await page.press("#lane-id", "Tab");
  await page.getByText("no other lane's id").waitFor();
  await page.fill("#lane-id", "hard-shoulder");
  await page.press("#lane-id", "Tab");
  await page.selectOption("#lane-direction", "leaving");
  await page.click('[data-lane="lane-2"]');
  await page.click("[data-test=delete-lane]");
  await page.click("[data-test=new-mask]");
  await page.click("[data-test=take-side]");
  await page.click("[data-test=save]");
  await page.waitForSelector("[data-test=saved]");
  const [saved] = box.saves;
  assert.deepEqual(saved.lanes.map((l) => [l.id, l.name, l.direction]), [["lane-1", "最左车道", "approaching"], ["hard-shoulder", "应急车道", "leaving"]]);
  assert.equal(saved.masks.length, 2);
  assert.equal(saved.plate_side, 864);
});

panel("what is drawn while a save is under way stays to be saved", { user: "installer", page: at }, async ({ page, box }) => {
  await edit(page);
  await page.focus('[data-point="lane-0-0"]');
  await page.keyboard.press("ArrowRight");
  let release = () => {};
  box.holdSave = new Promise((done) => (release = done));
  await page.click("[data-test=save]");
  await until("the save is under way", () => page.locator("[data-test=save]").isDisabled());
  await page.focus('[data-point="lane-0-0"]');
  await page.keyboard.press("ArrowDown");
  release();
  box.holdSave = null;
  await page.waitForSelector("[data-test=saved]");
  await page.waitForSelector("[data-test=unsaved]");
  assert.deepEqual(box.saves[0].lanes[0].polygon[0], [0.302, 0.3]);
  await page.click("[data-test=save]");
  await until("the rest is saved too", async () => (await page.locator("[data-test=unsaved]").count()) === 0);
  assert.equal(box.saves[1].version, "v2");
  assert.deepEqual(box.saves[1].lanes[0].polygon[0], [0.302, 0.302]);
});

panel("a config that may not be written is offered for download", { user: "installer", page: at }, async ({ page, box }) => {
  await edit(page);
  await page.focus('[data-point="lane-0-0"]');
  await page.keyboard.press("ArrowRight");
  box.refuse.save = { status: 403, code: "read_only", message: "/etc/kakou/kakou.toml: read-only file system", more: { toml: "site = \"g15-k42\"\n" } };
  await page.click("[data-test=save]");
  assert.match(await page.textContent("[data-test=save-failed]"), /may not write.*read-only file system/s);
  const [download] = await Promise.all([page.waitForEvent("download"), page.click("[data-test=download]")]);
  assert.equal(download.suggestedFilename(), "kakou.toml");
  assert.equal(await readFile(await download.path(), "utf8"), "site = \"g15-k42\"\n");
  await page.waitForSelector("[data-test=unsaved]");
});

panel("a conflict offers to load anew", { user: "installer", page: at }, async ({ page, box }) => {
  await edit(page);
  await page.focus('[data-point="lane-0-0"]');
  await page.keyboard.press("ArrowRight");
  const camera = box.cameras.get("cam-1");
  camera.version = "v7";
  camera.lanes[1].name = "应急";
  await page.click("[data-test=save]");
  await page.waitForSelector('[data-test=save-failed][data-code="conflict"]');
  await page.click("[data-test=load-anew]");
  await page.getByRole("button", { name: "应急" }).waitFor();
  assert.equal(await page.locator("[data-test=unsaved]").count(), 0);
  await page.focus('[data-point="lane-0-0"]');
  await page.keyboard.press("ArrowRight");
  await page.click("[data-test=save]");
  await page.waitForSelector("[data-test=saved]");
  assert.equal(box.saves[0].version, "v7");
});

panel("a config with errors is refused with what to mend", { user: "installer", page: at }, async ({ page, box }) => {
  await edit(page);
  await page.focus('[data-point="lane-0-0"]');
  await page.keyboard.press("ArrowRight");
  box.refuse.save = {
    status: 422, code: "invalid", message: "the config has a fault",
    more: { notes: [{ kind: "error", line: 12, key: "camera.lane.polygon", message: "its edges cross", mend: "move point 2" }] },
  };
  await page.click("[data-test=save]");
  assert.match(await page.textContent("[data-test=notes]"), /Error.*line 12.*its edges cross.*move point 2/s);
});

panel("the live picture shows the newest frame with what was found in it", { user: "installer", page: at }, async ({ page }) => {
  const stage = page.locator("[data-test=stage]");
  await page.waitForSelector(".o-vehicle");
  const first = await stage.getAttribute("data-frame");
  await until("the next frame", async () => (await stage.getAttribute("data-frame")) !== first);
  await until("the canvas has a picture", () => page.evaluate(() => {
    const canvas = document.querySelector("canvas");
    return canvas.getContext("2d").getImageData(10, canvas.height - 10, 1, 1).data[3] === 255;
  }));
  for (const [layer, mark] of [["vehicles", ".o-vehicle"], ["plates", ".o-plate"], ["lanes", ".o-lane"], ["triggers", ".o-trigger"], ["masks", ".o-mask"]]) {
    await page.waitForSelector(mark, { state: "attached" });
    await page.click(`[data-layer=${layer}]`);
    await until(`${layer} are gone`, async () => (await page.locator(mark).count()) === 0);
  }
  await page.click("[data-layer=motion]");
  await page.waitForSelector(".o-motion", { state: "attached" });
  await until("the focus has a best value", async () => Number(await page.textContent("[data-test=focus-best]")) > 100);
  assert.equal(await page.textContent("[data-test=median]"), "92 px");
  await until("plates are listed with their width", async () => (await page.locator(".widths .mark").count()) > 0);
});

panel("changes that are not saved are not lost by a slip", { user: "installer", page: at }, async ({ page }) => {
  await edit(page);
  await page.focus('[data-point="lane-0-0"]');
  await page.keyboard.press("ArrowRight");
  let asked = 0;
  page.on("dialog", (dialog) => (asked++, dialog.dismiss()));
  await page.click('[data-page="box"]');
  await until("it asks", () => asked === 1);
  await page.waitForSelector("[data-test=unsaved]");
  assert.match(page.url(), /#\/cameras\/cam-1$/);
});

panel("an operator sees the live picture and cannot draw", { user: "operator", page: at }, async ({ page }) => {
  await page.waitForSelector(".o-lane", { state: "attached" });
  await page.waitForSelector(".o-vehicle", { state: "attached" });
  assert.equal(await page.locator("[data-test=edit]").count(), 0);
});
