// SPDX-License-Identifier: GPL-3.0-or-later

import { useState } from "preact/hooks";
import { call, query } from "../api";
import { count, duration, rate, short, size, UNKNOWN } from "../format";
import { Card, Problem, useAction } from "../parts/basics";
import { Chart } from "../parts/chart";
import { type State, useStore } from "../store";
import type { Status } from "../types";

const MIB = 1 << 20;

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
            { label: "parts with too few copies", colour: "low" },
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
      {status && <Limits status={status} />}
      <Peers state={state} />
    </>
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
                min={0}
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
    <Card title="Connected nodes" note={status ? count(peers.length, "node") : UNKNOWN}>
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
                <th scope="col" class="number">Parts it keeps</th>
              </tr>
            </thead>
            <tbody>
              {peers.map((peer) => (
                <tr key={peer.node}>
                  <td><code title={peer.node}>{short(peer.node)}</code></td>
                  <td>{peer.address}</td>
                  <td class="number">{peer.rtt_ms > 0 ? `${peer.rtt_ms} ms` : UNKNOWN}</td>
                  <td class="number">{size(peer.up_bytes)}</td>
                  <td class="number">{size(peer.down_bytes)}</td>
                  <td class="number">{rate(peer.rate)}</td>
                  <td class="number">{peer.storing ? peer.holds_extents : UNKNOWN}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </Card>
  );
}
