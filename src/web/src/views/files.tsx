// SPDX-License-Identifier: GPL-3.0-or-later

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { call, query, sentence } from "../api";
import { count, date, duration, size, UNKNOWN } from "../format";
import { Bar, Confirm, Fact, Problem, Qr, SearchField, Takeaway, useAction } from "../parts/basics";
import { Open } from "../parts/preview";
import { Windowed } from "../parts/windowed";
import { state, useStore } from "../store";
import type { FlowObject, Health, Job, Withdrawal } from "../types";
import { qrText, rootOf } from "../links";
import { stageText } from "./transfer";

type Order = "name" | "bytes" | "copies";

function mayLeave(object: FlowObject): boolean {
  return object.published && object.target > 0 && (object.copies_min ?? 0) >= object.target;
}

function toneOf(object: FlowObject): "good" | "low" | "bad" | "soft" {
  const copies = object.copies_min;
  if (copies === null || object.expired) return "soft";
  if (copies >= object.target) return "good";
  return copies > 1 ? "low" : "bad";
}

function Copies(props: { object: FlowObject }) {
  const { object } = props;
  const copies = object.copies_min;
  if (object.expired) return <span class="soft">expired</span>;
  if (copies === null || object.target === 0) return <span class="soft">{UNKNOWN}</span>;
  const tone = toneOf(object);
  return (
    <span class={`copies ${tone}`}>
      <span class="number">{copies} of {object.target}</span>
      <span class="bar" aria-hidden="true">
        <span style={{ width: `${Math.min(100, (100 * copies) / object.target)}%` }} />
      </span>
    </span>
  );
}

/** Chunks with fewer copies than wanted, as far as is known here. */
function atRisk(object: FlowObject): number {
  return object.expired ? 0 : object.at_risk_chunks ?? 0;
}

function here(object: FlowObject): string {
  const held = object.extents_held >= object.extents
    ? "whole"
    : object.extents_held === 0 ? "nothing" : `${object.extents_held} of ${object.extents} parts`;
  return [held, object.published && "published", object.pinned && "pinned"]
    .filter(Boolean).join(", ");
}

export function Files() {
  const state = useStore();
  const [search, setSearch] = useState("");
  const [order, setOrder] = useState<Order>("name");
  const [openRoot, setOpenRoot] = useState<string | null>(null);
  const [said, say] = useState("");
  const rows = useMemo(() => {
    const wanted = search.trim().toLowerCase();
    const found = [...state.objects.values()].filter((object) =>
      wanted === "" || object.name.toLowerCase().includes(wanted) || object.link.includes(wanted));
    const byName = (a: FlowObject, b: FlowObject) =>
      a.name < b.name ? -1 : a.name > b.name ? 1 : a.root < b.root ? -1 : 1;
    const key = (object: FlowObject) => object.copies_min ?? Number.MAX_SAFE_INTEGER;
    return found.sort((a, b) =>
      (order === "bytes" ? b.bytes - a.bytes : order === "copies" ? key(a) - key(b) : 0)
      || byName(a, b));
  }, [state.objects, search, order]);
  const open = openRoot === null ? undefined : state.objects.get(openRoot);
  if (state.objects.size === 0)
    return (
      <>
        <h1>Files</h1>
        {said && <p class="soft" role="status">{said}</p>}
        <p class="soft">
          {state.areObjectsKnown
            ? <>This node publishes, keeps and serves nothing yet. <a href="#/publish">Publish</a> something,
                or <a href="#/fetch">fetch</a> what a link names; what was fetched on this page is there.</>
            : "…"}
        </p>
      </>
    );
  return (
    <>
      <h1>Files</h1>
      <div class="tools">
        <SearchField value={search} set={setSearch} />
        <label>
          Order by{" "}
          <select
            value={order}
            onChange={(event) => setOrder(event.currentTarget.value as Order)}
          >
            <option value="name">name</option>
            <option value="bytes">size</option>
            <option value="copies">fewest copies</option>
          </select>
        </label>
        <span class="soft" role="status">{count(rows.length, "file")}</span>
      </div>
      {said && <p class="soft" role="status">{said}</p>}
      <Windowed
        label="Files"
        kind="files"
        columns={["Name", "Size", "Copies", "Here"]}
        rows={rows}
        rowHeight={52}
        keyOf={(object) => object.root}
        draw={(object) => [
          <button type="button" class="plain" onClick={() => setOpenRoot(object.root)}>
            {object.name || <span class="soft">No name</span>}{object.kind === "directory" && "/"}
          </button>,
          <span class="number">{size(object.bytes)}</span>,
          <Copies object={object} />,
          <span class="soft">
            {here(object)}
            {mayLeave(object) && <span class="good"> · you may leave now</span>}
            {atRisk(object) > 0 && (
              <span class={toneOf(object)}> · {count(atRisk(object), "chunk")} at risk</span>
            )}
          </span>,
        ]}
      />
      {open && <Details key={open.root} object={open} say={say} close={() => setOpenRoot(null)} />}
    </>
  );
}

