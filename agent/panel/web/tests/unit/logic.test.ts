import assert from "node:assert/strict";
import test from "node:test";

import { query } from "../../src/lib/api";
import { changed, merge, type Shown } from "../../src/lib/hits";
import { en } from "../../src/lib/i18n/en";
import { zh } from "../../src/lib/i18n/zh";
import { bytes, share, whole as number } from "../../src/lib/numbers";
import { normalPattern, patternFault, reasonFault } from "../../src/lib/pattern";
import { ground, percent } from "../../src/lib/plates";
import { byLane } from "../../src/lib/quality";
import { dateOf, offsetMinutes, secondsSince, span, toStamp, whole } from "../../src/lib/time";
import type { Hit, Hour } from "../../src/lib/types";
import { Undo } from "../../src/lib/undo";

test("a time is shown as the site wrote it, whatever the tablet's zone is", () => {
  const time = "2031-05-04T08:15:30.250+08:00";
  for (const zone of ["UTC", "America/New_York", "Asia/Shanghai"]) {
    process.env["TZ"] = zone;
    assert.equal(whole(time, "en"), "4 May 2031, 08:15:30 +08:00");
    assert.equal(whole(time, "zh"), "2031年5月4日 08:15:30 +08:00");
    assert.equal(toStamp(Date.parse(time), 480), "2031-05-04T08:15:30+08:00");
  }
  assert.equal(toStamp(Date.parse("2031-01-01T02:00:00+08:00"), -210), "2030-12-31T14:30:00-03:30");
  assert.equal(offsetMinutes("2031-01-01T02:00:00-03:30"), -210);
  assert.equal(offsetMinutes("2031-01-01T02:00:00Z"), 0);
  assert.equal(dateOf("no time", "en"), "no time");
});

test("a span has two units at the most", () => {
  assert.deepEqual([0, 97, 119, 120, 3599, 3600, 200_000].map((s) => span(s, "en")), [
    "0 s", "97 s", "119 s", "2 min 00 s", "59 min 59 s", "1 h 00 min", "2 d 7 h",
  ]);
  assert.equal(span(125, "zh"), "2分05秒");
  assert.equal(secondsSince("2031-05-04T08:15:30+08:00", Date.parse("2031-05-04T00:15:42Z")), 12);
  assert.equal(secondsSince("2031-05-04T08:15:30+08:00", 0), 0);
});

test("a pattern is written as the box compares it", () => {
  assert.equal(normalPattern(" 冀z·7k ？Ｔ9 "), "冀Z7K?T9");
  assert.equal(patternFault(""), null);
  assert.equal(patternFault("冀Z7K?T*"), null);
  assert.equal(patternFault("???*"), "too_wide");
  assert.equal(patternFault("冀<img>"), "characters");
  assert.equal(patternFault("A".repeat(65)), "too_long");
});

test("a reason has four characters that say something", () => {
  assert.equal(reasonFault("  ab  "), true);
  assert.equal(reasonFault("案件31"), false);
});

test("a confidence is never told higher than it is", () => {
  assert.deepEqual([0.998, 0.9712, 0.0164, 0, 1].map(percent), [99, 97, 1, 0, 100]);
});

test("the ground is what was seen, else what the kind of plate has", () => {
  assert.equal(ground("green", { code: "02", standard: "GA 36" }), "green");
  assert.equal(ground(null, { code: "02", standard: "GA 36" }), "blue");
  assert.equal(ground(undefined, { code: "02", standard: "other" }), "unknown");
  assert.equal(ground("purple", null), "unknown");
});

test("figures", () => {
  assert.equal(bytes(81_604_378_624), "76.0 GiB");
  assert.equal(number(1_234_567).replace(/\u202f/g, " "), "1 234 567");
  assert.equal(share(2, 3), "66 %");
  assert.equal(share(0, 0), "–");
  assert.equal(query({ a: "x y", b: "", c: null, d: 0 }), "?a=x+y&d=0");
  assert.equal(query({}), "");
});

test("undo and redo", () => {
  const undo = new Undo("a");
  undo.push("b");
  undo.push("c");
  assert.equal(undo.undo(), "b");
  assert.equal(undo.undo(), "a");
  assert.equal(undo.undo(), "a");
  assert.equal(undo.canUndo, false);
  assert.equal(undo.redo(), "b");
  undo.push("d");
  assert.equal(undo.canRedo, false);
  assert.equal(undo.redo(), "d");
  assert.equal(undo.undo(), "b");
});

