// SPDX-License-Identifier: GPL-3.0-or-later
// One fetch or publication, from its first second to what came of it.

import type { ComponentChildren } from "preact";
import { call, sentence } from "../api";
import { count, duration, percent, rate, size, took, UNKNOWN } from "../format";
import { qrText } from "../links";
import { Bar, Problem, Qr, Takeaway, useAction } from "../parts/basics";
import { ExtentMap } from "../parts/extentmap";
import { Open } from "../parts/preview";
import { state, transferOf } from "../store";
import type { Job, Transfer } from "../types";

const STAGES: Record<string, string> = {
  joining: "Finding the swarm",
  hashing: "Reading and hashing",
  looking_up: "Looking for who has it",
  nobody_yet: "Nobody has it yet; is the link right?",
  connecting: "Connecting to those who have it",
  tree: "Getting its description",
  data: "Fetching",
  copies: "Others are taking copies",
  checking: "Asking who keeps it",
  verifying: "Reading it against its hashes",
  healing: "Getting what is damaged from others",
  paused: "Paused",
};

export function stageText(stage: string | undefined): string {
  return (stage && STAGES[stage]) || "Beginning";
}

function nowText(transfer: Transfer | undefined, stage: string | undefined): string {
  if (state.connection === "lost") return "No word from the node";
  if (transfer?.paused) return "Paused";
  if (stage === "nobody_yet" && state.peers.length === 0) return "No other node answers; trying again";
  return stageText(stage);
}

/** Whether it has a rate: neither is it paused, nor is what is shown long ago. */
function moves(transfer: Transfer | undefined): transfer is Transfer {
  return transfer !== undefined && !transfer.paused && state.connection !== "lost";
}

async function dismiss(job: Job): Promise<void> {
  await call("POST", `jobs/forget?id=${job.id}`);
  document.querySelector("main")?.focus(); // the button that had it goes
}

/** Why it is no faster, unless that goes without saying. */
function Why(props: { transfer: Transfer }) {
  const { transfer } = props;
  if (!transfer.why || !moves(transfer)) return null;
  return <p class="soft">{sentence(transfer.why)}</p>;
}

export function Controls(props: { transfer: Transfer }) {
  const { transfer } = props;
  const [run, error, isBusy] = useAction();
  if (state.connection === "lost") return null;
  const name = transfer.name || transfer.path.split("/").pop() || "this";
  const act = (action: string) =>
    run(() => call("POST", `transfers/${action}?id=${transfer.id}`));
  return (
    <>
      <div class="buttons">
        <button
          type="button"
          disabled={isBusy}
          aria-label={`${transfer.paused ? "Resume" : "Pause"} ${name}`}
          onClick={() => act(transfer.paused ? "resume" : "pause")}
        >
          {transfer.paused ? "Resume" : "Pause"}
        </button>
        <button
          type="button"
          disabled={isBusy}
          aria-label={`Cancel ${name}`}
          onClick={() => act("cancel")}
        >
          Cancel
        </button>
      </div>
      <Problem text={error} />
    </>
  );
}

/** 1·2·3·4: how many copies there are of those that are wanted. */
export function CopySteps(props: { copies: number; target: number }) {
  const { copies, target } = props;
  return (
    <span class="steps" role="img" aria-label={`${copies} of ${target} copies`}>
      {Array.from({ length: target }, (_, i) => (
        <i key={i} class={i < copies ? "there" : ""}>{i + 1}</i>
      ))}
    </span>
  );
}

function Head(props: { name: string; children?: ComponentChildren }) {
  return (
    <header>
      <h2 title={props.name}>{props.name || "No name"}</h2>
      {/* What stage it is in is read out when that changes; numbers are not. */}
      <div role="status">{props.children}</div>
    </header>
  );
}

