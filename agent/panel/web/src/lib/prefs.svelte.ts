// What this tablet remembers: language, brightness, sound. Where storage is refused (private
// windows), it is forgotten with the page.

import { en, type Dict } from "./i18n/en";
import { zh } from "./i18n/zh";
import type { Lang } from "./time";
import type { Vehicle } from "./types";

export type Theme = "light" | "dark" | "auto";

const KEY = "kakou-panel";

interface Kept {
  lang?: Lang;
  theme?: Theme;
  sound?: boolean;
  muted?: boolean;
}

function load(): Kept {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(KEY) ?? "{}");
    return kept !== null && typeof kept === "object" ? (kept as Kept) : {};
  } catch {
    return {};
  }
}

const byBrowser = (): Lang => (navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en");

class Prefs {
  lang = $state<Lang>("zh");
  theme = $state<Theme>("auto");
  /** The officer has once asked for sound. */
  sound = $state(false);
  muted = $state(false);

  constructor() {
    const kept = load();
    this.lang = kept.lang === "zh" || kept.lang === "en" ? kept.lang : byBrowser();
    this.theme = kept.theme === "light" || kept.theme === "dark" ? kept.theme : "auto";
    this.sound = kept.sound === true;
    this.muted = kept.muted === true;
    this.show();
  }

  set(change: Kept): void {
    Object.assign(this, change);
    this.show();
    const { lang, theme, sound, muted } = this;
    try {
      localStorage.setItem(KEY, JSON.stringify({ lang, theme, sound, muted }));
    } catch {
      // Kept for this page only.
    }
  }

  private show(): void {
    document.documentElement.lang = (this.lang === "zh" ? zh : en).htmlLang;
    document.documentElement.dataset["theme"] = this.theme;
  }
}

export const prefs = new Prefs();

/** The words of the language in use. */
export const words = {
  get t(): Dict {
    return prefs.lang === "zh" ? zh : en;
  },
};

/** A word of a list that may grow: what is not known here is shown as it came. */
export function word(list: Record<string, string>, value: string): string {
  return Object.hasOwn(list, value) ? (list[value] ?? value) : value;
}

/** A colour that is less sure is not shown: an officer must not look for the wrong car. */
const COLOUR_SURE = 0.7;

/** What a vehicle is called: its colour, where that is sure, and its class. */
export function vehicleName(vehicle: Vehicle | null): string {
  if (!vehicle) return words.t.unknown;
  const name = word(words.t.classes, vehicle.class);
  const colour = vehicle.colour;
  return colour && colour.confidence >= COLOUR_SURE ? words.t.painted(word(words.t.paints, colour.value), name) : name;
}
