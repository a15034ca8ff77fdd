import assert from "node:assert/strict";
import { makeHit, nearHit, stamp } from "../mock/story.mjs";
import { DESKTOP, PHONE, panel, until } from "./panel.mjs";

const shown = (page, id) => page.waitForSelector(`article[data-hit="${id}"]`);
const told = (box, hit) => box.tell(hit).hit.id;

panel("an officer answers a hit by touch, with a note", { user: "officer" }, async ({ page, box }) => {
  await page.getByText("No hits.").waitFor();
  const id = told(box, nearHit(Date.now()));
  await shown(page, id);
  assert.equal(await page.textContent("[data-test=state]"), "Being checked");
  assert.match(await page.textContent("[data-test=doubt]"), /1 of 100.*weakest character: 0 may be D/s);
  assert.match(await page.textContent("[data-test=compare-words]"), /0 read, D listed/);
  assert.equal(await page.locator("[data-test=compare] .differs").count(), 2);
  for (const button of await page.locator("[data-verdict]").all()) {
    const { width, height } = await button.boundingBox();
    assert.ok(width >= 56 && height >= 56, `${width} x ${height}`);
  }
  const first = await page.textContent("[data-test=age]");
  await until("the seconds go on", async () => (await page.textContent("[data-test=age]")) !== first);
  await page.locator("[data-test=add-note]:visible").tap();
  await page.fill("[data-test=note]", "plate is bent");
  await page.locator("[data-verdict=wrong_plate]").tap();
  const answered = await page.textContent("[data-test=answered]");
  assert.match(answered, /Wrong plate.*by officer.*\+08:00.*plate is bent/s);
  assert.equal(box.hits[0].answer.note, "plate is bent");
  assert.equal(box.hits[0].answer.verdict, "wrong_plate");
});

panel("the answer of a colleague is seen", { user: "officer" }, async ({ page, box }) => {
  const hit = box.tell(makeHit(Date.now()));
  await shown(page, hit.hit.id);
  hit.answer = { verdict: "released", by: "王警官", note: null, time: stamp(Date.now()) };
  box.send("answer", hit);
  await page.getByText("by 王警官").waitFor();
});

panel("a retraction is loud and says why", { user: "officer", lang: "zh" }, async ({ page, box }) => {
  const hit = box.tell(makeHit(Date.now()));
  await shown(page, hit.hit.id);
  box.change(hit, "retracted", { retraction: { reason: "vote_changed", plate: "冀Z7K8T9" } });
  await page.waitForSelector('article[data-state="retracted"]');
  assert.equal(await page.textContent("[data-test=state]"), "已撤销");
  assert.match(await page.textContent("[data-test=why]"), /不再成立.*另一个号牌/s);
  await page.waitForSelector('[data-test=why] [data-plate="冀Z7K8T9"]');
});

panel("a vehicle has its colour where that is sure", { user: "officer", lang: "zh" }, async ({ page, box }) => {
  const text = async (hit) => {
    await shown(page, hit.hit.id);
    return page.textContent(`article[data-hit="${hit.hit.id}"]`);
  };
  const sure = box.tell(makeHit(Date.now()));
  assert.match(await text(sure), /白色小汽车/);
  const vehicle = { ...sure.hit.vehicle, colour: { value: "white", confidence: 0.6 } };
  const guessed = await text(box.tell(makeHit(Date.now(), { vehicle })));
  assert.match(guessed, /小汽车/);
  assert.doesNotMatch(guessed, /白色小汽车/);
});

panel("late and unlisted hits say so", { user: "officer" }, async ({ page, box }) => {
  told(box, makeHit(Date.now() - 300_000, { is_late: true, entry: { plate: "*" }, doubt: { match: "unlisted" } }));
  await page.waitForSelector("[data-test=late]");
  assert.match(await page.textContent("[data-test=compare-words]"), /list of those allowed/);
});

panel("a lost connection is clear, comes back, and what was missed is marked", { user: "officer" }, async ({ page, box }) => {
  const before = told(box, makeHit(Date.now()));
  await shown(page, before);
  box.cut();
  await page.waitForSelector("[data-test=lost]");
  assert.equal(await page.getAttribute("[data-test=link]", "data-link"), "lost");
  await new Promise((later) => setTimeout(later, 1_500));
  const missed = told(box, makeHit(Date.now(), { level: "orange" }));
  await new Promise((later) => setTimeout(later, 500));
  box.mend();
  await page.waitForSelector("[data-test=back]", { timeout: 20_000 });
  assert.equal(await page.locator("[data-test=lost]").count(), 0);
  assert.match(await page.textContent("[data-test=back]"), /1 hit was told while you were away/);
  await shown(page, missed);
  assert.equal(await page.textContent(`article[data-hit="${missed}"] [data-test=missed]`), "Missed while away");
  const after = told(box, makeHit(Date.now(), { level: "blue" }));
  await shown(page, after);
  assert.equal(await page.locator(`article[data-hit="${after}"] [data-test=missed]`).count(), 0);
  await page.click("[data-test=back] button");
  assert.equal(await page.getByText("Missed while away").count(), 0);
});

