// What the box sends: the parts of the contract's messages that the pages show, and the panel's
// own API. Fields are named as on the wire. Times are RFC 3339 with the site's offset.

export type Role = "officer" | "installer" | "operator";
export type Level = "red" | "orange" | "yellow" | "blue";
export type HitState = "provisional" | "confirmed" | "retracted" | "unresolved" | "again";
export type Health = "ok" | "degraded" | "failed";
export type Verdict = "confirmed" | "wrong_plate" | "released";
export type Point = [number, number];
export type Polygon = Point[];

export interface Session {
  name: string;
  roles: Role[];
  csrf: string;
  site: string;
  agent: string;
  version: string;
  time: string;
}

export interface Coded {
  code: string;
  standard: string;
}

export interface Character {
  char: string;
  confidence: number;
  runner_up: { char: string; confidence: number } | null;
}

export interface PlateRead {
  text: string;
  confidence: number;
  characters: Character[];
  raw: string;
  rows: number;
  colour: { value: string; confidence: number } | null;
  kind: Coded | null;
  quad: Point[];
}

export interface Vehicle {
  class: string;
  class_confidence: number;
  /** Missing: it could not be told. */
  colour?: { value: string; confidence: number };
  box: { x: number; y: number; width: number; height: number };
}

export interface LaneName {
  id: string;
  name?: string;
}

export interface Difference {
  position: number;
  read: string | null;
  listed: string | null;
}

export interface Doubt {
  match: "exact" | "near" | "pattern" | "unlisted";
  confidence: number;
  differences?: Difference[];
  contradictions?: { what: string; seen: string; listed: string }[];
  weakest?: { position: number; char: string; confidence: number };
}

export interface HitMessage {
  id: string;
  state?: HitState;
  is_late?: boolean;
  retraction?: { reason: string; plate?: string };
  camera: string;
  passage_id: string;
  time: string;
  decided_at?: string;
  level: Level;
  category: string;
  reason: string;
  entry: {
    plate: string;
    kind?: Coded;
    colour?: string;
    class?: string;
    list: string;
    list_version?: string;
    authority?: string;
    basis?: string;
    valid_until?: string;
  };
  doubt: Doubt;
  lane: LaneName | null;
  direction: string;
  /** Of the frame in which `vehicle` and `plate` lie. */
  picture?: { width: number; height: number };
  vehicle: Vehicle | null;
  plate: PlateRead;
}

export interface Pictures {
  frame?: string;
  plate?: string;
  thumbnail?: string;
}

export interface Answer {
  verdict: Verdict;
  by: string;
  note?: string | null;
  time: string;
}

export interface Hit {
  /** Which run of the agent tells it; numbers of two runs say nothing of each other. */
  run: number;
  /** The larger is the newer, whatever the site's clock does. */
  number: number;
  told: string;
  hit: HitMessage;
  pictures: Pictures;
  answer: Answer | null;
}

export interface PassageMessage {
  id: string;
  camera: string;
  is_late?: boolean;
  lane: LaneName | null;
  direction: string;
  wrong_way?: boolean;
  time: string;
  picture?: { width: number; height: number };
  vehicle: Vehicle | null;
  plate: PlateRead | null;
  no_plate_reason?: string;
}

export interface PassageRow {
  /** null: it was told as it passed, before it had a number. */
  sequence: number | null;
  passage: PassageMessage;
  pictures: Pictures;
  hit: boolean;
}

export interface CameraStatus {
  camera: string;
  health: Health;
  state?: string;
  detail?: string;
  since?: string;
  last_frame?: string;
  frames: number;
  frames_dropped: number;
  frames_broken: number;
  frames_still?: number;
  fps?: number;
  fps_looked?: number;
  restarts?: number;
}

export interface ListStatus {
  name: string;
  health: Health;
  entries: number;
  refused: number;
  version?: string;
  authority?: string;
  modified?: string;
  since?: string;
  detail?: string;
}

export interface StatusMessage {
  time: string;
  state: string;
  started_at: string;
  software: { name: string; version: string };
  health: Health;
  cameras: CameraStatus[];
  clock?: { state: string; offset_ms?: number };
  disk?: { health: Health; free_bytes: number; total_bytes: number };
  outbox?: {
    health: Health;
    waiting: number;
    waiting_hits: number;
    oldest?: string;
    evicted: number;
  };
  uplink?: { health: Health; connections: number; connected_since?: string };
  watchlist?: {
    health: Health;
    file: string;
    entries: number;
    modified?: string;
    since?: string;
    detail?: string;
    lists?: ListStatus[];
  };
  parts?: { name: string; state: string; since: string; restarts: number; detail?: string }[];
  models?: { name: string; version: string }[];
}

export interface Status {
  status: StatusMessage;
  reasons: string[];
  uplink: string;
  traffic: {
    camera: string;
    passages: number;
    read: number;
    hits: number;
    last_passage: string | null;
    last_read: string | null;
  }[];
  viewers: number;
  /** Those in use, by the key of the config, with when the first of a file's ends. */
  certificates?: { about: string; ends: string }[];
}

export interface Lane {
  id: string;
  name: string | null;
  polygon: Polygon;
  trigger: [Point, Point] | null;
  direction: "approaching" | "leaving" | null;
}

export interface Camera {
  id: string;
  status: CameraStatus;
  size: [number, number] | null;
  lanes: Lane[];
  masks: Polygon[];
  passages: number;
  read: number;
  plate_width: number | null;
}

export interface Scene {
  frame: number;
  time: string;
  size: [number, number];
  looked: boolean;
  vehicles: {
    box: [number, number, number, number];
    class: string;
    score: number;
    track: number | null;
  }[];
  plates: {
    quad: Point[];
    text: string | null;
    confidence: number | null;
    score: number;
    width: number;
  }[];
  motion: null | { columns: number; rows: number; moved: number[] };
  focus: number;
  exposure: { mean: number; dark: number; bright: number };
}

export interface CameraConfig {
  version: string;
  writable: boolean;
  plate_side: number;
  plate_side_advice: number | null;
  widths: { median: number | null; count: number };
  lanes: Lane[];
  masks: Polygon[];
}

export interface Note {
  kind: "error" | "warning";
  line: number | null;
  key: number | string | null;
  message: string;
  mend: string | null;
}

export interface Saved {
  version: string;
  backup: string;
  notes: Note[];
  started: string[];
}

export interface Finding {
  state: "ok" | "warning" | "fault";
  area: string;
  about: string | null;
  message: string;
  mend: string | null;
}

export interface Hour {
  start: string;
  camera: string;
  lane: string | null;
  passages: number;
  read: number;
  confidence: number | null;
  width: number | null;
}

export interface LogLine {
  time: string;
  level: "ERROR" | "WARN" | "INFO";
  target: string;
  text: string;
}
