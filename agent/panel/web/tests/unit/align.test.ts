import assert from "node:assert/strict";
import test from "node:test";

import { align, type Column } from "../../src/lib/align";

const rows = (columns: Column[]): string[] => [
  columns.map((c) => c.read ?? "-").join(""),
  columns.map((c) => c.listed ?? "-").join(""),
  columns.map((c) => (c.differs ? "^" : ".")).join(""),
];

test("an exact match has no difference", () => {
  assert.deepEqual(rows(align("冀Z7K0T9", "冀Z7K0T9")), ["冀Z7K0T9", "冀Z7K0T9", "......."]);
});

test("the differences of the message mark their characters", () => {
  const columns = align("冀Z7K0T9", "冀Z7KDT9", [{ position: 4, read: "0", listed: "D" }]);
  assert.deepEqual(rows(columns), ["冀Z7K0T9", "冀Z7KDT9", "....^.."]);
});

test("a character that the read lacks leaves a gap above it", () => {
  const columns = align("冀Z7KT9", "冀Z7K0T9", [{ position: 4, read: null, listed: "0" }]);
  assert.deepEqual(rows(columns), ["冀Z7K-T9", "冀Z7K0T9", "....^.."]);
});

test("a character that the read has twice leaves a gap below it", () => {
  const columns = align("冀Z77K0T9", "冀Z7K0T9", [{ position: 3, read: "7", listed: null }]);
  assert.deepEqual(rows(columns), ["冀Z77K0T9", "冀Z7-K0T9", "...^...."]);
});

test("an added character may stand at the end", () => {
  const columns = align("冀Z7K0T99", "冀Z7K0T9", [{ position: 7, read: "9", listed: null }]);
  assert.deepEqual(rows(columns), ["冀Z7K0T99", "冀Z7K0T9-", ".......^"]);
});

test("differences that do not lead from text to text are not believed", () => {
  const columns = align("冀Z7K0T9", "冀Z7KDT9", [{ position: 1, read: "X", listed: "Z" }]);
  assert.deepEqual(rows(columns), ["冀Z7K0T9", "冀Z7KDT9", "....^.."]);
  assert.deepEqual(rows(align("冀Z7K0T", "冀Z7KDT9")), ["冀Z7K0T-", "冀Z7KDT9", "....^.^"]);
});

test("a pattern's signs fit what they stand for", () => {
  assert.deepEqual(rows(align("冀Z7K0T9", "冀Z7K??9")), ["冀Z7K0T9", "冀Z7K??9", "......."]);
  assert.deepEqual(rows(align("冀Z7K0T9", "冀Z*9")), ["冀Z7K0T9", "冀Z****9", "......."]);
  assert.deepEqual(rows(align("冀Z7K0T9", "*")), ["冀Z7K0T9", "*******", "......."]);
});

test("every character of both texts is in a column, whatever they are", () => {
  for (const [read, listed] of [["", "冀Z7K0T9"], ["冀Z7K0T9", ""], ["<img>", "冀A"], ["京A1", "沪B22挂"]] as const) {
    const columns = align(read, listed);
    assert.equal(columns.map((c) => c.read ?? "").join(""), read);
    assert.equal(columns.map((c) => c.listed ?? "").join(""), listed);
  }
});
