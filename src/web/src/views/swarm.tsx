// SPDX-License-Identifier: GPL-3.0-or-later
// The ring of all keys, with the nodes that this one is connected to and where an object's parts
// are; and tables that say the same.

import { useEffect, useState } from "preact/hooks";
import { call, query } from "../api";
import { count, place, short, size, UNKNOWN } from "../format";
import { Problem } from "../parts/basics";
import { useStore } from "../store";
import type { FlowObject, ObjectMap, Peer } from "../types";

const REFRESH_MS = 5000;
const CHOICES = 500;
const NODES_R = 150;
const PARTS_R = 196;

function at(hex: string, radius: number): [number, number] {
  const angle = 2 * Math.PI * place(hex) - Math.PI / 2;
  return [radius * Math.cos(angle), radius * Math.sin(angle)];
}

/** What its user knows comes first. */
function rank(object: FlowObject): number {
  return object.published ? 0 : object.pinned ? 1 : object.name ? 2 : 3;
}

function degrees(hex: string): string {
  return `${(360 * place(hex)).toFixed(1)}°`;
}

/** Asks for the map of an object again and again while it is looked at, and when nodes come or go. */
function useMap(link: string | undefined, nodes: string): [ObjectMap | null, string] {
  const [map, setMap] = useState<ObjectMap | null>(null);
  const [error, setError] = useState("");
  useEffect(() => {
    setMap(null);
    setError("");
  }, [link]);
  useEffect(() => {
    if (!link) return;
    let isOver = false;
    let timer: ReturnType<typeof setTimeout>;
    const look = async () => {
      try {
        const seen = await call<ObjectMap>("GET", `map${query({ link })}`);
        if (isOver) return;
        setMap(seen);
        setError("");
      } catch (problem) {
        if (!isOver) setError((problem as Error).message);
      }
      if (!isOver) timer = setTimeout(() => void look(), REFRESH_MS);
    };
    void look();
    return () => {
      isOver = true;
      clearTimeout(timer);
    };
  }, [link, nodes]);
  return [map, error];
}

function Ring(props: {
  self: string;
  peers: Peer[];
  map: ObjectMap | null;
  target: number;
  chosen: string | null;
  choose: (node: string | null) => void;
}) {
  const { self, peers, map } = props;
  const holders = new Map<string, number>();
  for (const part of map?.parts ?? []) {
    for (const i of part.holders) {
      const node = map?.nodes[i];
      if (node) holders.set(node, (holders.get(node) ?? 0) + 1);
    }
    if (part.held_here) holders.set(self, (holders.get(self) ?? 0) + 1);
  }
  const known = new Set([self, ...peers.map((peer) => peer.node)]);
  const strangers = [...holders.keys()].filter((node) => !known.has(node));
  const lines = (node: string) => {
    const index = map?.nodes.indexOf(node) ?? -1;
    const [nx, ny] = at(node, NODES_R);
    return (map?.parts ?? [])
      .filter((part) => part.holders.includes(index) || (part.held_here && node === self))
      .map((part) => {
        const [px, py] = at(part.hash, PARTS_R - 8);
        return `M${nx.toFixed(1)} ${ny.toFixed(1)}L${px.toFixed(1)} ${py.toFixed(1)}`;
      })
      .join("");
  };
  const label = `The key ring: this node, ${count(peers.length, "connected node")}${
    map ? `, and ${count(map.parts_total, "part")} of the chosen object at ${count(holders.size, "holder")}` : ""
  }. The tables below say the same.`;
  const dot = (node: string, kind: string, title: string) => {
    const [x, y] = at(node, NODES_R);
    return (
      <circle
        key={node}
        class={`${kind} ${holders.has(node) ? "holds" : ""} ${props.chosen === node ? "chosen" : ""}`}
        cx={x}
        cy={y}
        r={node === self ? 9 : kind === "reader" ? 4 : 6}
        onMouseEnter={() => props.choose(node)}
        onMouseLeave={() => props.choose(null)}
      >
        <title>{title}</title>
      </circle>
    );
  };
  const [selfX, selfY] = at(self, NODES_R);
  return (
    <svg class="ring" role="img" aria-label={label} viewBox="-220 -220 440 440">
      <circle class="orbit" r={NODES_R} />
      {map && <circle class="orbit outer" r={PARTS_R} />}
      {peers.map((peer) => {
        const [x, y] = at(peer.node, NODES_R);
        return <line key={peer.node} class="link" x1={selfX} y1={selfY} x2={x} y2={y} />;
      })}
      {[...holders.keys()].map((node) => (
        <path
          key={node}
          class={`keeps ${props.chosen === null ? "" : props.chosen === node ? "chosen" : "faint"}`}
          d={lines(node)}
        />
      ))}
      {map?.parts.map((part) => {
        const copies = part.holders.length + (part.held_here ? 1 : 0);
        const [x1, y1] = at(part.hash, PARTS_R - 8);
        const [x2, y2] = at(part.hash, PARTS_R + (part.index === 0 ? 16 : 8));
        const tone = copies >= props.target ? "good" : copies > 0 ? "low" : "bad";
        return (
          <line key={part.index} class={`part ${tone}`} x1={x1} y1={y1} x2={x2} y2={y2}>
            <title>{`${part.index === 0 ? "Description" : `Part ${part.index}`}: ${count(copies, "copy", "copies")}`}</title>
          </line>
        );
      })}
      {strangers.map((node) => dot(node, "stranger", `${short(node)}, holds ${holders.get(node)} parts, not connected`))}
      {peers.map((peer) => dot(peer.node, peer.storing ? "peer" : "reader", `${short(peer.node)} at ${peer.address}${peer.storing ? "" : ", keeps nothing"}`))}
      {dot(self, "self", "This node")}
      <text
        x={selfX + (selfX < 0 ? 14 : -14)}
        y={selfY}
        text-anchor={selfX < 0 ? "start" : "end"}
        dominant-baseline="middle"
      >
        this node
      </text>
    </svg>
  );
}

