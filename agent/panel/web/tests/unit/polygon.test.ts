import assert from "node:assert/strict";
import test from "node:test";

import {
  addLane,
  addMask,
  addPoint,
  addTrigger,
  idIsFree,
  lookedSide,
  movePoint,
  pointsOf,
  removePoint,
  removeShape,
  scaledWidth,
  setLane,
  type Drawing,
} from "../../src/lib/polygon";
import type { Lane, Point } from "../../src/lib/types";

const lane = (id: string, polygon: Point[]): Lane => ({ id, name: null, polygon, trigger: null, direction: null });
const SQUARE: Point[] = [[0.2, 0.2], [0.6, 0.2], [0.6, 0.6], [0.2, 0.6]];
const drawing: Drawing = { lanes: [lane("a", SQUARE), lane("b", SQUARE)], masks: [SQUARE] };
const A = { kind: "lane", index: 0 } as const;

test("a point stays within the picture, and nothing is changed in place", () => {
  const before = JSON.stringify(drawing);
  const moved = movePoint(drawing, A, 1, [1.7, -0.4]);
  assert.deepEqual(pointsOf(moved, A)[1], [1, 0]);
  assert.deepEqual(pointsOf(movePoint(drawing, A, 1, [NaN, 0.123456]), A)[1], [0, 0.1235]);
  assert.equal(JSON.stringify(drawing), before);
  assert.equal(movePoint(drawing, A, 9, [0, 0]), drawing);
  assert.equal(moved.lanes[1], drawing.lanes[1]);
});

test("a point is added in the middle of its edge, the last edge's too", () => {
  assert.deepEqual(pointsOf(addPoint(drawing, A, 0), A)[1], [0.4, 0.2]);
  const closed = pointsOf(addPoint(drawing, A, 3), A);
  assert.deepEqual(closed[4], [0.2, 0.4]);
  assert.equal(closed.length, 5);
});

test("a polygon keeps three points, and a trigger its two", () => {
  const three = removePoint(drawing, A, 0);
  assert.equal(pointsOf(three, A).length, 3);
  assert.equal(removePoint(three, A, 0), three);
  const T = { kind: "trigger", index: 0 } as const;
  const crossed = addTrigger(drawing, 0);
  assert.deepEqual(pointsOf(crossed, T), [[0.2, 0.44], [0.6, 0.44]]);
  assert.equal(removePoint(crossed, T, 0), crossed);
  assert.equal(addPoint(crossed, T, 0), crossed);
  assert.equal(removeShape(crossed, T).lanes[0]?.trigger, null);
});

test("lanes and masks come and go", () => {
  const more = addLane(addMask(drawing));
  assert.equal(more.lanes[2]?.id, "lane-3");
  assert.equal(more.masks.length, 2);
  assert.deepEqual(removeShape(more, A).lanes.map((l) => l.id), ["b", "lane-3"]);
  assert.equal(removeShape(more, { kind: "mask", index: 0 }).masks.length, 1);
  const taken: Drawing = { lanes: [lane("lane-2", SQUARE)], masks: [] };
  assert.equal(addLane(taken).lanes[1]?.id, "lane-3");
});

test("an id is the config's, and nobody else's", () => {
  assert.equal(idIsFree(drawing, 0, "a"), true);
  assert.equal(idIsFree(drawing, 0, "b"), false);
  for (const bad of ["", "lane 1", "车道", "a".repeat(65)]) assert.equal(idIsFree(drawing, 0, bad), false);
  assert.equal(setLane(drawing, 1, { name: "右" }).lanes[1]?.name, "右");
});

test("the region that is scaled to plate_side is that of docs/operation.md", () => {
  assert.equal(lookedSide([], [1280, 720]), 1280);
  assert.equal(lookedSide([lane("all", [[0, 0], [1, 0], [1, 1], [0, 1]])], [1920, 1080]), 1920);
  // One lane of 40 % of the width and full height: 64 % of 1920.
  const one = lookedSide([lane("one", [[0.3, 0], [0.7, 0], [0.7, 1], [0.3, 1]])], [1920, 1080]);
  assert.ok(Math.abs(one - 1228.8) < 0.01, String(one));
  assert.equal(Math.round(scaledWidth(100, 1229, 553)), 45);
  assert.equal(scaledWidth(30, 200, 4096), 60);
});