/** With the copies that were just proved, if they were. */
function counted(object: FlowObject, health: Health | null): FlowObject {
  if (!health) return object;
  return {
    ...object,
    copies_min: health.copies.min,
    at_risk_chunks: health.at_risk_chunks,
    target: health.target,
  };
}

function Upkeep(props: { object: FlowObject }) {
  const { object } = props;
  if (mayLeave(object))
    return <p class="good">As last known, enough other nodes keep it: you may leave now.</p>;
  if (object.expired)
    return <p class="soft">It has expired: nobody is asked to keep it any more.</p>;
  if (!object.published) return null;
  if (object.copies_min === null)
    return <p class="soft">How many copies others keep is not known here yet.</p>;
  return (
    <p class={toneOf(object)}>
      Fewer copies than wanted. Keep this node running until others have taken them.
    </p>
  );
}

/** How others get it. Without its key nobody reads what is private, and no node knows the key. */
function Share(props: { object: FlowObject }) {
  const { object } = props;
  if (object.kind === "private")
    return (
      <p class="soft">
        It is private: only its whole link opens it, with the key, which is not kept here. Publishing
        the same from this node again shows the same link.
      </p>
    );
  return (
    <div class="share">
      <Qr text={qrText(object.link)} label="QR code of the link" />
      <div><Takeaway text={object.link} label="Copy link" what="Link" /></div>
    </div>
  );
}

/** What was said to those who keep copies. */
function withdrawn(name: string, told: number, obeyed: number): string {
  if (told === 0) return `${name || "It"} is withdrawn; nobody was found who keeps it.`;
  const rest = obeyed < told ? " The others drop it when its time is over, or keep it as their own." : "";
  return `${name || "It"} is withdrawn: ${obeyed} of ${count(told, "holder")} obeyed.${rest}`;
}

