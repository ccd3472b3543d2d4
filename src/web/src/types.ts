// SPDX-License-Identifier: GPL-3.0-or-later
// What the node says, as docs/architecture.md and the command line's --json have it.

export interface Status {
  node: string;
  version: string;
  uptime_ms: number;
  port: number;
  listening: string[];
  addresses: string[];
  reach: string;
  port_mapping: { method: string; external: string; problem: string };
  private: boolean;
  storing: boolean;
  problem: string | null;
  dht: { connected: boolean; nodes: number; puts: number; lookups: number };
  clock_skew_ms: number;
  peers: number;
  storage: { used_bytes: number; capacity_bytes: number; disk_left_bytes: number | null; objects: number; extents: number };
  repair: {
    under_target_extents: number;
    in_flight: number;
    bytes_total: number;
    limit: number | null;
  };
  announce: { records: number; due_per_hour: number; behind: boolean };
  traffic: {
    up_bytes: number;
    down_bytes: number;
    dht_up_bytes: number;
    dht_down_bytes: number;
    up_limit: number | null;
    down_limit: number | null;
  };
}

/** How a node has behaved; score is the part of what was asked of it that came, in percent. */
export interface Conduct {
  node: string;
  address: string;
  score: number;
  strikes: number;
  disconnects: number;
  banned: boolean;
  reason: string;
}

export interface Peer extends Conduct {
  rtt_ms: number;
  up_bytes: number;
  down_bytes: number;
  rate: number;
  storing: boolean;
  holds_extents: number;
}

export interface Transfer {
  id: number;
  kind: "fetch" | "stream" | "publish";
  root: string | null;
  name: string;
  path: string;
  stage: string;
  paused: boolean;
  done_bytes: number;
  total_bytes: number;
  own_bytes: number;
  rate: number;
  eta_ms: number | null;
  holders: { node: string; rate: number; bytes: number }[];
  reason: string;
  why: string;
  map?: { done: string; holders: string; by: string };
  copies?: { min: number; target: number };
}

export interface Progress {
  stage: string;
  done_bytes?: number;
  total_bytes?: number;
  holders?: number;
  copies_min?: number;
  copies_target?: number;
}

export interface Outcome {
  event: "done" | "error";
  code?: string;
  message?: string;
  root?: string;
  link?: string;
  path?: string;
  kind?: string;
  bytes?: number;
  holders?: number;
  elapsed_ms?: number;
  copies?: { min: number; mean: number };
  target?: number;
  degraded?: boolean;
  shortfall?: string;
}

/** What a look at what is kept here of an object found. */
export interface Verification {
  sound: boolean;
  checked_bytes: number;
  checked_extents: number;
  damaged_extents: number;
  missing_extents: number;
  healed_extents: number;
  complaints: string[];
}

export interface LogLine {
  number: number;
  time: string;
  level: "debug" | "info" | "warn" | "error";
  component: string;
  text: string;
}

export interface Invitation {
  invite: string;
  addresses: string[];
  private: boolean;
}

export interface Job {
  id: number;
  kind: "fetch" | "publish" | "verify";
  name: string;
  link: string;
  path: string;
  state: "running" | "paused" | "done" | "failed"; // paused when the node stopped, until it is begun anew
  progress: Progress | null;
  result: (Outcome & Partial<Verification>) | null;
}

export interface FlowObject {
  root: string;
  link: string;
  name: string;
  kind: "file" | "directory" | "private";
  bytes: number;
  extents: number;
  extents_held: number;
  published: boolean;
  pinned: boolean;
  copies_min: number | null;
  at_risk_chunks: number | null;
  target: number;
  expires: string | null;
  expired: boolean;
  renewed: boolean;
}

export interface Withdrawal {
  holders_told: number;
  holders_obeyed: number;
}

export interface Health {
  bytes: number;
  upkeep: "leased" | "expired" | "withdrawn" | "unknown";
  target: number;
  copies: { min: number; mean: number; histogram: Record<string, number> };
  groups: number;
  at_risk_chunks: number;
  repair: { missing_bytes: number; in_flight: number; time_to_target_ms: number | null };
  audited: number;
  publisher_may_leave: boolean;
}

export interface ObjectMap {
  root: string;
  bytes: number;
  parts_total: number;
  nodes: string[];
  parts: {
    index: number;
    hash: string;
    bytes: number;
    holders: number[];
    held_here: boolean;
    coming: number;
  }[];
}

export interface Update {
  version: number;
  status?: Status;
  peers?: Peer[];
  dropped?: Conduct[];
  transfers?: Transfer[];
  jobs?: Job[];
  objects?: { rows: FlowObject[]; gone: string[] };
}