export function FetchCard(props: { job: Job; again: (link: string) => void }) {
  const { job } = props;
  const transfer = transferOf(job);
  const [run, error] = useAction();
  const forget = () => run(() => dismiss(job));
  const result = job.result;
  if (job.state === "done" && result) {
    return (
      <article class="card" data-state="done">
        <Head name={job.name}><span class="good">Here, every byte verified</span></Head>
        <dl class="facts">
          <div class="fact"><dt>Size</dt><dd>{size(result.bytes)}</dd></div>
          <div class="fact"><dt>Took</dt><dd>{took(result.elapsed_ms)}</dd></div>
          <div class="fact"><dt>Holders that served</dt><dd>{result.holders ?? UNKNOWN}</dd></div>
        </dl>
        <p>It is at <code class="path">{result.path}</code></p>
        {job.link.includes("#k=") && (
          <p class="soft">It is private: a browser is not told its key, so it is opened from there.</p>
        )}
        <div class="buttons">
          <Open link={job.link} name={job.name} kind={result.kind} />
          <button type="button" onClick={forget}>Dismiss</button>
        </div>
        <Problem text={error} />
      </article>
    );
  }
  if (job.state === "failed" && result) {
    const isHere = result.code === "exists_already";
    return (
      <article class="card" data-state="failed">
        <Head name={job.name}>
          <span class={isHere ? "good" : "bad"}>{isHere ? "Fetched before" : "Not fetched"}</span>
        </Head>
        <p>{explain(result.code, result.message)}</p>
        {isHere && <p>It is at <code class="path">{job.path}</code></p>}
        <div class="buttons">
          {isHere && <Open link={job.link} name={job.name} kind={undefined} />}
          {!isHere && (
            <button
              type="button"
              onClick={() => props.again(job.link)}
            >
              Try again
            </button>
          )}
          <button type="button" onClick={forget}>Dismiss</button>
        </div>
        <Problem text={error} />
      </article>
    );
  }
  if (job.state === "paused")
    return (
      <article class="card" data-state="paused">
        <Head name={job.name}><span>Paused</span></Head>
        <p>It was paused when the node stopped. What came is kept.</p>
        <div class="buttons">
          <button type="button" onClick={() => props.again(job.link)}>Resume</button>
          <button type="button" onClick={forget}>Dismiss</button>
        </div>
        <Problem text={error} />
      </article>
    );
  const stage = transfer?.stage ?? job.progress?.stage;
  const done = transfer?.done_bytes ?? 0;
  const total = transfer?.total_bytes ?? 0;
  return (
    <article class="card" data-state={transfer?.paused ? "paused" : "running"}>
      <Head name={job.name}>
        <span>{nowText(transfer, stage)}</span>
      </Head>
      <Bar label={`Fetching ${job.name}`} done={done} total={total} />
      <dl class="facts">
        <div class="fact">
          <dt>Done</dt><dd>{percent(done, total)}<small>of {total ? size(total) : UNKNOWN}</small></dd>
        </div>
        <div class="fact"><dt>Rate</dt><dd>{moves(transfer) ? rate(transfer.rate) : UNKNOWN}</dd></div>
        <div class="fact">
          <dt>Time left</dt>
          <dd>{moves(transfer) ? duration(transfer.eta_ms) : UNKNOWN}</dd>
        </div>
        {transfer && transfer.own_bytes > 0 && (
          <div class="fact"><dt>From this node</dt><dd>{size(transfer.own_bytes)}<small>kept here already</small></dd></div>
        )}
        <div class="fact">
          <dt>Holders</dt><dd>{transfer?.holders.length ?? job.progress?.holders ?? UNKNOWN}</dd>
        </div>
      </dl>
      {transfer && <ExtentMap transfer={transfer} />}
      {transfer && <Why transfer={transfer} />}
      {transfer && <Controls transfer={transfer} />}
    </article>
  );
}

/** What went wrong and what to do next. */
function explain(code: string | undefined, message: string | undefined): string {
  switch (code) {
    case "no_network":
      return "No other node answers. This node must join a swarm first: see Overview.";
    case "interrupted":
      return "It was cancelled. What came is kept, and trying again goes on from there.";
    case "exists_already":
      return "What this link names is on this machine already.";
    default:
      return sentence(message);
  }
}

function unpublished(code: string | undefined, message: string | undefined): string {
  if (code !== "interrupted") return sentence(message);
  // The node takes back what it has given to others, unless it was published before.
  return message?.startsWith("stopped with")
    ? "It was published before, or elsewhere on this node, and stays so: see Files."
    : `${sentence(message)} Choose the file again to publish it.`;
}

