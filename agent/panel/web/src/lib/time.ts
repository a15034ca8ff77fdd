// Times as the site writes them. The tablet's zone is never used: every time of the box carries
// the site's offset, and the site's clock is the only clock.

export type Lang = "zh" | "en";

const FORM = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.\d+)?(Z|[+-]\d\d:\d\d)$/;
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

export interface Stamp {
  year: number;
  month: number;
  day: number;
  /** `08:15:30` */
  clock: string;
  /** `+08:00` */
  offset: string;
}

export function parseStamp(time: string): Stamp | null {
  const m = FORM.exec(time);
  if (!m) return null;
  const offset = m[7] === "Z" ? "+00:00" : String(m[7]);
  return {
    year: Number(m[1]),
    month: Number(m[2]),
    day: Number(m[3]),
    clock: `${m[4]}:${m[5]}:${m[6]}`,
    offset,
  };
}

/** Minutes east of UTC. */
export function offsetMinutes(time: string): number {
  const stamp = parseStamp(time);
  if (!stamp) return 0;
  const [h, m] = stamp.offset.slice(1).split(":").map(Number);
  return (stamp.offset.startsWith("-") ? -1 : 1) * ((h ?? 0) * 60 + (m ?? 0));
}

/** Milliseconds since 1970 in RFC 3339 with an offset of so many minutes. */
export function toStamp(ms: number, minutes: number): string {
  const shifted = new Date(ms + minutes * 60_000).toISOString().slice(0, 19);
  const a = Math.abs(minutes);
  const two = (n: number): string => String(n).padStart(2, "0");
  return `${shifted}${minutes < 0 ? "-" : "+"}${two(Math.floor(a / 60))}:${two(a % 60)}`;
}

export function dateOf(time: string, lang: Lang): string {
  const s = parseStamp(time);
  if (!s) return time;
  return lang === "zh"
    ? `${s.year}年${s.month}月${s.day}日`
    : `${s.day} ${MONTHS[s.month - 1]} ${s.year}`;
}

export function clockOf(time: string): string {
  return parseStamp(time)?.clock ?? time;
}

/** Date, time of day and zone offset, written out. */
export function whole(time: string, lang: Lang): string {
  const s = parseStamp(time);
  if (!s) return time;
  const gap = lang === "zh" ? " " : ", ";
  return `${dateOf(time, lang)}${gap}${s.clock} ${s.offset}`;
}

/** Seconds from `time` to `nowMs`, never below 0. */
export function secondsSince(time: string, nowMs: number): number {
  const at = Date.parse(time);
  return Number.isNaN(at) ? 0 : Math.max(0, Math.floor((nowMs - at) / 1000));
}

/** How long, in two units at the most. */
export function span(seconds: number, lang: Lang): string {
  const s = Math.max(0, Math.floor(seconds));
  const u = lang === "zh" ? ["秒", "分", "小时", "天"] : [" s", " min", " h", " d"];
  const gap = lang === "zh" ? "" : " ";
  const m = Math.floor(s / 60);
  const h = Math.floor(m / 60);
  const d = Math.floor(h / 24);
  if (s < 120) return `${s}${u[0]}`;
  if (m < 60) return `${m}${u[1]}${gap}${String(s % 60).padStart(2, "0")}${u[0]}`;
  if (h < 48) return `${h}${u[2]}${gap}${String(m % 60).padStart(2, "0")}${u[1]}`;
  return `${d}${u[3]}${gap}${h % 24}${u[2]}`;
}
