// SPDX-License-Identifier: GPL-3.0-or-later

import { sentence } from "../api";
import { count, duration, percent, rate, short, size, UNKNOWN } from "../format";
import { Bar, Card, Fact, Takeaway } from "../parts/basics";
import { type State, useStore } from "../store";
import type { Status } from "../types";
import { stageText, TransferCard } from "./transfer";

export function Overview() {
  const state = useStore();
  const { status } = state;
  if (!status)
    return (
      <>
        <h1>Overview</h1>
        <p class="soft">
          {state.connection === "refused"
            ? "This page has no right to ask the node. Open it on the machine where the node runs, or with #token=… from the node's file web.token."
            : "Asking the node…"}
        </p>
      </>
    );
  const isAlone = status.peers === 0 && status.dht.nodes === 0;
  return (
    <>
      <h1>Overview</h1>
      {isAlone && <FirstRun status={status} />}
      <p class="lead">{summary(state, status)}</p>
      <Figures state={state} status={status} />
      <UnderWay state={state} />
      {!isAlone && <Invite status={status} />}
    </>
  );
}

function summary(state: State, status: Status): string {
  const low = status.repair.under_target_extents;
  const published = [...state.objects.values()]
    .filter((object) => object.published && !object.expired);
  const unsafe = published.filter((object) => (object.copies_min ?? 0) < object.target).length;
  if (status.peers === 0)
    return status.dht.nodes > 0
      ? "Other nodes are known and none is connected at the moment; that changes when there is something to do."
      : "No other node is connected.";
  const parts = [`Connected to ${count(status.peers, "node")}.`];
  if (published.length > 0)
    parts.push(unsafe === 0
      ? `Everything published here has its copies elsewhere: this machine may be switched off.`
      : `${count(unsafe, "published file")} ${unsafe === 1 ? "has" : "have"} too few copies: leave this node running.`);
  if (low > 0) parts.push(`${count(low, "part")} kept here ${low === 1 ? "has" : "have"} too few copies; they are being made again.`);
  return parts.join(" ");
}

function Figures(props: { state: State; status: Status }) {
  const { status } = props;
  const { storage, repair, traffic } = status;
  const last = props.state.history.at(-1);
  return (
    <dl class="facts">
      <Fact
        name="Storage"
        value={size(storage.used_bytes)}
        note={
          <>
            of {size(storage.capacity_bytes)}, {percent(storage.used_bytes, storage.capacity_bytes)}
            <Bar
              label="Storage used"
              done={storage.used_bytes}
              total={storage.capacity_bytes}
              tone={storage.used_bytes > 0.9 * storage.capacity_bytes ? "low" : undefined}
            />
          </>
        }
      />
      <Fact
        name="Connected nodes"
        value={status.peers}
        note={`${count(status.dht.nodes, "node")} in the DHT's table`}
      />
      <Fact
        name="Sending"
        value={rate(last?.up)}
        note={`${size(traffic.up_bytes)} so far${traffic.up_limit ? `, at most ${rate(traffic.up_limit)}` : ""}`}
      />
      <Fact
        name="Receiving"
        value={rate(last?.down)}
        note={`${size(traffic.down_bytes)} so far${traffic.down_limit ? `, at most ${rate(traffic.down_limit)}` : ""}`}
      />
      <Fact
        name="Too few copies"
        value={<span class={repair.under_target_extents > 0 ? "low" : ""}>{count(repair.under_target_extents, "part")}</span>}
        note={`${count(repair.in_flight, "copy", "copies")} being made, ${size(repair.bytes_total)} made so far`}
      />
      <Fact
        name="Files"
        value={storage.objects.toLocaleString("en")}
        note={status.storing ? `${count(storage.extents, "part")} kept here` : "this node keeps nothing for others"}
      />
      <Fact
        name="Running for"
        value={duration(status.uptime_ms)}
        note={`version ${status.version}, node ${short(status.node)}`}
      />
    </dl>
  );
}

function UnderWay(props: { state: State }) {
  const { transfers, jobs } = props.state;
  const running = jobs.filter((job) => job.state === "running");
  const ours = new Set(running.map((job) => `${job.kind} ${job.path}`));
  const others = transfers.filter((transfer) => !ours.has(`${transfer.kind} ${transfer.path}`));
  if (running.length + others.length === 0) return null;
  return (
    <section aria-labelledby="under-way">
      <h2 id="under-way">Under way</h2>
      {running.map((job) => (
        <p key={job.id}>
          <a href={job.kind === "publish" ? "#/publish" : "#/fetch"}>{job.name || "No name"}</a>{" "}
          <span class="soft">{stageText(job.progress?.stage)}</span>
        </p>
      ))}
      {others.map((transfer) => <TransferCard key={transfer.id} transfer={transfer} />)}
    </section>
  );
}

function command(status: Status): string | null {
  const address = status.addresses[0];
  return address ? `flow29 node --bootstrap ${address}` : null;
}

function Invite(props: { status: Status }) {
  const text = command(props.status);
  return (
    <Card
      title="Invite another machine"
      note="Run this there. It must be able to reach this one on that port, TCP and UDP."
    >
      {text
        ? <Takeaway text={text} label="Copy" what="Command for the other machine" />
        : <p>This node does not know its own address yet: {UNKNOWN}</p>}
    </Card>
  );
}

function FirstRun(props: { status: Status }) {
  const text = command(props.status);
  return (
    <section class="card first">
      <h2>This node is alone</h2>
      {props.status.problem && <p class="bad" role="alert">{sentence(props.status.problem)}</p>}
      <p>
        29 Flow keeps every file on at least four other machines. There is none yet, so first bring
        some together:
      </p>
      <ol>
        <li>
          <strong>Join others.</strong> Stop this node and start it with the address of any node of
          their swarm. It remembers them, so once is enough.
          <Takeaway
            text="flow29 node --bootstrap HOST:2929"
            label="Copy"
            what="Command that joins a swarm"
          />
        </li>
        <li>
          <strong>Or invite others.</strong> They run this on their machines, which must reach this
          one on that port, TCP and UDP.
          {text
            ? <Takeaway text={text} label="Copy" what="Command for other machines" />
            : <p class="soft">This node does not know its own address yet.</p>}
        </li>
        <li>
          <strong>Then <a href="#/publish">publish</a> a file</strong>, or{" "}
          <a href="#/fetch">fetch</a> what a link names. This page shows the others as they come.
        </li>
      </ol>
    </section>
  );
}