export function PublishCard(props: { job: Job }) {
  const { job } = props;
  const transfer = transferOf(job);
  const [run, error] = useAction();
  const forget = () => run(() => dismiss(job));
  const result = job.result;
  if (job.state === "done" && result?.link) {
    const target = result.target ?? 0;
    const copies = state.objects.get(result.root ?? "")?.copies_min ?? result.copies?.min ?? 0;
    const mayLeave = copies >= target;
    return (
      <article class="card" data-state="done">
        <Head name={job.name}>
          <span class={mayLeave ? "good" : "low"}>Published</span>
        </Head>
        <p>
          <CopySteps copies={Math.min(copies, target)} target={target} />{" "}
          {mayLeave
            ? `${count(copies, "copy", "copies")} on other nodes: you may leave now.`
            : `${copies} of ${target} copies. ${result.shortfall ? sentence(result.shortfall) : ""}
               The rest is made when more nodes join; keep this node running until then.`}
        </p>
        <div class="share">
          <Qr text={qrText(result.link)} label={`QR code of the link to ${job.name}`} />
          <div>
            <Takeaway text={result.link} label="Copy link" what={`Link to ${job.name}`} />
            <p class="soft">
              {result.link.includes("#k=")
                ? "Whoever has all of this link can read it; the nodes that keep the copies cannot. Keep it: its key is nowhere else."
                : "Whoever has this link can read it; so can the nodes that keep the copies."}
            </p>
            <div class="buttons">
              <Open link={result.link} name={job.name} kind={undefined} />
              <button type="button" onClick={forget}>Dismiss</button>
            </div>
          </div>
        </div>
        <Problem text={error} />
      </article>
    );
  }
  if (job.state === "failed")
    return (
      <article class="card" data-state="failed">
        <Head name={job.name}>
          {job.result?.code === "interrupted"
            ? <span class="low">Cancelled</span>
            : <span class="bad">Not published</span>}
        </Head>
        <p>{unpublished(job.result?.code, job.result?.message)}</p>
        <div class="buttons"><button type="button" onClick={forget}>Dismiss</button></div>
        <Problem text={error} />
      </article>
    );
  const stage = transfer?.stage ?? job.progress?.stage;
  const target = transfer?.copies?.target ?? job.progress?.copies_target ?? 0;
  const copies = transfer?.copies?.min ?? job.progress?.copies_min ?? 0;
  return (
    <article class="card" data-state={transfer?.paused ? "paused" : "running"}>
      <Head name={job.name}>
        <span>{nowText(transfer, stage)}</span>
      </Head>
      <Bar
        label={`Publishing ${job.name}`}
        done={transfer?.done_bytes ?? 0}
        total={transfer?.total_bytes ?? 0}
      />
      <Stages now={stage === "hashing" || stage === undefined ? 1 : 2} />
      {target > 0 && (
        <p><CopySteps copies={copies} target={target} /> {copies} of {target} copies</p>
      )}
      {transfer?.stage === "copies" && <CopyFacts transfer={transfer} />}
      {transfer && <Why transfer={transfer} />}
      {transfer && <Controls transfer={transfer} />}
    </article>
  );
}

/** How far the copies are: each part of what is published counts as often as it is to be there. */
function CopyFacts(props: { transfer: Transfer }) {
  const { transfer } = props;
  const sent = transfer.holders.reduce((sum, holder) => sum + holder.bytes, 0);
  return (
    <dl class="facts">
      <div class="fact">
        <dt>Copies made</dt><dd>{percent(transfer.done_bytes, transfer.total_bytes)}</dd>
      </div>
      <div class="fact">
        <dt>Sent from here</dt><dd>{size(sent)}<small>the others send each other, too</small></dd>
      </div>
      <div class="fact"><dt>Rate</dt><dd>{moves(transfer) ? rate(transfer.rate) : UNKNOWN}</dd></div>
      <div class="fact">
        <dt>Time left</dt><dd>{moves(transfer) ? duration(transfer.eta_ms) : UNKNOWN}</dd>
      </div>
    </dl>
  );
}

/** Where a publication is: 0 sent from the browser, 1 hashed, 2 copied. */
export function Stages(props: { now: number }) {
  return (
    <ol class="stages" aria-label="Stages">
      {["Bring it here", "Hash", "Copies on other nodes"].map((name, i) => (
        <li
          key={name}
          class={i < props.now ? "past" : ""}
          aria-current={i === props.now ? "step" : undefined}
        >
          {name}
        </li>
      ))}
    </ol>
  );
}

/** What somebody else began: a command, a player at the gateway. */
export function TransferCard(props: { transfer: Transfer }) {
  const { transfer } = props;
  const what = { fetch: "Fetching", stream: "Streaming", publish: "Publishing" }[transfer.kind];
  const name = transfer.name || transfer.path.split("/").pop() || rootName(transfer);
  return (
    <article class="card">
      <Head name={name}><span>{nowText(transfer, transfer.stage)}</span></Head>
      <Bar label={`${what} ${name}`} done={transfer.done_bytes} total={transfer.total_bytes} />
      <p class="soft">
        {what}: {percent(transfer.done_bytes, transfer.total_bytes)} of{" "}
        {transfer.stage === "copies" && "the copies"}
        {transfer.stage !== "copies" && (transfer.total_bytes ? size(transfer.total_bytes) : UNKNOWN)}
        {moves(transfer) && `, ${rate(transfer.rate)}`}
        {transfer.own_bytes > 0 && `, ${size(transfer.own_bytes)} were kept here already`}
      </p>
      <ExtentMap transfer={transfer} />
      <Why transfer={transfer} />
      <Controls transfer={transfer} />
    </article>
  );
}

function rootName(transfer: Transfer): string {
  if (!transfer.root) return "No name";
  return state.objects.get(transfer.root)?.name || `${transfer.root.slice(0, 12)}…`;
}
