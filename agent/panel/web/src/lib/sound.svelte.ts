// The sound of a hit. Browsers let a page be heard only after a tap; what was asked for once is
// remembered, and the next tap anywhere is enough.

import { prefs } from "./prefs.svelte";
import type { Level } from "./types";

interface Tone {
  hertz: number;
  from: number;
  long: number;
}

const pulses = (n: number, hertz: number): Tone[] =>
  Array.from({ length: n }, (_, i) => ({ hertz: i % 2 ? hertz * 1.25 : hertz, from: i * 0.22, long: 0.16 }));

const OF_LEVEL: Record<Level, Tone[]> = {
  red: pulses(6, 880),
  orange: pulses(3, 740),
  yellow: pulses(2, 620),
  blue: pulses(1, 520),
};
const RETRACTED: Tone[] = [
  { hertz: 520, from: 0, long: 0.2 },
  { hertz: 330, from: 0.24, long: 0.4 },
];
const RED_VIBRATION = [400, 120, 400, 120, 400];

class Sound {
  private context: AudioContext | null = null;
  /** The browser lets this page be heard. */
  running = $state(false);
  /** For tests and for a look at what was last played. */
  last = $state("");

  constructor() {
    const wake = (): void => {
      if (prefs.sound && !this.running) void this.start();
    };
    addEventListener("pointerdown", wake);
    addEventListener("keydown", wake);
  }

  /** Only within a tap or a key press. */
  async enable(): Promise<void> {
    prefs.set({ sound: true, muted: false });
    await this.start();
    this.play([{ hertz: 660, from: 0, long: 0.12 }]);
  }

  hit(level: Level): void {
    if (prefs.muted) return;
    this.last = level;
    this.play(OF_LEVEL[level]);
    if (level === "red" && typeof navigator.vibrate === "function") navigator.vibrate(RED_VIBRATION);
  }

  retracted(): void {
    if (prefs.muted) return;
    this.last = "retracted";
    this.play(RETRACTED);
  }

  private async start(): Promise<void> {
    try {
      if (!this.context) {
        this.context = new AudioContext();
        this.context.onstatechange = () => (this.running = this.context?.state === "running");
      }
      await this.context.resume();
      this.running = this.context.state === "running";
    } catch {
      this.running = false;
    }
  }

  private play(tones: Tone[]): void {
    const context = this.context;
    if (!context || context.state !== "running" || prefs.muted) return;
    for (const tone of tones) {
      const from = context.currentTime + tone.from;
      const gain = context.createGain();
      gain.gain.setValueAtTime(0.0001, from);
      gain.gain.exponentialRampToValueAtTime(0.6, from + 0.015);
      gain.gain.exponentialRampToValueAtTime(0.0001, from + tone.long);
      const oscillator = context.createOscillator();
      oscillator.type = "square";
      oscillator.frequency.value = tone.hertz;
      oscillator.connect(gain).connect(context.destination);
      oscillator.start(from);
      oscillator.stop(from + tone.long + 0.02);
    }
  }
}

export const sound = new Sound();
