// SPDX-License-Identifier: GPL-3.0-or-later
// A table of which only the rows in sight exist, so that ten thousand cost no more than twenty.

import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";

const BEYOND = 6; // rows above and below those in sight

export function Windowed<T>(props: {
  label: string;
  columns: ComponentChildren[];
  rows: T[];
  rowHeight: number;
  keyOf: (row: T) => string;
  draw: (row: T) => ComponentChildren[];
  kind: string; // a class, which has the widths of the columns
}) {
  const frame = useRef<HTMLDivElement>(null);
  const [view, setView] = useState({ top: 0, height: 600 });
  useEffect(() => {
    const element = frame.current;
    if (!element) return;
    const look = () => setView({ top: element.scrollTop, height: element.clientHeight });
    const observer = new ResizeObserver(look);
    observer.observe(element);
    element.addEventListener("scroll", look, { passive: true });
    return () => {
      observer.disconnect();
      element.removeEventListener("scroll", look);
    };
  }, []);
  const { rows, rowHeight } = props;
  // Fewer rows than before: what was in sight may be beyond the end.
  const top = Math.max(0, Math.min(view.top, rows.length * rowHeight - view.height));
  const first = Math.max(0, Math.floor(top / rowHeight) - BEYOND);
  const last = Math.min(rows.length, Math.ceil((top + view.height) / rowHeight) + BEYOND);
  return (
    <div
      class={`windowed ${props.kind}`}
      role="table"
      aria-label={props.label}
      aria-rowcount={rows.length + 1}
    >
      <div role="rowgroup">
        <div class="row head" role="row" aria-rowindex={1}>
          {props.columns.map((column, i) => <div key={i} role="columnheader">{column}</div>)}
        </div>
      </div>
      <div class="frame" ref={frame} role="rowgroup" tabIndex={0} aria-label={props.label}>
        <div style={{ height: `${first * rowHeight}px` }} role="presentation" />
        {rows.slice(first, last).map((row, i) => (
          <div
            class="row"
            role="row"
            key={props.keyOf(row)}
            aria-rowindex={first + i + 2}
            style={{ height: `${rowHeight}px` }}
          >
            {props.draw(row).map((cell, k) => <div key={k} role="cell">{cell}</div>)}
          </div>
        ))}
        <div style={{ height: `${(rows.length - last) * rowHeight}px` }} role="presentation" />
      </div>
    </div>
  );
}
