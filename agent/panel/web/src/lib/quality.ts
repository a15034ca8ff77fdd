// The hours of a time span, lane by lane, with the empty hours between them.

import { offsetMinutes, toStamp } from "./time";
import type { Hour } from "./types";

const HOUR_MS = 3_600_000;

export interface LaneHours {
  camera: string;
  lane: string | null;
  /** One per hour of the span, oldest first; `null`: nothing passed. */
  hours: (Hour | null)[];
  passages: number;
  read: number;
  /** Over all hours, weighted by what was read in them. */
  confidence: number | null;
  width: number | null;
}

export interface Span {
  starts: string[];
  lanes: LaneHours[];
}

function weighted(hours: Hour[], of: (hour: Hour) => number | null): number | null {
  let sum = 0;
  let weight = 0;
  for (const hour of hours) {
    const value = of(hour);
    if (value === null || hour.read === 0) continue;
    sum += value * hour.read;
    weight += hour.read;
  }
  return weight > 0 ? sum / weight : null;
}

export function byLane(hours: Hour[], count: number): Span {
  const newest = hours.reduce((most, hour) => Math.max(most, Date.parse(hour.start) || 0), 0);
  const zone = hours[0] ? offsetMinutes(hours[0].start) : 0;
  const first = newest - (count - 1) * HOUR_MS;
  const starts = newest > 0 ? Array.from({ length: count }, (_, i) => toStamp(first + i * HOUR_MS, zone)) : [];
  const groups = new Map<string, Hour[]>();
  for (const hour of hours) {
    const key = JSON.stringify([hour.camera, hour.lane]);
    groups.set(key, [...(groups.get(key) ?? []), hour]);
  }
  const lanes = [...groups.values()].map((group): LaneHours => {
    const slots: (Hour | null)[] = starts.map(() => null);
    for (const hour of group) {
      const at = Math.round((Date.parse(hour.start) - first) / HOUR_MS);
      if (at >= 0 && at < slots.length) slots[at] = hour;
    }
    return {
      camera: group[0]?.camera ?? "",
      lane: group[0]?.lane ?? null,
      hours: slots,
      passages: group.reduce((sum, hour) => sum + hour.passages, 0),
      read: group.reduce((sum, hour) => sum + hour.read, 0),
      confidence: weighted(group, (hour) => hour.confidence),
      width: weighted(group, (hour) => hour.width),
    };
  });
  lanes.sort((a, b) => a.camera.localeCompare(b.camera) || (a.lane ?? "").localeCompare(b.lane ?? ""));
  return { starts, lanes };
}