panel("a connection that is dead without being closed is noticed", { user: "officer" }, async ({ page, box }) => {
  await page.waitForSelector("h1");
  for (const stream of box.streams) stream.response.write = () => true;
  await page.waitForSelector("[data-test=lost]", { timeout: 15_000 });
  await page.waitForSelector("[data-test=back]", { timeout: 15_000 });
});

panel("an answer that fails is shown and can be sent again", { user: "officer" }, async ({ page, box }) => {
  const id = told(box, makeHit(Date.now()));
  await shown(page, id);
  box.refuse.answer = { status: 500, code: "failed", message: "the disk is full" };
  await page.click("[data-verdict=released]");
  assert.match(await page.textContent("[data-test=answer-failed]"), /NOT sent.*the disk is full/s);
  assert.equal(box.hits[0].answer, null);
  await page.click("[data-test=answer-again]");
  await page.waitForSelector("[data-test=answered]");
  assert.equal(box.hits[0].answer.verdict, "released");
});

panel("a new hit does not push away a card that is in hand", { user: "officer" }, async ({ page, box }) => {
  const first = told(box, makeHit(Date.now()));
  await shown(page, first);
  await page.locator("[data-test=reason]").tap();
  const second = told(box, makeHit(Date.now(), { level: "orange" }));
  await page.waitForSelector("[data-test=newhit]");
  await shown(page, first);
  await page.click("[data-test=newhit]");
  await shown(page, second);
  assert.ok(await page.locator("[data-verdict=confirmed]").isDisabled(), "no tap goes through at once");
  await page.waitForSelector("[data-verdict=confirmed]:enabled");
  assert.equal(await page.locator("[data-test=newhit]").count(), 0);
});

panel("the newest hit takes the place of one that nobody holds", { user: "officer", size: PHONE }, async ({ page, box }) => {
  await shown(page, told(box, makeHit(Date.now())));
  const second = told(box, makeHit(Date.now(), { level: "orange" }));
  await shown(page, second);
  assert.equal(await page.locator(".other").count(), 1);
});

panel("sound is asked for once, muted in plain sight, and remembered", { user: "officer" }, async ({ page }) => {
  await page.click("[data-test=sound-on]");
  await page.waitForSelector("[data-test=sound]:has-text('Sound on')");
  assert.equal(await page.locator("[data-test=sound-on]").count(), 0);
  await page.click("[data-test=sound]");
  await page.waitForSelector("[data-test=sound]:has-text('MUTED')");
  await page.reload();
  await page.waitForSelector("[data-test=sound]:has-text('MUTED')");
  await page.click("[data-test=sound]");
  await page.waitForSelector("[data-test=sound]:has-text('Sound on')");
});

panel("a red hit rings and vibrates, and not when muted", { user: "officer" }, async ({ page, box }) => {
  await page.evaluate(() => {
    window.rang = [];
    window.shook = 0;
    navigator.vibrate = () => (window.shook++, true);
    const start = OscillatorNode.prototype.start;
    OscillatorNode.prototype.start = function (at) {
      window.rang.push(this.frequency.value);
      return start.call(this, at);
    };
  });
  await page.click("[data-test=sound-on]");
  await until("the first beep", () => page.evaluate(() => window.rang.length === 1));
  await shown(page, told(box, makeHit(Date.now())));
  await until("six beeps", () => page.evaluate(() => window.rang.length === 7 && window.shook === 1));
  await page.click("[data-test=sound]");
  const muted = told(box, makeHit(Date.now()));
  await page.waitForSelector(`[data-hit="${muted}"]`);
  assert.deepEqual(await page.evaluate(() => [window.rang.length, window.shook]), [7, 1]);
});

panel("hits do not ring for who has no page of them", { user: "installer" }, async ({ page, box }) => {
  await page.evaluate(() => localStorage.setItem("kakou-panel", JSON.stringify({ lang: "en", theme: "light", sound: true })));
  await page.reload();
  await page.waitForSelector('[data-test=link][data-link="live"]');
  await page.click("h1");
  await page.evaluate(() => {
    window.rang = 0;
    OscillatorNode.prototype.start = () => window.rang++;
  });
  told(box, makeHit(Date.now()));
  await new Promise((later) => setTimeout(later, 800));
  assert.equal(await page.evaluate(() => window.rang), 0);
});

