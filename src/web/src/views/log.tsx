// SPDX-License-Identifier: GPL-3.0-or-later
// What the node wrote to its log lately. It keeps a thousand lines, and they are asked for only while
// somebody looks.

import { useEffect, useRef, useState } from "preact/hooks";
import { call, query } from "../api";
import { clock, count } from "../format";
import { Problem, SearchField } from "../parts/basics";
import type { LogLine } from "../types";

const LINES_MAX = 1000;
const PERIOD_MS = 1000;
type Level = LogLine["level"];

export function Log() {
  const [level, setLevel] = useState<Level>("debug");
  const [search, setSearch] = useState("");
  const [isHeld, hold] = useState(false);
  const { lines, problem } = useLog(level, isHeld);
  const wanted = search.trim().toLowerCase();
  const shown = wanted === ""
    ? lines
    : lines.filter((line) => `${line.component} ${line.text}`.toLowerCase().includes(wanted));
  return (
    <>
      <h1>Log</h1>
      <div class="tools">
        <label>
          Show{" "}
          <select value={level} onChange={(event) => setLevel(event.currentTarget.value as Level)}>
            <option value="debug">everything</option>
            <option value="info">what happens</option>
            <option value="warn">warnings and errors</option>
            <option value="error">errors</option>
          </select>
        </label>
        <SearchField value={search} set={setSearch} />
        <button type="button" aria-pressed={isHeld} onClick={() => hold(!isHeld)}>
          {isHeld ? "Go on" : "Hold"}
        </button>
        <span class="soft">{count(shown.length, "line")}, newest first</span>
      </div>
      <Problem text={problem} />
      {shown.length === 0
        ? <p class="soft">{lines.length === 0 ? "Nothing of that kind was written lately." : "No line has that in it."}</p>
        : <div class="scroll log" tabIndex={0} role="region" aria-label="Lines of the log">
            <table>
              <thead>
                <tr>
                  <th scope="col">Time</th>
                  <th scope="col">Level</th>
                  <th scope="col">Part</th>
                  <th scope="col">What</th>
                </tr>
              </thead>
              <tbody>
                {[...shown].reverse().map((line) => (
                  <tr key={line.number}>
                    <td class="number"><time dateTime={line.time}>{timeOf(line)}</time></td>
                    <td class={TONES[line.level]}>{line.level}</td>
                    <td class="soft">{line.component}</td>
                    <td class="what">{line.text}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>}
    </>
  );
}

const TONES: Record<Level, string> = { debug: "soft", info: "", warn: "low", error: "bad" };

function timeOf(line: LogLine): string {
  const at = new Date(line.time);
  return Number.isNaN(at.getTime()) ? line.time : clock(at);
}

/** The newest lines of at least a level, oldest first, and new ones as they come. */
function useLog(level: Level, isHeld: boolean): { lines: LogLine[]; problem: string } {
  const [lines, setLines] = useState<LogLine[]>([]);
  const [problem, setProblem] = useState("");
  const next = useRef(0);
  useEffect(() => {
    next.current = 0;
    setLines([]);
  }, [level]);
  useEffect(() => {
    if (isHeld) return;
    const stop = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const ask = async () => {
      try {
        const after = next.current;
        const answer = await call<{ lines: LogLine[]; next: number }>(
          "GET", `log${query({ level, after })}`, undefined, stop.signal);
        if (stop.signal.aborted) return;
        setProblem("");
        next.current = answer.next;
        if (answer.lines.length > 0)
          setLines((known) => [...(after === 0 ? [] : known), ...answer.lines].slice(-LINES_MAX));
      } catch (error) {
        if (stop.signal.aborted) return;
        // A node that was started anew counts its lines from the start.
        next.current = 0;
        setProblem((error as Error).message);
      }
      timer = setTimeout(() => void ask(), PERIOD_MS);
    };
    void ask();
    return () => {
      stop.abort();
      clearTimeout(timer);
    };
  }, [level, isHeld]);
  return { lines, problem };
}