const at = (s: number): string => toStamp(Date.parse("2031-05-04T08:00:00+08:00") + s * 1000, 480);
/** Its number is that of the second it was told in, where nothing else is said. */
function hit(id: string, seen: number, told: number, state: string, answer: Hit["answer"] = null, more: Partial<Hit> = {}): Hit {
  const message = { id, state, time: at(seen), level: "red" };
  return { run: 1, number: told, told: at(told), answer, pictures: {}, hit: message, ...more } as unknown as Hit;
}
const never = (): boolean => false;

test("hits stand newest first, each once, in its last state", () => {
  let hits: Shown[] = merge([], [hit("a", 1, 2, "provisional"), hit("b", 5, 6, "provisional")], never);
  hits = merge(hits, [hit("a", 1, 8, "confirmed")], never);
  assert.deepEqual(hits.map((h) => [h.hit.id, h.hit.state]), [["b", "provisional"], ["a", "confirmed"]]);
  hits = merge(hits, [hit("a", 1, 2, "provisional")], never);
  assert.equal(hits[1]?.hit.state, "confirmed", "a state that comes late does not turn it back");
});

test("a hit's end counts although the site's clock was set back", () => {
  const told = hit("a", 298, 300, "provisional", null, { number: 7 });
  const end = hit("a", 28, 30, "retracted", null, { number: 8 });
  const shown = merge([], [told], never);
  assert.deepEqual(changed(shown, [end]), [end]);
  const hits = merge(shown, [end], never);
  assert.equal(hits[0]?.hit.state, "retracted");
  assert.deepEqual(changed(hits, [told]), []);
  assert.equal(merge(hits, [told], never)[0]?.hit.state, "retracted", "what comes late does not turn it back");
});

test("another run of the box numbers anew, and tells the same states without making news of them", () => {
  const shown = merge([], [hit("a", 1, 300, "provisional"), hit("b", 2, 310, "retracted")], never);
  const news = [hit("a", 1, 20, "confirmed", null, { run: 2, number: 2 }), hit("b", 2, 2, "retracted", null, { run: 2, number: 1 })];
  assert.deepEqual(changed(shown, news).map((h) => h.hit.id), ["a"]);
  assert.deepEqual(merge(shown, news, never).map((h) => [h.hit.id, h.hit.state, h.run]), [["b", "retracted", 2], ["a", "confirmed", 2]]);
});

test("what was told while nobody could hear is missed, until somebody answers", () => {
  const shown = merge([], [hit("a", 1, 2, "confirmed")], never);
  const away = (h: Hit): boolean => Date.parse(h.told) > Date.parse(at(10)) && Date.parse(h.told) < Date.parse(at(30));
  const news = [hit("a", 1, 2, "confirmed"), hit("b", 18, 20, "provisional"), hit("c", 39, 40, "provisional")];
  assert.deepEqual(changed(shown, news).map((h) => h.hit.id), ["b", "c"]);
  let hits = merge(shown, news, away);
  assert.deepEqual(hits.map((h) => [h.hit.id, h.missed]), [["c", false], ["b", true], ["a", false]]);
  hits = merge(hits, news, never);
  assert.equal(hits[1]?.missed, true, "hearing it again does not change that it was missed");
  const answer = { verdict: "released", by: "x", time: at(50) } as const;
  hits = merge(hits, [hit("b", 18, 20, "provisional", answer)], away);
  assert.equal(hits[1]?.missed, false);
});

test("hours without traffic are gaps, and means count what was read", () => {
  const hour = (h: number, lane: string | null, read: number, width: number | null): Hour => ({
    start: at(h * 3600), camera: "c", lane, passages: read + 1, read, confidence: null, width,
  });
  const shown = byLane([hour(0, "1", 10, 100), hour(3, "1", 30, 60), hour(3, null, 0, null)], 4);
  assert.equal(shown.starts.length, 4);
  assert.equal(shown.starts[3], at(3 * 3600));
  const one = shown.lanes.find((l) => l.lane === "1");
  assert.deepEqual(one?.hours.map((h) => h?.read ?? null), [10, null, null, 30]);
  assert.equal(one?.width, 70);
  assert.equal(one?.confidence, null);
  assert.deepEqual(byLane([], 4), { starts: [], lanes: [] });
});

test("no text is left empty in either language, and both take the same values", () => {
  const visit = (a: object, b: object, path: string): void => {
    assert.deepEqual(Object.keys(a).sort(), Object.keys(b).sort(), path);
    for (const [key, value] of Object.entries(a)) {
      const other = (b as Record<string, unknown>)[key];
      assert.equal(typeof other, typeof value, `${path}.${key}`);
      if (typeof value === "object") visit(value as object, other as object, `${path}.${key}`);
      if (typeof value === "string") assert.ok(value !== "" && other !== "", `${path}.${key}`);
    }
  };
  visit(en, zh, "words");
});
