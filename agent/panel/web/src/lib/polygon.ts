// Edits of lanes, triggers and masks. Coordinates are 0 to 1 of the picture's width and height,
// from the top left. Nothing is changed in place, so that every step can be undone.

import type { Lane, Point, Polygon } from "./types";

export interface Drawing {
  lanes: Lane[];
  masks: Polygon[];
}

/** What an edit is about: a polygon, or a lane's trigger. */
export type Shape =
  | { kind: "lane"; index: number }
  | { kind: "trigger"; index: number }
  | { kind: "mask"; index: number };

export const POINTS_MIN = 3;
export const ID_MAX = 64;

const DIGITS = 4;

export function clamp(point: Point): Point {
  const side = (v: number): number => {
    const within = Math.min(1, Math.max(0, Number.isFinite(v) ? v : 0));
    return Number(within.toFixed(DIGITS));
  };
  return [side(point[0]), side(point[1])];
}

export function pointsOf(drawing: Drawing, shape: Shape): Point[] {
  if (shape.kind === "mask") return drawing.masks[shape.index] ?? [];
  const lane = drawing.lanes[shape.index];
  return (shape.kind === "lane" ? lane?.polygon : lane?.trigger) ?? [];
}

function withPoints(drawing: Drawing, shape: Shape, points: Point[]): Drawing {
  if (shape.kind === "mask") {
    return { ...drawing, masks: replaced(drawing.masks, shape.index, points) };
  }
  const lane = drawing.lanes[shape.index];
  if (!lane) return drawing;
  const [a, b] = points;
  const next: Lane =
    shape.kind === "lane" ? { ...lane, polygon: points } : { ...lane, trigger: a && b ? [a, b] : null };
  return { ...drawing, lanes: replaced(drawing.lanes, shape.index, next) };
}

function replaced<T>(list: T[], index: number, value: T): T[] {
  return list.map((old, i) => (i === index ? value : old));
}

export function movePoint(drawing: Drawing, shape: Shape, at: number, to: Point): Drawing {
  const points = pointsOf(drawing, shape);
  if (!points[at]) return drawing;
  return withPoints(drawing, shape, replaced(points, at, clamp(to)));
}

/** A new point in the middle of the edge that begins at point `edge`. */
export function addPoint(drawing: Drawing, shape: Shape, edge: number): Drawing {
  const points = pointsOf(drawing, shape);
  const a = points[edge];
  const b = points[(edge + 1) % points.length];
  if (shape.kind === "trigger" || !a || !b) return drawing;
  return withPoints(drawing, shape, [...points.slice(0, edge + 1), middle(a, b), ...points.slice(edge + 1)]);
}

export function middle(a: Point, b: Point): Point {
  return clamp([(a[0] + b[0]) / 2, (a[1] + b[1]) / 2]);
}

/** A polygon keeps three points, a trigger both of its two. */
export function removePoint(drawing: Drawing, shape: Shape, at: number): Drawing {
  const points = pointsOf(drawing, shape);
  if (shape.kind === "trigger" || points.length <= POINTS_MIN || !points[at]) return drawing;
  return withPoints(drawing, shape, points.filter((_, i) => i !== at));
}

export function removeShape(drawing: Drawing, shape: Shape): Drawing {
  if (shape.kind === "trigger") return withPoints(drawing, shape, []);
  const rest = <T>(list: T[]): T[] => list.filter((_, i) => i !== shape.index);
  return shape.kind === "mask"
    ? { ...drawing, masks: rest(drawing.masks) }
    : { ...drawing, lanes: rest(drawing.lanes) };
}

/** A lane in the middle of the picture, down to its lower edge, with a trigger across it. */
export function addLane(drawing: Drawing): Drawing {
  const ids = new Set(drawing.lanes.map((lane) => lane.id));
  let n = drawing.lanes.length + 1;
  while (ids.has(`lane-${n}`)) n++;
  const lane: Lane = {
    id: `lane-${n}`,
    name: null,
    polygon: [[0.35, 0.3], [0.65, 0.3], [0.7, 1], [0.3, 1]],
    trigger: [[0.32, 0.7], [0.68, 0.7]],
    direction: "approaching",
  };
  return { ...drawing, lanes: [...drawing.lanes, lane] };
}

export function addMask(drawing: Drawing): Drawing {
  const mask: Polygon = [[0.05, 0.03], [0.35, 0.03], [0.35, 0.11], [0.05, 0.11]];
  return { ...drawing, masks: [...drawing.masks, mask] };
}

/** A trigger across the lane's lower part. */
export function addTrigger(drawing: Drawing, index: number): Drawing {
  const polygon = drawing.lanes[index]?.polygon ?? [];
  const xs = polygon.map((p) => p[0]);
  const ys = polygon.map((p) => p[1]);
  if (xs.length === 0) return drawing;
  const top = Math.min(...ys);
  const y = top + (Math.max(...ys) - top) * 0.6;
  const points: Point[] = [clamp([Math.min(...xs), y]), clamp([Math.max(...xs), y])];
  return withPoints(drawing, { kind: "trigger", index }, points);
}

export function setLane(drawing: Drawing, index: number, change: Partial<Lane>): Drawing {
  const lane = drawing.lanes[index];
  return lane ? { ...drawing, lanes: replaced(drawing.lanes, index, { ...lane, ...change }) } : drawing;
}

/** Whether the config takes this id, and no other lane has it. */
export function idIsFree(drawing: Drawing, index: number, id: string): boolean {
  return /^[A-Za-z0-9_-]{1,64}$/.test(id) && !drawing.lanes.some((l, i) => i !== index && l.id === id);
}

const REGION_GROWN = 0.12;
const REGION_WHOLE = 0.75;

/**
 * The longer side in pixels of the region in which plates are looked for: the box around all
 * lanes, grown by 12 % of the picture; the whole picture where that is most of it anyway.
 */
export function lookedSide(lanes: Lane[], size: [number, number]): number {
  const points = lanes.flatMap((lane) => lane.polygon);
  const longer = Math.max(size[0], size[1]);
  if (points.length === 0) return longer;
  const range = (axis: 0 | 1): number => {
    const values = points.map((p) => p[axis]);
    const from = Math.max(0, Math.min(...values) - REGION_GROWN);
    return Math.min(1, Math.max(...values) + REGION_GROWN) - from;
  };
  const [w, h] = [range(0), range(1)];
  return w * h > REGION_WHOLE ? longer : Math.max(w * size[0], h * size[1]);
}

const SCALED_UP_MOST = 2;

/** How wide a plate of `width` px is where it is first looked for. */
export function scaledWidth(width: number, side: number, plateSide: number): number {
  return width * Math.min(SCALED_UP_MOST, plateSide / Math.max(1, side));
}
