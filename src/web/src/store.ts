// SPDX-License-Identifier: GPL-3.0-or-later
// What is known of the node now, kept up by its events, and what the views see of it.

import { useEffect, useState } from "preact/hooks";
import { type Connection, follow } from "./api";
import type { Conduct, FlowObject, Job, Peer, Status, Transfer, Update } from "./types";

/** One second of the graphs; rates in bytes per second. */
export interface Sample {
  at: number;
  peers: number;
  up: number | null;
  down: number | null;
  dht: number | null;
  underTarget: number;
  inFlight: number;
  repaired: number | null;
}

export interface State {
  connection: Connection;
  status: Status | null;
  peers: Peer[];
  dropped: Conduct[];
  transfers: Transfer[];
  jobs: Job[];
  objects: Map<string, FlowObject>;
  areObjectsKnown: boolean;
  history: Sample[];
}

const HISTORY_MAX = 3600;

export const state: State = {
  connection: "connecting",
  status: null,
  peers: [],
  dropped: [],
  transfers: [],
  jobs: [],
  objects: new Map(),
  areObjectsKnown: false,
  history: [],
};

const listeners = new Set<() => void>();
let isDue = false;

/** Tells the views, once a frame however much changed. */
export function changed(): void {
  if (isDue) return;
  isDue = true;
  const tell = () => {
    isDue = false;
    for (const listener of listeners) listener();
  };
  // A hidden page has no frames, and its state is to be right when it is shown.
  if (document.hidden) setTimeout(tell, 0);
  else requestAnimationFrame(tell);
}

let before: { at: number; status: Status } | null = null;

function sample(status: Status): void {
  const at = Date.now() / 1000;
  const rate = (read: (status: Status) => number): number | null => {
    if (!before || at <= before.at || status.uptime_ms < before.status.uptime_ms) return null;
    return Math.max(0, (read(status) - read(before.status)) / (at - before.at));
  };
  state.history.push({
    at,
    peers: status.peers,
    up: rate((s) => s.traffic.up_bytes),
    down: rate((s) => s.traffic.down_bytes),
    dht: rate((s) => s.traffic.dht_up_bytes + s.traffic.dht_down_bytes),
    underTarget: status.repair.under_target_extents,
    inFlight: status.repair.in_flight,
    repaired: rate((s) => s.repair.bytes_total),
  });
  if (state.history.length > HISTORY_MAX) state.history.shift();
  before = { at, status };
}

export function apply(update: Update): void {
  if (update.version === 1) {
    state.objects = new Map();
    state.areObjectsKnown = false;
    state.peers = [];
    state.dropped = [];
    state.transfers = [];
    state.jobs = [];
  }
  if (update.status) {
    state.status = update.status;
    sample(update.status);
  }
  if (update.peers) state.peers = update.peers;
  if (update.dropped) state.dropped = update.dropped;
  if (update.transfers) state.transfers = update.transfers;
  if (update.jobs) state.jobs = update.jobs;
  if (update.objects) {
    const objects = new Map(state.objects);
    for (const root of update.objects.gone) objects.delete(root);
    for (const row of update.objects.rows) objects.set(row.root, row);
    state.objects = objects;
    state.areObjectsKnown = true;
  }
  changed();
}

export function start(): void {
  void follow(apply, (connection) => {
    state.connection = connection;
    changed();
  });
}

export function useStore(): State {
  const [, redraw] = useState(0);
  useEffect(() => {
    const listener = () => redraw((n) => n + 1);
    listeners.add(listener);
    return () => void listeners.delete(listener);
  }, []);
  return state;
}

/** The transfer that carries out a job. */
export function transferOf(job: Job): Transfer | undefined {
  return state.transfers.find((transfer) => transfer.kind === job.kind && transfer.path === job.path);
}
