// Puts a plate as read above the plate as listed, character by character.

import type { Difference } from "./types";

export interface Column {
  /** `null`: the read has no character here. */
  read: string | null;
  /** `null`: the list has no character here. */
  listed: string | null;
  differs: boolean;
}

/**
 * Columns of the read and the listed plate. `differences` (positions in the listed plate) decide
 * when they lead from one text to the other; else the shortest edit does. In a listed pattern `?`
 * fits any one character and `*` any number of them.
 */
export function align(read: string, listed: string, differences: Difference[] = []): Column[] {
  const r = [...read];
  const l = [...listed];
  return byDifferences(r, l, differences) ?? byEdits(r, l);
}

function byDifferences(r: string[], l: string[], differences: Difference[]): Column[] | null {
  if (l.includes("*")) return null;
  const columns: Column[] = [];
  let i = 0;
  let j = 0;
  while (i <= l.length) {
    for (const d of differences) {
      if (d.position !== i || d.listed !== null) continue;
      if (r[j] !== d.read) return null;
      columns.push({ read: r[j++] ?? null, listed: null, differs: true });
    }
    if (i === l.length) break;
    const d = differences.find((d) => d.position === i && d.listed !== null);
    const want = l[i] ?? "";
    if (d && d.listed !== want) return null;
    if (d && d.read === null) {
      columns.push({ read: null, listed: want, differs: true });
    } else {
      const got = r[j++];
      if (got === undefined || (d ? got !== d.read : !fits(got, want))) return null;
      columns.push({ read: got, listed: want, differs: d !== undefined });
    }
    i++;
  }
  return j === r.length ? columns : null;
}

function fits(read: string, listed: string): boolean {
  return read === listed || listed === "?" || listed === "*";
}

function byEdits(r: string[], l: string[]): Column[] {
  const cost: number[][] = [];
  for (let j = r.length; j >= 0; j--) {
    const row: number[] = (cost[j] = []);
    for (let i = l.length; i >= 0; i--) {
      const any = l[i] === "*";
      const drop = i < l.length ? (row[i + 1] ?? 0) + (any ? 0 : 1) : Infinity;
      const add = j < r.length ? (cost[j + 1]?.[i] ?? 0) + (any ? 0 : 1) : Infinity;
      const both =
        j < r.length && i < l.length && !any
          ? (cost[j + 1]?.[i + 1] ?? 0) + (fits(r[j] ?? "", l[i] ?? "") ? 0 : 1)
          : Infinity;
      row[i] = j === r.length && i === l.length ? 0 : Math.min(drop, add, both);
    }
  }
  const columns: Column[] = [];
  const at = (j: number, i: number): number => cost[j]?.[i] ?? Infinity;
  let i = 0;
  let j = 0;
  while (j < r.length || i < l.length) {
    const any = l[i] === "*";
    const step = any ? 0 : 1;
    const same = fits(r[j] ?? "", l[i] ?? "") ? 0 : 1;
    if (j < r.length && i < l.length && !any && at(j, i) === at(j + 1, i + 1) + same) {
      columns.push({ read: r[j++] ?? null, listed: l[i++] ?? null, differs: same === 1 });
    } else if (j < r.length && at(j, i) === at(j + 1, i) + step) {
      columns.push({ read: r[j++] ?? null, listed: any ? "*" : null, differs: !any });
    } else {
      if (!any) columns.push({ read: null, listed: l[i] ?? null, differs: true });
      i++;
    }
  }
  return columns;
}
