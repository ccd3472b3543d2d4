// SPDX-License-Identifier: GPL-3.0-or-later

import { useState } from "preact/hooks";
import { call, query, sentence } from "../api";
import { count, duration, rate, short, size, UNKNOWN } from "../format";
import { Card, Fact, Problem, useAction } from "../parts/basics";
import { Chart } from "../parts/chart";
import { type State, useStore } from "../store";
import type { Conduct, Status } from "../types";

const MIB = 1 << 20;
// With less a node cannot keep up its connections; 0 would stop it.
const SLOWEST_MIB = { up: 0.008, down: 0.008, repair: 0.001 };

export function Network() {
  const state = useStore();
  const { history, status } = state;
  const times = history.map((sample) => sample.at);
  const first = history[0];
  return (
    <>
      <h1>Network</h1>
      <p class="soft">
        {first
          ? `The last ${duration(1000 * (Date.now() / 1000 - first.at))}, as seen while this page was open; an hour at most.`
          : "Graphs begin when the node answers."}
      </p>
      <div class="charts">
        <Chart
          title="Traffic"
          times={times}
          lines={[
            { label: "sent", colour: "accent" },
            { label: "received", colour: "good" },
            { label: "DHT, both ways", colour: "low", dash: [4, 3] },
          ]}
          values={[
            history.map((sample) => sample.up),
            history.map((sample) => sample.down),
            history.map((sample) => sample.dht),
          ]}
          show={rate}
        />
        <Chart
          title="Connected nodes"
          times={times}
          lines={[{ label: "nodes", colour: "accent" }]}
          values={[history.map((sample) => sample.peers)]}
          show={(value) => (value === null ? UNKNOWN : String(value))}
          whole
        />
        <Chart
          title="Repair"
          times={times}
          lines={[
            { label: "parts to be copied again", colour: "low" },
            { label: "copies being made", colour: "accent" },
          ]}
          values={[
            history.map((sample) => sample.underTarget),
            history.map((sample) => sample.inFlight),
          ]}
          show={(value) => (value === null ? UNKNOWN : String(value))}
          whole
        />
        <Chart
          title="Copies made again here"
          times={times}
          lines={[{ label: "taken in", colour: "accent" }]}
          values={[history.map((sample) => sample.repaired)]}
          show={rate}
        />
      </div>
      {status && <Reach status={status} />}
      {status && <Limits status={status} />}
      <Peers state={state} />
      <Dropped nodes={state.dropped} />
    </>
  );
}

/** Whether nobody outside this machine could have dialled the node. */
function isLocal(status: Status): boolean {
  return status.addresses.length > 0 &&
    status.addresses.every((address) => /^(127\.|\[::1\])/.test(address));
}

export function reachText(status: Status): string {
  if (isLocal(status)) return "other nodes of this machine reach it, and no others";
  if (status.reach === "reachable") return "others reach this node";
  if (status.reach === "unreachable") return "others cannot reach this node";
  return "nobody has dialled this node yet";
}

function Outside(props: { status: Status }) {
  if (isLocal(props.status)) return <span class="soft">Not reachable</span>;
  if (props.status.reach === "reachable") return <span class="good">Reachable</span>;
  if (props.status.reach === "unreachable") return <span class="bad">Not reachable</span>;
  return <span class="soft">Not known yet</span>;
}

const MAPPED: Record<string, string> = { natpmp: "NAT-PMP", pcp: "PCP", upnp: "UPnP" };

/** Whether others can dial this node, and where. */
function Reach(props: { status: Status }) {
  const { port_mapping: mapping, addresses, listening, port, clock_skew_ms: skew } = props.status;
  return (
    <Card title="Reach" note="Whether other nodes can dial this one, as far as it has seen.">
      <dl class="facts">
        <Fact
          name="From outside"
          value={<Outside status={props.status} />}
          note={reachText(props.status)}
        />
        <Fact
          name="Port mapping"
          value={mapping.method ? MAPPED[mapping.method] ?? mapping.method : "None"}
          note={mapping.method
            ? `${mapping.external} at the router`
            : mapping.problem ? sentence(mapping.problem) : "not asked for"}
        />
        <Fact name="Port" value={port} note={`TCP and UDP, at ${listening.join(" and ")}`} />
        <Fact
          name="Clock"
          value={Math.abs(skew) < 1000 ? "Right" : `${duration(Math.abs(skew))} ${skew > 0 ? "behind" : "ahead"}`}
          note="as the others see it"
        />
      </dl>
      {addresses.length > 0
        ? <p>Others are told {addresses.map((address, i) => (
            <span key={address}>{i > 0 && ", "}<code class="path">{address}</code></span>))}</p>
        : <p class="low">This node knows no address under which others could reach it.</p>}
    </Card>
  );
}

