// SPDX-License-Identifier: GPL-3.0-or-later
// What of an object is here, cell by cell: a cell is an extent, or some that lie together.

import { useEffect, useRef, useState } from "preact/hooks";
import { count, short, size } from "../format";
import type { Transfer } from "../types";
import { HOLDER_COLOURS, colour, holderColour, useDark } from "./colours";

const GAP = 2;
const CELL_MIN = 8;
const CELL_MAX = 22;

/** The verified part of a cell, 0 to 1; nothing when none of it is wanted. */
function doneOf(letter: string | undefined): number | null {
  if (letter === undefined || letter === ".") return null;
  return letter === "a" ? 1 : Number(letter) / 10;
}

function giverOf(letter: string | undefined): number | null {
  return letter && letter >= "A" && letter <= "Z" ? letter.charCodeAt(0) - 65 : null;
}

function holdersColour(holders: number): string {
  return colour(holders === 0 ? "bad" : holders === 1 ? "low" : "good");
}

export function ExtentMap(props: { transfer: Transfer }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [width, setWidth] = useState(0);
  const [byCopies, setByCopies] = useState(false);
  const isDark = useDark();
  const map = props.transfer.map;
  useEffect(() => {
    const element = canvas.current?.parentElement;
    if (!element) return;
    const observer = new ResizeObserver(() => setWidth(element.clientWidth));
    observer.observe(element);
    return () => observer.disconnect();
  }, [map === undefined]);

  const cells = map?.done.length ?? 0;
  const cell = Math.max(CELL_MIN, Math.min(CELL_MAX, Math.floor(width / Math.max(1, cells)) - GAP));
  const perRow = Math.max(1, Math.floor((width + GAP) / (cell + GAP)));
  // Before it is known how wide it may be, it would be one cell wide and very high.
  const height = width === 0 ? 0 : Math.ceil(cells / perRow) * (cell + GAP);

  useEffect(() => {
    const context = canvas.current?.getContext("2d");
    if (!context || !map || width === 0) return;
    const scale = devicePixelRatio;
    context.canvas.width = width * scale;
    context.canvas.height = height * scale;
    context.scale(scale, scale);
    for (let i = 0; i < cells; ++i) {
      const done = doneOf(map.done[i]);
      const x = (i % perRow) * (cell + GAP);
      const y = Math.floor(i / perRow) * (cell + GAP);
      context.fillStyle = colour("empty");
      context.globalAlpha = done === null ? 0.35 : 1;
      context.fillRect(x, y, cell, cell);
      context.globalAlpha = 1;
      const holders = Number(map.holders[i]);
      if (done !== null && done > 0) {
        const giver = giverOf(map.by[i]);
        context.fillStyle = byCopies
          ? holdersColour(holders)
          : giver === null ? colour("soft") : holderColour(giver);
        context.fillRect(x, y + cell * (1 - done), cell, cell * done);
      } else if (done === 0 && holders === 0) {
        // Nobody to ask for it now.
        context.strokeStyle = colour("bad");
        context.strokeRect(x + 0.5, y + 0.5, cell - 1, cell - 1);
      }
    }
  }, [map?.done, map?.holders, map?.by, width, height, byCopies, isDark]);

  if (!map || cells === 0) return null;
  const whole = [...map.done].filter((letter) => letter === "a").length;
  const wanted = [...map.done].filter((letter) => letter !== ".").length;
  const nobody = [...map.done].filter((letter, i) =>
    letter !== "a" && letter !== "." && map.holders[i] === "0").length;
  const { holders, own_bytes: own } = props.transfer;
  return (
    <figure class="extents">
      <div class="canvas">
        <canvas
          ref={canvas}
          role="img"
          style={{ width: `${width}px`, height: `${height}px` }}
          aria-label={`${whole} of ${count(wanted, "part")} here, ${nobody} that nobody can be asked for now`}
        />
      </div>
      <figcaption>
        <span>
          {whole} of {count(wanted, "part")} here
          {nobody > 0 && <span class="bad">; nobody has {nobody} of them now</span>}
        </span>
        <label>
          <input
            type="checkbox"
            checked={byCopies}
            onChange={(event) => setByCopies(event.currentTarget.checked)}
          />{" "}
          colour by number of holders
        </label>
      </figcaption>
      {!byCopies && (holders.length > 0 || own > 0) && (
        <ul class="legend" aria-label="Holders">
          {own > 0 && <li><i class="swatch soft-fill" />this node {size(own)}</li>}
          {holders.map((holder, i) => (
            <li key={holder.node}>
              <i class={`swatch holder-${i % HOLDER_COLOURS}`} />
              <code title={holder.node}>{short(holder.node)}</code> {size(holder.bytes)}
              {holder.rate > 0 && `, ${size(holder.rate)}/s`}
            </li>
          ))}
        </ul>
      )}
      {byCopies && (
        <ul class="legend" aria-label="Colours">
          <li><i class="swatch good-fill" /> two holders or more</li>
          <li><i class="swatch low-fill" /> one holder</li>
          <li><i class="swatch bad-fill" /> none now</li>
        </ul>
      )}
    </figure>
  );
}