panel("a vehicle that is seen again is no new alarm", { user: "officer" }, async ({ page, box }) => {
  const hit = box.tell(makeHit(Date.now(), { state: "confirmed" }));
  await shown(page, hit.hit.id);
  await page.click("[data-test=sound-on]");
  await page.waitForSelector("[data-test=sound]:has-text('Sound on')");
  await page.evaluate(() => {
    window.rang = 0;
    OscillatorNode.prototype.start = () => window.rang++;
  });
  box.change(hit, "again");
  await page.waitForSelector('article[data-state="again"]');
  assert.equal(await page.textContent("[data-test=state]"), "Seen again");
  assert.equal(await page.evaluate(() => window.rang), 0);
});

panel("a session that the box has ended leads to the login", { user: "officer" }, async ({ page, box }) => {
  await shown(page, told(box, makeHit(Date.now())));
  box.sessions.clear();
  for (const stream of box.streams) stream.response.end();
  await page.getByText("Your session has ended").waitFor();
  await page.waitForSelector("#password");
});

panel("the login says what is wrong", { user: null }, async ({ page }) => {
  for (const [name, says] of [["officer", "Name or password is wrong."], ["locked", "Too many wrong tries. Try again in 60 s."]]) {
    await page.fill("#name", name);
    await page.fill("#password", "not this");
    await page.click("[data-test=login]");
    await page.getByText(says).waitFor();
  }
});

panel("the picture opens whole, and Escape closes it", { user: "officer", size: DESKTOP }, async ({ page, box }) => {
  await shown(page, told(box, makeHit(Date.now())));
  await page.click("[data-test=shot]");
  await until("the picture is there", () => page.evaluate(() => document.querySelector("dialog img")?.naturalWidth === 1280));
  await page.keyboard.press("Escape");
  await until("it is closed", async () => (await page.locator("dialog").count()) === 0);
});

panel("in a whole frame the vehicle is marked", { user: "officer" }, async ({ page, box }) => {
  const id = told(box, makeHit(Date.now()));
  await shown(page, id);
  assert.equal(await page.locator("[data-test=shot] .marks").count(), 0, "the thumbnail is the vehicle");
  await page.click("[data-test=shot]");
  const mark = page.locator("dialog .marks rect.over");
  assert.deepEqual([await mark.getAttribute("x"), await mark.getAttribute("width")], ["498", "346.2"]);
  await until("the picture is there", () => page.evaluate(() => document.querySelector("dialog img")?.naturalWidth === 1280));
  const [picture, marks] = [await page.locator("dialog img").boundingBox(), await page.locator("dialog .marks").boundingBox()];
  for (const side of ["x", "y", "width", "height"]) assert.ok(Math.abs(picture[side] - marks[side]) < 2, side);
  await page.click("[data-test=close]");
  // Where no vehicle was found, the small picture is the whole frame too.
  const alone = told(box, makeHit(Date.now() + 1_000, { vehicle: null }));
  await page.click("[data-test=newhit]");
  await shown(page, alone);
  const around = page.locator("[data-test=shot] .marks rect.over");
  assert.ok(Number(await around.getAttribute("x")) < 611.7 && Number(await around.getAttribute("width")) > 300);
});

panel("an entry that is over says so", { user: "officer" }, async ({ page, box }) => {
  const before = makeHit(Date.now());
  const entry = { ...before.hit.entry, valid_until: "2020-01-01T23:59:59.000+08:00" };
  await shown(page, told(box, makeHit(Date.now(), { entry })));
  assert.match(await page.textContent("[data-test=ended]"), /held until.*2020/);
  await shown(page, told(box, makeHit(Date.now() + 1_000, { entry: { ...entry, valid_until: "2099-01-01T00:00:00.000+08:00" } })));
  assert.equal(await page.locator("[data-test=ended]").count(), 0);
});

panel("the screen stays on while hits are shown", { user: "officer" }, async ({ page, context }) => {
  await context.addInitScript(() => {
    window.asked = [];
    const request = async (what) => {
      window.asked.push(what);
      return { release: async () => window.asked.push("released") };
    };
    Object.defineProperty(navigator, "wakeLock", { value: { request } });
  });
  await page.reload();
  await page.getByText("No hits.").waitFor();
  await until("the screen is kept on", () => page.evaluate(() => window.asked.join() === "screen"));
});