function Details(props: { object: FlowObject; say: (text: string) => void; close: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [health, setHealth] = useState<Health | null>(null);
  const object = counted(props.object, health);
  const [run, error, isBusy] = useAction();
  useEffect(() => dialog.current?.showModal(), []);
  const link = query({ link: object.link });
  const ask = (method: "GET" | "POST", path: string) =>
    run(async () => setHealth(await call<Health>(method, `${path}${link}`)));
  const check = state.jobs.findLast((job) =>
    job.kind === "verify" && rootOf(job.link) === rootOf(object.link));
  const tone = toneOf(object);
  return (
    <dialog ref={dialog} onClose={props.close} aria-labelledby="details-name">
      <header>
        <h2 id="details-name">{object.name || "No name"}</h2>
        <button type="button" aria-label="Close" onClick={() => dialog.current?.close()}>✕</button>
      </header>
      <Upkeep object={object} />
      <dl class="facts">
        <Fact name="Size" value={size(object.bytes)} note={count(object.extents, "part")} />
        <Fact name="Copies" value={<Copies object={object} />} note={health ? "proved just now" : "as last known here"} />
        {atRisk(object) > 0 && (
          <Fact
            name="Chunks at risk"
            value={<span class={tone}>{atRisk(object).toLocaleString("en")}</span>}
            note="with fewer copies than wanted"
          />
        )}
        <Fact name="Here" value={here(object)} />
        <Fact
          name="Kept until"
          value={date(object.expires)}
          note={object.expired ? "over" : object.renewed ? "renewed by this node" : undefined}
        />
      </dl>
      <Share object={object} />
      <div class="buttons">
        {object.kind !== "private" && (
          <Open link={object.link} name={object.name} kind={object.kind} />
        )}
        <button type="button" disabled={isBusy} onClick={() => ask("GET", "health")}>
          {isBusy ? "Asking…" : "Count the copies now"}
        </button>
        <button
          type="button"
          disabled={isBusy || check?.state === "running"}
          onClick={() => run(() => call("POST", `verify${link}`))}
        >
          Verify what is here
        </button>
        <button
          type="button"
          disabled={isBusy}
          onClick={() => run(() => call("POST", `${object.pinned ? "unpin" : "pin"}${link}`))}
        >
          {object.pinned ? "Unpin" : "Pin: keep it here"}
        </button>
        {object.published && (
          <Confirm
            label="Remove"
            question="Others will drop their copies too."
            yes="Remove it"
            act={() => run(async () => {
              const told = await call<Withdrawal>("POST", `rm${link}`);
              props.say(withdrawn(object.name, told.holders_told, told.holders_obeyed));
              dialog.current?.close();
            })}
          />
        )}
      </div>
      <Problem text={error} />
      {check && <Check job={check} />}
      {health && <HealthFacts health={health} repair={() => ask("POST", "repair")} isBusy={isBusy} />}
    </dialog>
  );
}

/** What reading it against its hashes found. */
function Check(props: { job: Job }) {
  const { state, progress, result } = props.job;
  if (state === "running") {
    const done = progress?.done_bytes ?? 0;
    const total = progress?.total_bytes ?? 0;
    return (
      <section>
        <p role="status">{stageText(progress?.stage)}…</p>
        <Bar label="Verifying" done={done} total={total} />
      </section>
    );
  }
  if (state === "failed" || !result)
    return <p class="bad" role="alert">Not verified: {sentence(result?.message)}</p>;
  const damaged = (result.damaged_extents ?? 0) + (result.missing_extents ?? 0);
  const healed = result.healed_extents ?? 0;
  if (result.sound && damaged === 0)
    return (
      <p class="good" role="status">
        {(result.checked_extents ?? 0) > 0
          ? `Sound: ${size(result.checked_bytes)} read here, every byte as it should be.`
          : "Nothing of it is kept here, so there was nothing to read."}
      </p>
    );
  return (
    <div role="status">
      <p class={result.sound ? "low" : "bad"}>
        {`${count(damaged, "part")} damaged or missing of ${count(result.checked_extents ?? 0, "part")} read; `}
        {`${healed} came again from others${result.sound ? ": it is sound now." : "."}`}
      </p>
      {(result.complaints ?? []).length > 0 && (
        <ul>{result.complaints!.map((text) => <li key={text}>{sentence(text)}</li>)}</ul>
      )}
    </div>
  );
}

function HealthFacts(props: { health: Health; repair: () => void; isBusy: boolean }) {
  const { health } = props;
  const facts = useRef<HTMLElement>(null);
  useEffect(() => facts.current?.scrollIntoView({ block: "nearest" }), [health]);
  const isLow = health.copies.min < health.target;
  if (health.upkeep === "expired" || health.upkeep === "withdrawn")
    return (
      <p class="soft" aria-live="polite">
        {`It is ${health.upkeep}: nobody is asked to keep it any more.`}
      </p>
    );
  return (
    <section aria-live="polite" ref={facts}>
      <p class={isLow ? "low" : "good"}>
        {isLow
          ? `${health.copies.min} of ${health.target} copies of its weakest part; ${size(health.repair.missing_bytes)} are still to be copied.`
          : `${count(health.copies.min, "copy", "copies")} of every part, proved just now: whoever published it may leave.`}
      </p>
      <dl class="facts">
        <Fact
          name="Chunks at risk"
          value={health.at_risk_chunks.toLocaleString("en")}
          note="with fewer copies than wanted"
        />
        <Fact name="Networks" value={health.groups} note="that hold any one part, at least" />
        <Fact name="Being copied" value={health.repair.in_flight} />
        <Fact
          name="Time left"
          value={isLow ? duration(health.repair.time_to_target_ms) : UNKNOWN}
        />
      </dl>
      {isLow && (
        <button type="button" disabled={props.isBusy} onClick={props.repair}>
          Make missing copies now
        </button>
      )}
    </section>
  );
}
