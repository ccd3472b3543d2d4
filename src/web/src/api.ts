// SPDX-License-Identifier: GPL-3.0-or-later
// Requests to the node that served this page, and its stream of events.

import { visible } from "./format";
import type { Update } from "./types";

function meta(name: string): string {
  return document.querySelector<HTMLMetaElement>(`meta[name="flow29-${name}"]`)?.content ?? "";
}

// Another machine's page comes without the token; then it is taken from the address, once.
const fromAddress = /[#&]token=([0-9a-f]+)/.exec(location.hash)?.[1];
if (fromAddress) history.replaceState(null, "", location.pathname);
let token = meta("token") || fromAddress || "";
export const gateway = meta("gateway");

/** What the node answers when something is not as it should be. */
export class Refusal extends Error {
  constructor(
    message: string,
    readonly status: number,
    readonly json: Record<string, unknown>,
  ) {
    super(message);
  }
}

export const UNREACHABLE = "The node does not answer. Is it running?";

export function query(params: Record<string, string | number | undefined>): string {
  const given = Object.entries(params).filter(([, value]) => value !== undefined && value !== "");
  const text = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
  return text && `?${text}`;
}

/** The answer's fields. Throws a Refusal, or an Error in plain words when nobody answers. */
export async function call<T = Record<string, unknown>>(
  method: "GET" | "POST" | "PATCH",
  path: string,
  body?: Blob | string,
  signal?: AbortSignal,
): Promise<T> {
  let response: Response;
  try {
    response = await fetch(`/api/v1/${path}`, {
      method,
      headers: { "X-Flow29-Token": token },
      body,
      signal,
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Error(UNREACHABLE);
  }
  const json = await response.text().then((text) => JSON.parse(visible(text, "\\\\"))).catch(() => ({}));
  if (!response.ok) throw new Refusal(sentence(json.message), response.status, json);
  return json as T;
}

/** The node's messages begin small and end without a stop; on the page they are sentences. */
export function sentence(message: unknown): string {
  if (typeof message !== "string" || message === "") return "That did not work.";
  const text = message.charAt(0).toUpperCase() + message.slice(1);
  return /[.!?]$/.test(text) ? text : `${text}.`;
}

export type Connection = "connecting" | "live" | "lost" | "refused";

const RETRY_MS = 1000;
const SILENCE_MS = 25_000; // the node says something every 10 s

async function readOnce(onUpdate: (update: Update) => void, onOpen: () => void): Promise<boolean> {
  const stop = new AbortController();
  let watch = setTimeout(() => stop.abort(), SILENCE_MS);
  try {
    const response = await fetch("/api/v1/events", {
      headers: { "X-Flow29-Token": token },
      signal: stop.signal,
    });
    if (response.status === 401) return false;
    if (!response.ok || !response.body) return true;
    onOpen();
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return true;
      clearTimeout(watch);
      watch = setTimeout(() => stop.abort(), SILENCE_MS);
      text += value;
      const events = text.split("\n\n");
      text = events.pop() ?? "";
      for (const event of events) {
        const data = event.split("\n").find((line) => line.startsWith("data: "));
        if (data) onUpdate(JSON.parse(visible(data.slice(6), "\\\\")) as Update);
      }
    }
  } finally {
    clearTimeout(watch);
    stop.abort();
  }
}

/** Reads events for ever, and again when the node was away. */
export async function follow(
  onUpdate: (update: Update) => void,
  onState: (state: Connection) => void,
): Promise<void> {
  for (;;) {
    let accepted = true;
    try {
      accepted = await readOnce(onUpdate, () => onState("live"));
    } catch {
      // It went away; what follows says so.
    }
    onState(accepted ? "lost" : "refused");
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    if (!accepted) await renewToken();
  }
}

/** The token is new at each start of the node, and a fresh page has it. */
async function renewToken(): Promise<void> {
  const page = await fetch("/").then((response) => response.text(), () => "");
  const fresh = /name="flow29-token" content="([0-9a-f]{64})"/.exec(page)?.[1];
  if (fresh) token = fresh;
}
