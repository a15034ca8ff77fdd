// Who is logged in, and which pages that gives.

import { api, ApiError, useSession } from "./api";
import { clock } from "./clock.svelte";
import type { Role, Session } from "./types";

export type Page = "hits" | "cameras" | "box" | "passages" | "quality" | "log";

/** What the box's API allows each role, and no page that it would refuse. */
const PAGES: Record<Page, Role[]> = {
  hits: ["officer", "operator"],
  cameras: ["installer", "operator"],
  box: ["operator", "installer"],
  passages: ["operator"],
  quality: ["operator", "installer"],
  log: ["operator", "installer"],
};

export function pagesOf(roles: Role[]): Page[] {
  return (Object.keys(PAGES) as Page[]).filter((page) => PAGES[page].some((role) => roles.includes(role)));
}

class Sessions {
  current = $state<Session | null>(null);
  /** It is not known yet whether somebody is logged in. */
  asking = $state(true);
  /** The box ended a session that was open here. */
  ended = $state(false);
  /** The box did not answer the first question. */
  away = $state(false);

  is(role: Role): boolean {
    return this.current?.roles.includes(role) ?? false;
  }

  async ask(): Promise<void> {
    const from = performance.now();
    try {
      this.take(await api.session(), performance.now() - from);
      this.away = false;
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) this.drop(this.current !== null);
      else this.away = true;
    }
    this.asking = false;
  }

  /** Sets the clock anew and sees whether the session still holds; whether the box answered. */
  async check(): Promise<boolean> {
    const from = performance.now();
    try {
      this.take(await api.session(), performance.now() - from);
      return true;
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) {
        this.drop(true);
        return true;
      }
      return false;
    }
  }

  async login(name: string, password: string): Promise<void> {
    this.take(await api.login(name, password), 0);
  }

  async logout(): Promise<void> {
    await api.logout();
    this.drop(false);
  }

  private take(session: Session, roundTripMs: number): void {
    this.ended = false;
    useSession(session.csrf, () => this.drop(true));
    clock.set(session.time, roundTripMs);
    this.current = session;
  }

  private drop(ended: boolean): void {
    if (this.current !== null && ended) this.ended = true;
    this.current = null;
  }
}

export const sessions = new Sessions();
