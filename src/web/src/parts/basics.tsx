// SPDX-License-Identifier: GPL-3.0-or-later
// Small pieces that every view is made of.

import type { ComponentChildren } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { encode } from "uqr";
import { UNREACHABLE } from "../api";
import { percent } from "../format";
import { useStore } from "../store";

export function Card(props: { title: string; note?: string; children: ComponentChildren }) {
  return (
    <section class="card">
      <h2>{props.title}</h2>
      {props.note && <p class="soft">{props.note}</p>}
      {props.children}
    </section>
  );
}

export function Fact(props: { name: string; value: ComponentChildren; note?: ComponentChildren }) {
  return (
    <div class="fact">
      <dt>{props.name}</dt>
      <dd>
        {props.value}
        {props.note && <small>{props.note}</small>}
      </dd>
    </div>
  );
}

/** A bar; `total` 0 means that nobody knows how much there is to do. */
export function Bar(props: { label: string; done: number; total: number; tone?: "good" | "low" }) {
  const part = props.total > 0 ? Math.min(1, props.done / props.total) : 0;
  return (
    <div
      class={`bar ${props.tone ?? ""}`}
      role="progressbar"
      aria-label={props.label}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={props.total > 0 ? Math.floor(100 * part) : undefined}
      aria-valuetext={percent(props.done, props.total)}
    >
      <span style={{ width: `${100 * part}%` }} />
    </div>
  );
}

export function CopyButton(props: { text: string; label: string }) {
  const [said, say] = useState("");
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  useEffect(() => () => clearTimeout(timer.current), []);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(props.text);
      say("Copied");
    } catch {
      say("Select and copy it by hand");
    }
    clearTimeout(timer.current);
    timer.current = setTimeout(() => say(""), 2500);
  };
  return (
    <>
      <button type="button" onClick={() => void copy()}>{props.label}</button>
      <span class="soft" role="status">{said}</span>
    </>
  );
}

/** Text to be taken elsewhere: selectable as a whole, and with a button. */
export function Takeaway(props: { text: string; label: string; what: string }) {
  return (
    <div class="takeaway">
      <input
        readOnly
        value={props.text}
        aria-label={props.what}
        onFocus={(event) => event.currentTarget.select()}
      />
      <CopyButton text={props.text} label={props.label} />
    </div>
  );
}

/** Made once: it takes milliseconds, and a page of hundreds is drawn anew whenever anything changes. */
export function Qr(props: { text: string; label: string }) {
  return useMemo(() => drawQr(props.text, props.label), [props.text, props.label]);
}

function drawQr(text: string, label: string) {
  const code = encode(text, { ecc: "M", border: 2 });
  let path = "";
  code.data.forEach((row, y) =>
    row.forEach((isDark, x) => {
      if (isDark) path += `M${x} ${y}h1v1h-1z`;
    }));
  return (
    <svg
      class="qr"
      role="img"
      aria-label={label}
      viewBox={`0 0 ${code.size} ${code.size}`}
      shapeRendering="crispEdges"
    >
      <rect width={code.size} height={code.size} fill="#fff" />
      <path d={path} fill="#000" />
    </svg>
  );
}

/** Asks before it does what cannot be undone, in place. */
export function Confirm(props: { label: string; question: string; yes: string; act: () => void }) {
  const [asks, setAsks] = useState(false);
  const keep = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    if (asks) keep.current?.focus();
  }, [asks]);
  if (!asks)
    return (
      <button type="button" class="danger" onClick={() => setAsks(true)}>{props.label}</button>
    );
  return (
    <span class="confirm" role="group" aria-label={props.question}>
      <span>{props.question}</span>
      <button
        type="button"
        class="danger"
        onClick={() => {
          setAsks(false);
          props.act();
        }}
      >
        {props.yes}
      </button>
      <button type="button" ref={keep} onClick={() => setAsks(false)}>Keep it</button>
    </span>
  );
}

/** Runs what a button asks for; what went wrong is shown, and shown again never silently. */
export function useAction(): [(work: () => Promise<unknown>) => void, string, boolean] {
  const [error, setError] = useState("");
  const [isBusy, setBusy] = useState(false);
  const { connection } = useStore();
  // What is said of a node that does not answer is over when it does.
  useEffect(() => {
    if (connection === "live") setError((text) => (text === UNREACHABLE ? "" : text));
  }, [connection]);
  const run = (work: () => Promise<unknown>) => {
    setError("");
    setBusy(true);
    work()
      .catch((problem: Error) => setError(problem.message))
      .finally(() => setBusy(false));
  };
  return [run, error, isBusy];
}

export function Problem(props: { text: string }) {
  return props.text ? <p class="bad" role="alert">{props.text}</p> : null;
}

export function SearchField(props: { value: string; set: (value: string) => void }) {
  return (
    <label>
      Search{" "}
      <input
        type="search"
        value={props.value}
        onInput={(event) => props.set(event.currentTarget.value)}
      />
    </label>
  );
}
