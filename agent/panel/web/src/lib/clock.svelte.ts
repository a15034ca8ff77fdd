// The site's clock as far as this tablet knows it: set by what the box says, carried on by the
// tablet's monotonic clock. The tablet's own date and zone may be wrong and do not matter.

import { offsetMinutes, toStamp } from "./time";

const TICK_MS = 500;

class SiteClock {
  private base = 0;
  private at = 0;
  /** Milliseconds since 1970; changes twice a second. */
  now = $state(0);
  minutes = $state(0);

  constructor() {
    setInterval(() => this.tick(), TICK_MS);
  }

  /** `time`: what the box's clock said in an answer that took `roundTripMs`. */
  set(time: string, roundTripMs = 0): void {
    const ms = Date.parse(time);
    if (Number.isNaN(ms)) return;
    this.base = ms + roundTripMs / 2;
    this.at = performance.now();
    this.minutes = offsetMinutes(time);
    this.tick();
  }

  exact(): number {
    return this.base === 0 ? 0 : this.base + performance.now() - this.at;
  }

  stamp(): string {
    return toStamp(this.now, this.minutes);
  }

  private tick(): void {
    this.now = this.exact();
  }
}

export const clock = new SiteClock();
