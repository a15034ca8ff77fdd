// Requests to the box. Every failure is an ApiError with a code that the pages have words for.

import type { Dict } from "./i18n/en";
import { span } from "./time";
import type {
  Camera,
  CameraConfig,
  Finding,
  Hit,
  Hour,
  Lane,
  LogLine,
  Note,
  PassageRow,
  Polygon,
  Saved,
  Session,
  Verdict,
} from "./types";

export const BASE = "/api/v1";
const TIMEOUT_MS = 15_000;
const DOCTOR_TIMEOUT_MS = 60_000;

export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly retryS: number | null = null,
    readonly notes: Note[] = [],
    readonly toml: string | null = null,
  ) {
    super(message);
  }
}

let csrf = "";
let onEnd: () => void = () => {};

export function useSession(token: string, ended: () => void): void {
  csrf = token;
  onEnd = ended;
}

async function send(method: string, path: string, body?: unknown, ms = TIMEOUT_MS): Promise<Response> {
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), ms);
  const headers: Record<string, string> = {};
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (method !== "GET") headers["X-Kakou-Csrf"] = csrf;
  let response: Response;
  try {
    response = await fetch(BASE + path, {
      method,
      headers,
      body: body === undefined ? null : JSON.stringify(body),
      credentials: "same-origin",
      cache: "no-store",
      signal: abort.signal,
    });
  } catch {
    throw new ApiError(0, "network", "no answer");
  } finally {
    clearTimeout(timer);
  }
  if (!response.ok) throw await fault(response);
  return response;
}

async function fault(response: Response): Promise<ApiError> {
  let said: Record<string, unknown> = {};
  try {
    const body = (await response.json()) as { error?: Record<string, unknown> };
    said = body.error ?? {};
  } catch {
    // A proxy's page, or nothing: the status alone speaks.
  }
  const text = (key: string): string | null => (typeof said[key] === "string" ? String(said[key]) : null);
  const code = text("code") ?? (response.status === 401 ? "unauthenticated" : "failed");
  if (code === "unauthenticated") onEnd();
  return new ApiError(
    response.status,
    code,
    text("message") ?? `HTTP ${response.status}`,
    typeof said["retry_s"] === "number" ? said["retry_s"] : null,
    Array.isArray(said["notes"]) ? (said["notes"] as Note[]) : [],
    text("toml"),
  );
}

async function get<T>(path: string): Promise<T> {
  return (await (await send("GET", path)).json()) as T;
}

const id = encodeURIComponent;

/** Only what is given, in the order given. */
export function query(fields: Record<string, string | number | null | undefined>): string {
  const q = new URLSearchParams();
  for (const [key, value] of Object.entries(fields)) {
    if (value !== null && value !== undefined && value !== "") q.set(key, String(value));
  }
  const text = q.toString();
  return text === "" ? "" : `?${text}`;
}

export interface Wanted {
  camera?: string;
  lane?: string;
  class?: string;
  unread?: number | null;
  plate?: string;
  reason?: string;
  before?: number | null;
  limit: number;
}

export const api = {
  session: () => get<Session>("/session"),
  login: async (name: string, password: string) =>
    (await (await send("POST", "/login", { name, password })).json()) as Session,
  logout: () => send("POST", "/logout"),
  hits: async (limit: number) => (await get<{ hits: Hit[] }>(`/hits${query({ limit })}`)).hits,
  answer: async (hit: string, verdict: Verdict, note: string) => {
    const body = note === "" ? { verdict } : { verdict, note };
    return (await (await send("POST", `/hits/${id(hit)}/answer`, body)).json()) as Hit;
  },
  cameras: async () => (await get<{ cameras: Camera[] }>("/cameras")).cameras,
  cameraConfig: (camera: string) => get<CameraConfig>(`/cameras/${id(camera)}/config`),
  saveCamera: async (
    camera: string,
    body: { version: string; lanes: Lane[]; masks: Polygon[]; plate_side?: number },
  ) => (await (await send("PUT", `/cameras/${id(camera)}/config`, body, DOCTOR_TIMEOUT_MS)).json()) as Saved,
  doctor: async () =>
    ((await (await send("POST", "/doctor", undefined, DOCTOR_TIMEOUT_MS)).json()) as { findings: Finding[] })
      .findings,
  passages: (wanted: Wanted) =>
    get<{ passages: PassageRow[]; next: number | null }>(`/passages${query({ ...wanted })}`),
  quality: async (hours: number) => (await get<{ hours: Hour[] }>(`/quality${query({ hours })}`)).hours,
  log: async (limit: number) => (await get<{ lines: LogLine[] }>(`/log${query({ limit })}`)).lines,
  report: async (hours: number, reason: string) =>
    (await send("GET", `/report.csv${query({ hours, reason })}`, undefined, DOCTOR_TIMEOUT_MS)).blob(),
};

/** Addresses of pictures. `n` makes the browser ask anew. */
export const urls = {
  events: `${BASE}/events`,
  picture: (camera: string, width: number, n: number) =>
    `${BASE}/cameras/${id(camera)}/picture${query({ width, n })}`,
  live: (camera: string) => `${BASE}/cameras/${id(camera)}/live?motion=1`,
  frame: (camera: string, frame: number) => `${BASE}/cameras/${id(camera)}/frames/${frame}`,
};

/** A picture's address as the box gave it, if it is the box's own. */
export function ownUrl(url: string | undefined): string | null {
  if (!url) return null;
  try {
    const whole = new URL(url, location.origin);
    return whole.origin === location.origin ? whole.pathname + whole.search : null;
  } catch {
    return null;
  }
}

/** What went wrong, in the user's language; the box's own sentence stands behind where it helps. */
export function inWords(error: unknown, t: Dict): string {
  if (!(error instanceof ApiError)) return t.errors.failed;
  const wait = error.retryS === null ? t.errors.shortly : span(error.retryS, t.lang === "zh" ? "zh" : "en");
  switch (error.code) {
    case "locked":
      return t.errors.locked(wait);
    case "busy":
      return t.errors.busy(wait);
    case "network":
    case "wrong_login":
    case "unauthenticated":
    case "csrf":
    case "origin":
    case "role":
    case "not_found":
    case "conflict":
      return t.errors[error.code];
    default:
      return `${t.errors.failed} ${t.errors.said(error.message)}`;
  }
}
