// SPDX-License-Identifier: GPL-3.0-or-later
// Numbers and names as people read them. What is not known is "–", never a zero.

export const UNKNOWN = "–";

export function size(bytes: number | null | undefined): string {
  if (bytes === null || bytes === undefined) return UNKNOWN;
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let unit = 0;
  while (bytes >= 1024 && unit < units.length - 1) {
    bytes /= 1024;
    ++unit;
  }
  return `${unit > 0 && bytes < 100 ? bytes.toFixed(1) : Math.round(bytes)} ${units[unit]}`;
}

export function rate(bytesPerSecond: number | null | undefined): string {
  return bytesPerSecond === null || bytesPerSecond === undefined
    ? UNKNOWN
    : `${size(bytesPerSecond)}/s`;
}

export function duration(ms: number | null | undefined): string {
  if (ms === null || ms === undefined) return UNKNOWN;
  const seconds = Math.ceil(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${seconds % 60} s`;
  if (minutes < 1440) return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  return `${Math.floor(minutes / 1440)} d ${Math.floor(minutes / 60) % 24} h`;
}

/** What is over, and may have been short. */
export function took(ms: number | undefined): string {
  return ms !== undefined && ms < 1000 ? `${Math.round(ms)} ms` : duration(ms);
}

export function count(number: number, one: string, many = `${one}s`): string {
  return `${number.toLocaleString("en")} ${number === 1 ? one : many}`;
}

export function percent(done: number, total: number): string {
  return total > 0 ? `${Math.floor((100 * done) / total)} %` : UNKNOWN;
}

/** The first characters of a node's id or a hash. */
export function short(hex: string): string {
  return hex.slice(0, 8);
}

export function date(text: string | null): string {
  if (text === null) return UNKNOWN;
  const time = new Date(text);
  return Number.isNaN(time.getTime())
    ? UNKNOWN
    : time.toLocaleDateString("en", { year: "numeric", month: "short", day: "numeric" });
}

/** The time of day, with seconds. */
export function clock(time: Date): string {
  return time.toLocaleTimeString("en-GB");
}

/** Where a key lies on the ring, 0 to 1. */
export function place(hex: string): number {
  return Number.parseInt(hex.slice(0, 8), 16) / 0x1_0000_0000;
}

// Characters that turn the writing direction: a name could look like another one by them.
const TURNS = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** `text` with these as `\uNNNN`; in JSON the backslash is written `\\`. */
export function visible(text: string, backslash = "\\"): string {
  const written = (turn: string) => turn.charCodeAt(0).toString(16).padStart(4, "0");
  return text.replace(TURNS, (turn) => `${backslash}u${written(turn)}`);
}