export function Swarm() {
  const state = useStore();
  const [root, setRoot] = useState("");
  const [chosen, choose] = useState<string | null>(null);
  const object = state.objects.get(root);
  const nodes = state.peers.map((peer) => peer.node).sort().join();
  const [map, error] = useMap(object?.link, nodes);
  const self = state.status?.node;
  if (!self)
    return (
      <>
        <h1>Swarm</h1>
        <p class="soft">…</p>
      </>
    );
  const objects = [...state.objects.values()]
    .sort((a, b) => rank(a) - rank(b) || (a.name < b.name ? -1 : 1));
  const target = object?.target || 4;
  const partsOf = (node: string): number | null => {
    if (!map) return null;
    if (node === self) return map.parts.filter((part) => part.held_here).length;
    const index = map.nodes.indexOf(node);
    return map.parts.filter((part) => part.holders.includes(index)).length;
  };
  return (
    <>
      <h1>Swarm</h1>
      <p class="soft">
        Keys and nodes share one ring. A part of a file is kept by nodes near its key, so everybody
        can compute where to look.
      </p>
      <div class="tools">
        <label>
          Show where this is{" "}
          <select value={root} onChange={(event) => setRoot(event.currentTarget.value)}>
            <option value="">nothing: nodes alone</option>
            {objects.slice(0, CHOICES).map((entry) => (
              <option key={entry.root} value={entry.root}>
                {entry.name || entry.root.slice(0, 12)}
              </option>
            ))}
            {objects.length > CHOICES && (
              <option disabled>and {(objects.length - CHOICES).toLocaleString("en")} more</option>
            )}
          </select>
        </label>
        <span class="soft" role="status">
          {object && !map && !error && "Asking the holders…"}
          {map && map.parts.length < map.parts_total &&
            `${map.parts.length} of ${map.parts_total} parts are drawn`}
        </span>
      </div>
      <Problem text={error} />
      <div class="split">
        <figure>
          <Ring
            self={self}
            peers={state.peers}
            map={map}
            target={target}
            chosen={chosen}
            choose={choose}
          />
          <ul class="legend">
            <li><i class="swatch round accent-fill" /> this node</li>
            <li><i class="swatch round ink-fill" /> connected</li>
            {state.peers.some((peer) => !peer.storing) && (
              <li><i class="swatch round soft-fill" /> connected, keeps nothing</li>
            )}
            {map && <li><i class="swatch round hollow" /> holder, not connected</li>}
            {map && <li><i class="swatch good-fill" /> part with {target} copies or more</li>}
            {map && <li><i class="swatch low-fill" /> with fewer</li>}
            {map && <li><i class="swatch bad-fill" /> with none</li>}
          </ul>
        </figure>
        <div class="scroll" tabIndex={0} role="region" aria-label="Nodes">
          <table>
            <caption>Nodes</caption>
            <thead>
              <tr>
                <th scope="col">Node</th>
                <th scope="col" class="number">Place</th>
                <th scope="col">Address</th>
                <th scope="col" class="number">Parts of it</th>
              </tr>
            </thead>
            <tbody>
              {[
                { node: self, address: "this node" },
                ...state.peers,
                ...(map?.nodes ?? [])
                  .filter((node) => !state.peers.some((peer) => peer.node === node))
                  .map((node) => ({ node, address: "not connected" })),
              ]
                .sort((a, b) => (a.node < b.node ? -1 : 1))
                .map((entry) => (
                  <tr
                    key={entry.node}
                    class={chosen === entry.node ? "chosen" : ""}
                    onMouseEnter={() => choose(entry.node)}
                    onMouseLeave={() => choose(null)}
                  >
                    <td><code title={entry.node}>{short(entry.node)}</code></td>
                    <td class="number">{degrees(entry.node)}</td>
                    <td>{entry.address}</td>
                    <td class="number">{partsOf(entry.node) ?? UNKNOWN}</td>
                  </tr>
                ))}
            </tbody>
          </table>
        </div>
      </div>
      {map && <Parts map={map} target={target} />}
    </>
  );
}

function Parts(props: { map: ObjectMap; target: number }) {
  const { map } = props;
  return (
    <div class="scroll tall" tabIndex={0} role="region" aria-label="Parts and who keeps them">
      <table>
        <caption>Parts and who keeps them, by their own word</caption>
        <thead>
          <tr>
            <th scope="col">Part</th>
            <th scope="col" class="number">Place</th>
            <th scope="col" class="number">Size</th>
            <th scope="col" class="number">Copies</th>
            <th scope="col">Kept by</th>
          </tr>
        </thead>
        <tbody>
          {map.parts.map((part) => {
            const copies = part.holders.length + (part.held_here ? 1 : 0);
            return (
              <tr key={part.index}>
                <td>{part.index === 0 ? "description" : part.index}</td>
                <td class="number">{degrees(part.hash)}</td>
                <td class="number">{size(part.bytes)}</td>
                <td class={`number ${copies >= props.target ? "good" : copies > 0 ? "low" : "bad"}`}>
                  {copies}{part.coming > 0 && ` + ${part.coming} coming`}
                </td>
                <td>
                  <code>
                    {[...part.holders.map((i) => short(map.nodes[i] ?? "")),
                      ...(part.held_here ? ["here"] : [])].join(" ") || UNKNOWN}
                  </code>
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}
