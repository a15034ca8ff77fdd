// Steps back and forth over values that are never changed in place.

const STEPS_MAX = 200;

export class Undo<T> {
  private past: T[] = [];
  private future: T[] = [];

  constructor(private now: T) {}

  get value(): T {
    return this.now;
  }
  get canUndo(): boolean {
    return this.past.length > 0;
  }
  get canRedo(): boolean {
    return this.future.length > 0;
  }

  /** A new value; what had been undone is gone. */
  push(value: T): void {
    this.past.push(this.now);
    if (this.past.length > STEPS_MAX) this.past.shift();
    this.now = value;
    this.future = [];
  }

  undo(): T {
    const before = this.past.pop();
    if (before !== undefined) {
      this.future.push(this.now);
      this.now = before;
    }
    return this.now;
  }

  redo(): T {
    const after = this.future.pop();
    if (after !== undefined) {
      this.past.push(this.now);
      this.now = after;
    }
    return this.now;
  }
}
