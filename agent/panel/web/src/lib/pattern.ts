// What an operator may ask for: a plate with `?` for one character and `*` for any number.

export const REASON_MIN = 4;
export const PATTERN_MAX = 64;

export type PatternFault = "characters" | "too_wide" | "too_long";

/** As the box compares plates: without dots, dashes and blanks, in capitals, half width. */
export function normalPattern(text: string): string {
  return text
    .normalize("NFKC")
    .replace(/[\s·・•.\-]/gu, "")
    .toUpperCase();
}

/** Why the box would not take it; `null`: it is empty or in order. */
export function patternFault(text: string): PatternFault | null {
  const pattern = normalPattern(text);
  if (pattern === "") return null;
  if ([...pattern].length > PATTERN_MAX) return "too_long";
  if (!/^[\p{Script=Han}A-Z0-9?*]+$/u.test(pattern)) return "characters";
  // Everything with a reason attached is still everything.
  if (/^[?*]+$/.test(pattern)) return "too_wide";
  return null;
}

export function reasonFault(reason: string): boolean {
  return [...reason.trim()].length < REASON_MIN;
}