function Limits(props: { status: Status }) {
  const { traffic, repair } = props.status;
  const inForce = { up: traffic.up_limit, down: traffic.down_limit, repair: repair.limit };
  const [edited, setEdited] = useState<Partial<Record<keyof typeof inForce, string>>>({});
  const [said, say] = useState("");
  const [run, error, isBusy] = useAction();
  const names = { up: "Sending", down: "Receiving", repair: "Repair: copies made here" };
  const shown = (limit: number | null) => (limit === null ? "" : String(+(limit / MIB).toFixed(3)));
  const bytes = (text: string) => Math.round(Number(text || 0) * MIB);
  return (
    <Card title="Limits" note="For everything this node sends and receives. Empty is no limit.">
      <form
        class="limits"
        onSubmit={(event) => {
          event.preventDefault();
          say("");
          run(async () => {
            const changes = Object.fromEntries(
              Object.entries(edited).map(([name, text]) => [name, bytes(text)]));
            await call("POST", `limit${query(changes)}`);
            setEdited({});
            say("In force now, and after a restart.");
          });
        }}
      >
        {(Object.keys(names) as (keyof typeof names)[]).map((name) => (
          <label key={name}>
            {names[name]}
            <span class="unit">
              <input
                type="number"
                min={SLOWEST_MIB[name]}
                step="any"
                inputMode="decimal"
                value={edited[name] ?? shown(inForce[name])}
                onInput={(event) => {
                  say("");
                  setEdited({ ...edited, [name]: event.currentTarget.value });
                }}
              />{" "}
              MiB/s
            </span>
          </label>
        ))}
        <button type="submit" disabled={isBusy || Object.keys(edited).length === 0}>
          Set limits
        </button>
      </form>
      <p class="good" role="status">{said}</p>
      <Problem text={error} />
    </Card>
  );
}

function Peers(props: { state: State }) {
  const { peers, status } = props.state;
  return (
    <Card
      title="Connected nodes"
      note={status
        ? `${count(peers.length, "node")}. The score is how much of what was lately asked of a node came.`
        : UNKNOWN}
    >
      {peers.length > 0 && (
        <div class="scroll tall" tabIndex={0} role="region" aria-label="Connected nodes">
          <table>
            <thead>
              <tr>
                <th scope="col">Node</th>
                <th scope="col">Address</th>
                <th scope="col" class="number">Round trip</th>
                <th scope="col" class="number">Sent</th>
                <th scope="col" class="number">Received</th>
                <th scope="col" class="number">Rate</th>
                <th scope="col" class="number">Parts known of it</th>
                <th scope="col" class="number">Score</th>
                <th scope="col">Strikes</th>
              </tr>
            </thead>
            <tbody>
              {peers.map((peer) => (
                <tr key={peer.node}>
                  <td><code title={peer.node}>{short(peer.node)}</code></td>
                  <td>{peer.address}</td>
                  <td class="number">{peer.rtt_ms > 0 ? `${Number(peer.rtt_ms.toPrecision(2))} ms` : UNKNOWN}</td>
                  <td class="number">{size(peer.up_bytes)}</td>
                  <td class="number">{size(peer.down_bytes)}</td>
                  <td class="number">{rate(peer.rate)}</td>
                  <td class="number">{peer.storing ? peer.holds_extents : UNKNOWN}</td>
                  <td class="number">{peer.score} %</td>
                  <td class={`why ${peer.strikes > 0 ? "low" : "soft"}`}>{strikes(peer)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </Card>
  );
}

function strikes(node: Conduct): string {
  return node.strikes === 0 ? "none" : `${node.strikes}: ${node.reason}`;
}

/** Those that are not talked to now for what they did. */
function Dropped(props: { nodes: Conduct[] }) {
  const { nodes } = props;
  if (nodes.length === 0) return null;
  return (
    <Card
      title="Dropped nodes"
      note="Nodes whose connection was ended because they broke a rule or sent what is wrong."
    >
      <div class="scroll tall" tabIndex={0} role="region" aria-label="Dropped nodes">
        <table>
          <thead>
            <tr>
              <th scope="col">Node</th>
              <th scope="col">Address</th>
              <th scope="col" class="number">Strikes</th>
              <th scope="col" class="number">Times dropped</th>
              <th scope="col" class="number">Score</th>
              <th scope="col">From now on</th>
              <th scope="col">Why</th>
            </tr>
          </thead>
          <tbody>
            {nodes.map((node) => (
              <tr key={node.node}>
                <td><code title={node.node}>{short(node.node)}</code></td>
                <td>{node.address || UNKNOWN}</td>
                <td class="number">{node.strikes}</td>
                <td class="number">{node.disconnects}</td>
                <td class="number">{node.score} %</td>
                <td class={node.banned ? "bad" : "soft"}>
                  {node.banned ? "not talked to in this run" : "may come back"}
                </td>
                <td class="why">{node.reason || UNKNOWN}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Card>
  );
}
