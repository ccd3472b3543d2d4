// SPDX-License-Identifier: GPL-3.0-or-later

import { useEffect, useState } from "preact/hooks";
import { call, query, sentence } from "../api";
import { count, duration, percent, rate, short, size } from "../format";
import { Bar, Card, Fact, Problem, Takeaway, useAction } from "../parts/basics";
import { type State, useStore } from "../store";
import type { Invitation, Status } from "../types";
import { reachText } from "./network";
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
      {isAlone && <Alone status={status} />}
      <p class="lead">{summary(state, status)}</p>
      {!isAlone && status.problem && <p class="bad" role="alert">{sentence(status.problem)}</p>}
      <Figures state={state} status={status} />
      <UnderWay state={state} />
      {!isAlone && <Invite />}
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
      ? "No other node is connected at the moment; those that are known are tried again and again."
      : "No other node is connected.";
  const parts = [`Connected to ${count(status.peers, "node")}.`];
  if (published.length > 0)
    parts.push(unsafe === 0
      ? `Everything published here has its copies elsewhere: this machine may be switched off.`
      : `${count(unsafe, "published file")} ${unsafe === 1 ? "has" : "have"} too few copies, as far as is known here: leave this node running.`);
  if (low > 0)
    parts.push(`${unsafe > 0 ? "In all, " : ""}${count(low, "part")} of what this node looks after ${low === 1 ? "has" : "have"} too few copies; ${
      status.repair.in_flight > 0
        ? "more are being made."
        : "more are made once the missing holders have been away for a while and others can take them."}`);
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
            {storage.disk_left_bytes !== null &&
              storage.used_bytes + storage.disk_left_bytes < storage.capacity_bytes &&
              `The disk has ${size(storage.disk_left_bytes)} left.`}
          </>
        }
      />
      <Fact
        name="Connected nodes"
        value={status.peers}
        note={
          <>
            {`${count(status.dht.nodes, "node")} in the DHT's table; `}
            <a href="#/network">{reachText(status)}</a>
          </>
        }
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
        name="Copies to be made"
        value={<span class={repair.under_target_extents > 0 ? "low" : ""}>{count(repair.under_target_extents, "part")}</span>}
        note={`${count(repair.in_flight, "copy", "copies")} being made, ${size(repair.bytes_total)} made so far. Holders that are away are waited for first.`}
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

const WHERE = { publish: "#/publish", fetch: "#/fetch", verify: "#/files" };

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
          <a href={WHERE[job.kind]}>{job.name || "No name"}</a>{" "}
          <span class="soft">{stageText(job.progress?.stage)}</span>
        </p>
      ))}
      {others.map((transfer) => <TransferCard key={transfer.id} transfer={transfer} />)}
    </section>
  );
}

/** The word that brings another machine into this swarm, asked for once. */
function useInvitation(): { invitation: Invitation | null; problem: string } {
  const [invitation, setInvitation] = useState<Invitation | null>(null);
  const [problem, setProblem] = useState("");
  useEffect(() => {
    call<Invitation>("GET", "invite").then(setInvitation, (error: Error) => setProblem(error.message));
  }, []);
  return { invitation, problem };
}

/** What the other machine runs, once it has 29 Flow. */
function InviteCommands() {
  const { invitation, problem } = useInvitation();
  if (problem) return <p class="soft">{problem}</p>;
  if (!invitation) return <p class="soft">…</p>;
  return (
    <>
      <Takeaway
        text={`flow29 join ${invitation.invite}`}
        label="Copy"
        what="Command for the other machine"
      />
      <p class="soft">
        Then <code>flow29 node</code>, if none runs there. It must be able to reach{" "}
        {invitation.addresses.join(" or ")}, TCP and UDP.
      </p>
      {invitation.private && (
        <p class="low">This swarm is private and whoever has this word is in: keep it like a password.</p>
      )}
    </>
  );
}

function Invite() {
  return (
    <Card title="Invite another machine" note="Run this there.">
      <InviteCommands />
    </Card>
  );
}

function Join() {
  const [word, setWord] = useState("");
  const [said, say] = useState("");
  const [run, error, isBusy] = useAction();
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        say("");
        run(async () => {
          const joined = await call<{ addresses: string[]; reached: number }>(
            "POST", `join${query({ invite: word.trim().replace(/^flow29 join\s+/, "") })}`);
          setWord("");
          say(`${joined.reached} of ${count(joined.addresses.length, "address", "addresses")} answered${
            joined.reached === 0 ? "; this node keeps trying." : "."}`);
        });
      }}
    >
      <div class="takeaway">
        <input
          value={word}
          placeholder="flow29i:…"
          aria-label="Invitation"
          autocomplete="off"
          spellcheck={false}
          onInput={(event) => setWord(event.currentTarget.value)}
        />
        <button type="submit" class="primary" disabled={isBusy || word.trim() === ""}>Join</button>
      </div>
      <p class="soft" role="status">{said}</p>
      <Problem text={error} />
    </form>
  );
}

function Alone(props: { status: Status }) {
  const { problem, storage } = props.status;
  const isNew = storage.objects === 0;
  return (
    <section class="card first">
      <h2>{isNew ? "This node is alone" : "No other node answers"}</h2>
      {problem && <p class="bad" role="alert">{sentence(problem)}</p>}
      <p>
        {isNew
          ? "29 Flow keeps every file on at least four other machines. There is none yet, so first bring some together:"
          : "What is here stays here, and those that this node knows are tried again and again. If they do not come back, there are other ways into a swarm:"}
      </p>
      <ol>
        <li>
          <strong>Join others.</strong> Paste the invitation that one of them made with{" "}
          <code>flow29 invite</code>. This node remembers it, so once is enough.
          <Join />
        </li>
        <li>
          <strong>Or invite others.</strong> They run this on their machines:
          <InviteCommands />
        </li>
        <li>
          <strong>Then <a href="#/publish">publish</a> a file</strong>, or{" "}
          <a href="#/fetch">fetch</a> what a link names. This page shows the others as they come.
        </li>
      </ol>
    </section>
  );
}
