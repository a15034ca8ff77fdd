// The stream of events from the box: hits, answers, passages, status. It reconnects by itself,
// notices a connection that is dead without having been closed, and knows what was missed.

import { api, urls } from "./api";
import { clock } from "./clock.svelte";
import { changed, merge, stateOf, type Shown } from "./hits";
import { sessions } from "./session.svelte";
import { sound } from "./sound.svelte";
import type { Hit, PassageRow, Status } from "./types";

/** The status comes every 2 s; silence for this long is a lost connection. */
const SILENCE_MS = 7_000;
const WATCH_MS = 1_000;
const PAUSES_MS = [500, 1_000, 2_000, 3_000, 5_000];
/** How often the site's clock is asked for. */
const CLOCK_MS = 300_000;
const HITS_ASKED = 50;
const PASSAGES_KEPT = 200;

export type Link = "connecting" | "live" | "lost";

class Feed {
  link = $state<Link>("connecting");
  /** The site's time at which the connection was lost; 0: it is not. */
  lostAt = $state(0);
  hits = $state.raw<Shown[]>([]);
  hitsLoaded = $state(false);
  hitsError = $state<unknown>(null);
  /** How many hits were missed before the connection came back; null: nothing to say. */
  missed = $state<number | null>(null);
  passages = $state.raw<PassageRow[]>([]);
  status = $state.raw<Status | null>(null);
  /** The id of the hit that last was news. */
  news = $state.raw<{ id: string; isNew: boolean } | null>(null);

  private source: EventSource | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private watch: ReturnType<typeof setInterval> | undefined;
  private heardAt = 0;
  private heardSite = 0;
  private tries = 0;
  private clockSetAt = performance.now();
  private wasLive = false;
  /** Told from .. to: nobody here could hear it. */
  private away: { from: number; to: number }[] = [];

  start(): void {
    this.stop();
    this.open();
    this.watch = setInterval(() => this.look(), WATCH_MS);
    addEventListener("online", this.hurry);
    document.addEventListener("visibilitychange", this.hurry);
  }

  stop(): void {
    clearTimeout(this.timer);
    clearInterval(this.watch);
    removeEventListener("online", this.hurry);
    document.removeEventListener("visibilitychange", this.hurry);
    this.source?.close();
    this.source = null;
    this.link = "connecting";
    this.lostAt = 0;
    this.wasLive = false;
    this.away = [];
    this.tries = 0;
    this.hits = [];
    this.hitsLoaded = false;
    this.missed = null;
    this.passages = [];
    this.status = null;
  }

  /** The box has these now by their numbers. */
  number(rows: PassageRow[]): void {
    const known = new Map(rows.map((row) => [row.passage.id, row]));
    this.passages = this.passages.map((row) => known.get(row.passage.id) ?? row);
  }

  /** An answer that this page sent. */
  take(hit: Hit): void {
    this.hits = merge(this.hits, [hit], this.wasMissed);
  }

  seen(): void {
    this.missed = null;
    this.hits = this.hits.map((hit) => (hit.missed ? { ...hit, missed: false } : hit));
  }

  async loadHits(): Promise<void> {
    if (!sessions.is("officer") && !sessions.is("operator")) return;
    try {
      const hits = await api.hits(HITS_ASKED);
      this.hear(hits, this.hitsLoaded);
      this.hitsLoaded = true;
      this.hitsError = null;
    } catch (error) {
      this.hitsError = error;
    }
  }

  private hurry = (): void => {
    if (this.link !== "lost" || document.visibilityState !== "visible") return;
    clearTimeout(this.timer);
    void this.again();
  };

  private open(): void {
    this.source?.close();
    const source = new EventSource(urls.events);
    this.source = source;
    const on = (name: string, use: (data: unknown) => void): void =>
      source.addEventListener(name, (event) => {
        if (this.source !== source) return;
        this.alive();
        use(parsed(event));
      });
    source.onopen = () => {
      if (this.source === source) void this.opened();
    };
    source.onerror = () => {
      if (this.source === source) this.lose();
    };
    on("hit", (data) => data && this.hear([data as Hit], true));
    on("answer", (data) => data && this.take(data as Hit));
    on("passage", (data) => {
      if (data) this.passages = [data as PassageRow, ...this.passages].slice(0, PASSAGES_KEPT);
    });
    on("status", (data) => {
      if (data) this.status = data as Status;
    });
    on("reset", () => void this.loadHits());
  }

  private async opened(): Promise<void> {
    const back = this.wasLive && this.link === "lost";
    this.tries = 0;
    const gap = { from: this.heardSite, to: Infinity };
    // Open from the first moment: the hits that were missed come before anything else.
    if (back && gap.from > 0) this.away.push(gap);
    this.alive();
    this.wasLive = true;
    this.link = "live";
    this.lostAt = 0;
    if (back) {
      await this.setClock();
      gap.to = clock.exact();
    }
    await this.loadHits();
    if (back) this.missed = this.hits.filter((hit) => hit.missed).length;
  }

  private alive(): void {
    this.heardAt = performance.now();
    this.heardSite = clock.exact();
  }

  private async setClock(): Promise<void> {
    this.clockSetAt = performance.now();
    await sessions.check();
  }

  private look(): void {
    if (this.link === "live" && performance.now() - this.clockSetAt > CLOCK_MS) void this.setClock();
    if (this.link === "live" && performance.now() - this.heardAt > SILENCE_MS) this.lose();
  }

  private lose(): void {
    this.source?.close();
    this.source = null;
    if (this.link !== "lost") {
      this.lostAt = clock.exact();
      this.missed = null;
    }
    this.link = "lost";
    clearTimeout(this.timer);
    const pause = PAUSES_MS[Math.min(this.tries++, PAUSES_MS.length - 1)] ?? 5_000;
    this.timer = setTimeout(() => void this.again(), pause);
  }

  /** EventSource does not say why it failed, so the session is asked first. */
  private async again(): Promise<void> {
    const answered = await sessions.check();
    if (!sessions.current || this.source) return;
    if (answered) this.open();
    else this.lose();
  }

  private wasMissed = (hit: Hit): boolean => {
    const told = Date.parse(hit.told);
    return this.away.some(({ from, to }) => told > from && told < to);
  };

  private hear(hits: Hit[], aloud: boolean): void {
    // Every stream carries hits; who has no page of them is not to be rung for.
    if (!sessions.is("officer") && !sessions.is("operator")) return;
    const news = changed(this.hits, hits);
    const before = new Set(this.hits.map((hit) => hit.hit.id));
    this.hits = merge(this.hits, hits, this.wasMissed);
    const first = news[0];
    if (!aloud || !first) return;
    this.news = { id: first.hit.id, isNew: !before.has(first.hit.id) };
    let loudest: Hit | null = null;
    for (const hit of news) {
      const state = stateOf(hit);
      if (state === "retracted" && before.has(hit.hit.id)) sound.retracted();
      const rings = state === "provisional" || state === "confirmed" || state === "unresolved";
      if (!rings || before.has(hit.hit.id) || hit.hit.is_late || hit.answer) continue;
      if (!loudest || LEVELS.indexOf(hit.hit.level) < LEVELS.indexOf(loudest.hit.level)) loudest = hit;
    }
    if (loudest) sound.hit(loudest.hit.level);
  }
}

const LEVELS = ["red", "orange", "yellow", "blue"];

function parsed(event: Event): unknown {
  try {
    return JSON.parse((event as MessageEvent<string>).data) as unknown;
  } catch {
    return null;
  }
}

export const feed = new Feed();
