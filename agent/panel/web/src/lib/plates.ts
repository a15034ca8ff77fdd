// How a plate looks: its ground colour by what was seen, what is listed, or its kind (GA 36).

import type { Coded } from "./types";

const GROUND_OF_KIND: Record<string, string> = {
  "01": "yellow",
  "02": "blue",
  "03": "black",
  "04": "black",
  "05": "black",
  "06": "black",
  "07": "yellow",
  "08": "blue",
  "13": "yellow",
  "14": "green",
  "15": "yellow",
  "16": "yellow",
  "17": "yellow",
  "23": "white",
  "24": "white",
  "26": "black",
  "27": "black",
  "31": "white",
  "32": "white",
  "51": "yellow_green",
  "52": "green",
};
const GROUNDS = ["blue", "yellow", "green", "yellow_green", "white", "black"];

export function ground(colour: string | null | undefined, kind: Coded | null | undefined): string {
  const of = colour ?? (kind?.standard === "GA 36" ? GROUND_OF_KIND[kind.code] : undefined);
  return of !== undefined && GROUNDS.includes(of) ? of : "unknown";
}

/** Of 100, and never more than is meant: 0.998 is 99. */
export function percent(confidence: number): number {
  return Math.max(0, Math.min(100, Math.floor(confidence * 100 + 1e-9)));
}
