// A camera as it is looked at: scenes as they come, and of their frames only the newest.

import { urls } from "./api";
import { clock } from "./clock.svelte";
import { sessions } from "./session.svelte";
import type { Scene } from "./types";

const AGAIN_MS = 2_000;
const SILENCE_MS = 8_000;
const TRACE_MS = 60_000;
const PLATES_KEPT = 12;
/** The same text after this long is another vehicle. */
const SAME_PLATE_MS = 10_000;

export interface Sample {
  at: number;
  focus: number;
  mean: number;
}

export interface Passing {
  key: number;
  at: number;
  text: string | null;
  width: number;
}

export class Live {
  /** The scene whose frame is on the screen. */
  shown = $state.raw<Scene | null>(null);
  state = $state<"connecting" | "live" | "lost">("connecting");
  samples = $state.raw<Sample[]>([]);
  best = $state(0);
  plates = $state.raw<Passing[]>([]);

  private source: EventSource | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private watch: ReturnType<typeof setInterval> | undefined;
  private heardAt = 0;
  private loading = false;
  private next: Scene | null = null;
  private count = 0;
  private closed = false;

  constructor(
    readonly camera: string,
    /** Draws the frame; it and its scene are shown together. */
    private draw: (frame: HTMLImageElement, size: [number, number]) => void,
  ) {}

  start(): void {
    this.open();
    document.addEventListener("visibilitychange", this.rest);
    this.watch = setInterval(() => {
      if (this.source && performance.now() - this.heardAt > SILENCE_MS) this.lose();
    }, 1_000);
  }

  stop(): void {
    this.closed = true;
    document.removeEventListener("visibilitychange", this.rest);
    clearTimeout(this.timer);
    clearInterval(this.watch);
    this.source?.close();
    this.source = null;
  }

  /** The lens is turned from here on. */
  restart(): void {
    this.samples = [];
    this.best = 0;
  }

  /** Pictures that nobody sees are not asked for. */
  private rest = (): void => {
    clearTimeout(this.timer);
    this.source?.close();
    this.source = null;
    if (document.visibilityState === "visible") this.open();
  };

  private open(): void {
    const source = new EventSource(urls.live(this.camera));
    this.source = source;
    this.heardAt = performance.now();
    source.addEventListener("scene", (event) => {
      if (this.source !== source) return;
      this.heardAt = performance.now();
      this.state = "live";
      try {
        this.take(JSON.parse((event as MessageEvent<string>).data) as Scene);
      } catch {
        // One scene less; the next one is due in a moment.
      }
    });
    source.onerror = () => {
      if (this.source === source) this.lose();
    };
  }

  private lose(): void {
    this.source?.close();
    this.source = null;
    this.state = "lost";
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      void sessions.check().then(() => {
        if (!this.closed && !this.source) this.open();
      });
    }, AGAIN_MS);
  }

  private take(scene: Scene): void {
    const at = clock.exact();
    const kept = this.samples.filter((sample) => at - sample.at < TRACE_MS);
    this.samples = [...kept, { at, focus: scene.focus, mean: scene.exposure.mean }];
    this.best = Math.max(this.best, scene.focus);
    for (const plate of scene.plates) this.pass(plate.text, plate.width, at);
    if (this.loading) this.next = scene;
    else this.load(scene);
  }

  /** A plate that comes nearer is one line, with its greatest width. */
  private pass(text: string | null, width: number, at: number): void {
    const near = (p: Passing): boolean =>
      at - p.at < SAME_PLATE_MS && (text !== null ? p.text === text : p.text === null && width < p.width * 1.5);
    const before = this.plates.find(near);
    if (before) {
      const now = { ...before, at, width: Math.max(before.width, width) };
      this.plates = this.plates.map((p) => (p === before ? now : p));
    } else {
      this.plates = [{ key: this.count++, at, text, width }, ...this.plates].slice(0, PLATES_KEPT);
    }
  }

  private load(scene: Scene): void {
    this.loading = true;
    const frame = new Image();
    const done = (): void => {
      this.loading = false;
      const next = this.next;
      this.next = null;
      if (next && !this.closed) this.load(next);
    };
    frame.onload = () => {
      if (!this.closed) {
        this.draw(frame, scene.size);
        this.shown = scene;
      }
      done();
    };
    // The box keeps few frames: this one is gone, the next is not.
    frame.onerror = done;
    frame.src = urls.frame(this.camera, scene.frame);
  }
}
