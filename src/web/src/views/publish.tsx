// SPDX-License-Identifier: GPL-3.0-or-later

import { useRef, useState } from "preact/hooks";
import { call } from "../api";
import { count, percent, size, visible } from "../format";
import { Bar, CopyButton, Problem, useAction } from "../parts/basics";
import { useStore } from "../store";
import type { Job } from "../types";
import { type Upload, addDropped, addFiles, cancel, forget, retry, uploads } from "../uploads";
import { PublishCard, Stages } from "./transfer";

const COPIES_DEFAULT = 4;
const MANY = 4; // cards, from which on there is a sum of them
const WAITING_SHOWN = 3;

export function Publish() {
  const state = useStore();
  const [isOver, setOver] = useState(false);
  const [copies, setCopies] = useState(COPIES_DEFAULT);
  const [isPrivate, setPrivate] = useState(false);
  const terms = { copies, isPrivate };
  const files = useRef<HTMLInputElement>(null);
  const folder = useRef<HTMLInputElement>(null);
  const [said, say] = useState("");
  const chosen = (input: HTMLInputElement) => {
    const given = [...(input.files ?? [])];
    say(given.length > 0 ? "" : "There is no file in it, and a browser tells of nothing else.");
    addFiles(given, terms);
    input.value = ""; // the same one can be chosen again
  };
  const others = state.peers.filter((peer) => peer.storing).length;
  const jobs = state.jobs.filter((job) => job.kind === "publish").reverse();
  const begun = uploads.filter((upload) => upload.state !== "waiting");
  const waiting = uploads.filter((upload) => upload.state === "waiting");
  return (
    <>
      <h1>Publish</h1>
      <div
        class={`drop ${isOver ? "over" : ""}`}
        onDragOver={(event) => {
          event.preventDefault();
          setOver(true);
        }}
        onDragLeave={() => setOver(false)}
        onDrop={(event) => {
          event.preventDefault();
          setOver(false);
          if (event.dataTransfer) void addDropped(event.dataTransfer, terms);
        }}
      >
        <p class="big">Drop files or folders here</p>
        <div class="buttons">
          <button type="button" class="primary" onClick={() => files.current?.click()}>
            Choose files
          </button>
          <button type="button" onClick={() => folder.current?.click()}>Choose a folder</button>
        </div>
        <input
          ref={files}
          type="file"
          multiple
          hidden
          aria-label="Files to publish"
          onChange={(event) => chosen(event.currentTarget)}
        />
        <input
          ref={folder}
          type="file"
          hidden
          aria-label="Folder to publish"
          onChange={(event) => chosen(event.currentTarget)}
          {...{ webkitdirectory: true }}
        />
        {said && <p class="low" role="alert">{said}</p>}
        <label>
          Copies on other nodes{" "}
          <select
            value={copies}
            onChange={(event) => setCopies(Number(event.currentTarget.value))}
          >
            {[1, 2, 3, 4, 5, 6, 8, 12, 16].map((n) => <option key={n} value={n}>{n}</option>)}
          </select>
        </label>
        <label class="check">
          <input
            type="checkbox"
            checked={isPrivate}
            onChange={(event) => setPrivate(event.currentTarget.checked)}
          />
          <span>Private: only who has the whole link can read it</span>
        </label>
        {state.status && others < copies && (
          <p class="low">
            {others === 0
              ? "No other node that stores is connected, so nobody can take a copy yet."
              : `Only ${count(others, "other node")} that store${others === 1 ? "s" : ""} ${others === 1 ? "is" : "are"} connected: the other copies are made when more join.`}
          </p>
        )}
      </div>
      {uploads.length + jobs.length >= MANY && <Sum jobs={jobs} />}
      <div>
        {begun.map((upload) => <UploadCard key={upload.key} upload={upload} />)}
        {jobs.map((job) => <PublishCard key={job.id} job={job} />)}
        {waiting.slice(0, WAITING_SHOWN).map((upload) => <UploadCard key={upload.key} upload={upload} />)}
      </div>
      {waiting.length > WAITING_SHOWN && (
        <p class="soft">{count(waiting.length - WAITING_SHOWN, "more waits", "more wait")} after these.</p>
      )}
      {uploads.length + jobs.length === 0 && (
        <p class="soft">
          What you publish gets a link. Once enough other nodes have it, this machine may be switched
          off. Whoever has the link can read it. So can the nodes that keep it, unless it is private:
          then it leaves this machine encrypted, and the key is in the link alone. Of a folder a
          browser gives the files and their names; empty folders, and which files are programs, are
          kept by <code>flow29 publish</code>.
        </p>
      )}
    </>
  );
}

/** All of them together, and what can be done with all. */
function Sum(props: { jobs: Job[] }) {
  const { jobs } = props;
  const [run, error, isBusy] = useAction();
  const links = jobs.flatMap((job) => job.result?.link ?? []);
  // The key of a private one is in its link alone, so such a card goes by its own button only.
  const ended = jobs.filter((job) =>
    job.state !== "running" && !job.result?.link?.includes("#k="));
  const waiting = uploads.filter((upload) => upload.state === "waiting");
  return (
    <section class="tools" aria-label="All of them">
      <strong role="status">
        {links.length.toLocaleString("en")} of {(uploads.length + jobs.length).toLocaleString("en")} published
      </strong>
      {links.length > 0 && <CopyButton text={links.toReversed().join("\n")} label="Copy all links" />}
      {ended.length > 0 && (
        <button
          type="button"
          disabled={isBusy}
          onClick={() => run(async () => {
            for (const job of ended) await call("POST", `jobs/forget?id=${job.id}`);
          })}
        >
          Dismiss what has ended
        </button>
      )}
      {waiting.length > 0 && (
        <button type="button" onClick={() => waiting.forEach(cancel)}>Cancel what waits</button>
      )}
      <Problem text={error} />
    </section>
  );
}

function UploadCard(props: { upload: Upload }) {
  const { upload } = props;
  const name = visible(upload.name);
  return (
    <article class="card" data-state={upload.state}>
      <header>
        <h2 title={name}>{name}</h2>
        {upload.state === "failed"
          ? <span class="bad">Not brought here</span>
          : <span>{upload.state === "waiting" ? "Waiting its turn" : "Bringing it here"}</span>}
      </header>
      <Bar label={`Bringing ${name} here`} done={upload.sent} total={upload.bytes} />
      <p class="soft">
        {percent(upload.sent, upload.bytes)} of {size(upload.bytes)}
        {upload.isDirectory && `, ${count(upload.parts.length, "file")}`}
      </p>
      {upload.message
        ? <p class={upload.state === "failed" ? "bad" : "low"} role="alert">{upload.message}</p>
        : <Stages now={0} />}
      <div class="buttons">
        {upload.state === "failed" && upload.parts.length > 0 && (
          <button type="button" onClick={() => retry(upload)}>Try again</button>
        )}
        <button
          type="button"
          aria-label={`Cancel ${name}`}
          onClick={() => (upload.state === "failed" ? forget(upload) : cancel(upload))}
        >
          {upload.state === "failed" ? "Dismiss" : "Cancel"}
        </button>
      </div>
    </article>
  );
}
