// SPDX-License-Identifier: GPL-3.0-or-later
// A line chart over time, drawn by uPlot in the page's colours.

import { useEffect, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { clock } from "../format";
import { colour, useDark } from "./colours";

export interface Line {
  label: string;
  colour: string; // a name in the style sheet
  dash?: number[];
}

const HEIGHT = 180;
// Steps of an axis: of counts, and of bytes, which people read in powers of 1024.
const COUNTS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 10_000, 100_000];
const BYTES = Array.from({ length: 40 }, (_, power) => 2 ** power);

/** Nothing yet of a single moment, which would be stretched over years. */
function dataOf(times: number[], values: (number | null)[][]): uPlot.AlignedData {
  return times.length < 2 ? [[], ...values.map(() => [])] : [times, ...values];
}

/** At least the last minute, so that the first seconds are not stretched over the whole. */
function spanOf(first: number | null, last: number | null): [number, number] {
  const end = last ?? Date.now() / 1000;
  return [Math.min(first ?? end, end - 60), end];
}

/** Whole minutes without seconds. */
function onAxis(time: Date): string {
  return time.getSeconds() === 0 ? clock(time).slice(0, 5) : clock(time);
}

export function Chart(props: {
  title: string;
  times: number[];
  lines: Line[];
  values: (number | null)[][];
  show: (value: number | null) => string;
  whole?: boolean; // counts: no fractions on the axis
}) {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  const [width, setWidth] = useState(0);
  const isDark = useDark();

  useEffect(() => {
    const element = place.current;
    if (!element) return;
    const observer = new ResizeObserver(() => setWidth(element.clientWidth));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);

  useEffect(() => {
    const element = place.current;
    if (!element || width === 0) return;
    const axis = {
      stroke: colour("soft"),
      grid: { stroke: colour("line"), width: 1 },
      ticks: { stroke: colour("line"), width: 1 },
      font: "12px system-ui, sans-serif",
    };
    const made = new uPlot(
      {
        width,
        height: HEIGHT,
        legend: { show: false },
        cursor: { y: false, points: { show: false } },
        scales: {
          x: { range: (_plot, first, last) => spanOf(first, last) },
          y: { range: (_plot, _min, max) => [0, Math.max(max * 1.1, props.whole ? 4 : 1024)] },
        },
        axes: [
          {
            ...axis,
            space: 70,
            values: (_plot, splits) => splits.map((seconds) => onAxis(new Date(seconds * 1000))),
          },
          {
            ...axis,
            size: 76,
            values: (_plot, splits) => splits.map((value) => props.show(value)),
            incrs: props.whole ? COUNTS : BYTES,
          },
        ],
        series: [
          {},
          ...props.lines.map((line) => ({
            label: line.label,
            stroke: colour(line.colour),
            width: 1.5,
            dash: line.dash,
            points: { show: false },
          })),
        ],
      },
      dataOf(props.times, props.values),
      element,
    );
    plot.current = made;
    return () => {
      made.destroy();
      plot.current = undefined;
    };
  }, [width, isDark]);

  useEffect(() => plot.current?.setData(dataOf(props.times, props.values)));

  const now = props.values.map((series) => series.at(-1) ?? null);
  return (
    <figure class="chart">
      <figcaption>
        <strong>{props.title}</strong>
        <ul class="legend">
          {props.lines.map((line, i) => (
            <li key={line.label}>
              <i class={`swatch ${line.colour}-fill`} /> {line.label}{" "}
              <span class="number">{props.show(now[i] ?? null)}</span>
            </li>
          ))}
        </ul>
      </figcaption>
      <div class="plot" ref={place} aria-hidden="true" />
    </figure>
  );
}
