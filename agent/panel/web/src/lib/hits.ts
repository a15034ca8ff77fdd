// Which hits there are, and which were told while this tablet could not hear it. Pure: the
// stream of events is elsewhere.

import type { Hit, HitState } from "./types";

export const HITS_KEPT = 100;

export interface Shown extends Hit {
  /** Told while the connection was lost. */
  missed: boolean;
}

export function stateOf(hit: Hit): HitState {
  return hit.hit.state ?? "confirmed";
}

export function seenAt(hit: Hit): string {
  return hit.hit.decided_at ?? hit.hit.time;
}

function newestFirst(a: Shown, b: Shown): number {
  const by = Date.parse(b.hit.time) - Date.parse(a.hit.time);
  return by !== 0 && !Number.isNaN(by) ? by : b.hit.id.localeCompare(a.hit.id);
}

/** By the message: after a start the box tells the same states at other times. */
function sameState(a: Hit, b: Hit): boolean {
  return seenAt(a) === seenAt(b) && stateOf(a) === stateOf(b);
}

/** Not by the time it was told: the site's clock may be set back. */
function isOlder(hit: Hit, than: Hit): boolean {
  return hit.run === than.run && hit.number < than.number;
}

/**
 * `news` among `known`. `missed`: it was told while nobody here could hear it; a hit that is
 * already shown in this very state was not missed.
 */
export function merge(known: Shown[], news: Hit[], missed: (hit: Hit) => boolean): Shown[] {
  const byId = new Map(known.map((hit) => [hit.hit.id, hit]));
  for (const hit of news) {
    const before = byId.get(hit.hit.id);
    if (before && isOlder(hit, before)) {
      // An older state that comes late; the answer may be new all the same.
      byId.set(hit.hit.id, { ...before, answer: before.answer ?? hit.answer });
      continue;
    }
    const again = before !== undefined && sameState(before, hit);
    const wasMissed = again ? before.missed : missed(hit);
    byId.set(hit.hit.id, { ...hit, missed: wasMissed && hit.answer === null });
  }
  return [...byId.values()].sort(newestFirst).slice(0, HITS_KEPT);
}

/** Hits that nobody here had seen in this state. */
export function changed(known: Shown[], news: Hit[]): Hit[] {
  return news.filter((hit) => {
    const before = known.find((k) => k.hit.id === hit.hit.id);
    return !before || (!sameState(before, hit) && !isOlder(hit, before));
  });
}
