// SPDX-License-Identifier: GPL-3.0-or-later
// Colours that a canvas needs by value, taken from the style sheet, and when they change.

import { useEffect, useState } from "preact/hooks";

export function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

export const HOLDER_COLOURS = 8;

export function holderColour(place: number): string {
  return colour(`holder-${place % HOLDER_COLOURS}`);
}

/** Whether it is dark; a component that asks is drawn again when that changes. */
export function useDark(): boolean {
  const query = matchMedia("(prefers-color-scheme: dark)");
  const [isDark, setDark] = useState(query.matches);
  useEffect(() => {
    const change = () => setDark(query.matches);
    query.addEventListener("change", change);
    return () => query.removeEventListener("change", change);
  }, []);
  return isDark;
}
