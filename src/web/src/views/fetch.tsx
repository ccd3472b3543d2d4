// SPDX-License-Identifier: GPL-3.0-or-later

import { useState } from "preact/hooks";
import { call, query } from "../api";
import { pasted } from "../links";
import { Problem, useAction } from "../parts/basics";
import { useStore } from "../store";
import { FetchCard } from "./transfer";

export function Fetch() {
  const state = useStore();
  const [link, setLink] = useState("");
  const [run, error, isBusy] = useAction();
  const begin = async (text: string) => {
    const wanted = pasted(text);
    if (wanted.startsWith("flow29i:"))
      throw new Error("This is an invitation into a swarm. Overview takes it.");
    await call("POST", `fetch${query({ link: wanted })}`);
  };
  const jobs = state.jobs.filter((job) => job.kind === "fetch").reverse();
  return (
    <>
      <h1>Fetch</h1>
      <form
        class="ask"
        onSubmit={(event) => {
          event.preventDefault();
          run(async () => {
            await begin(link);
            setLink("");
          });
        }}
      >
        <label for="link">Paste a link</label>
        <div class="takeaway">
          <input
            id="link"
            value={link}
            placeholder="flow29:…"
            autocomplete="off"
            spellcheck={false}
            aria-invalid={error !== ""}
            aria-describedby="link-problem"
            onInput={(event) => setLink(event.currentTarget.value)}
          />
          <button type="submit" class="primary" disabled={isBusy || link.trim() === ""}>
            Fetch
          </button>
        </div>
        <div id="link-problem"><Problem text={error} /></div>
      </form>
      <div>
        {jobs.map((job) => (
          <FetchCard key={job.id} job={job} again={(wanted) => run(() => begin(wanted))} />
        ))}
      </div>
      {jobs.length === 0 && (
        <p class="soft">
          A link looks like <code>flow29:mz4q…7a</code>. What it names is looked for in the swarm,
          fetched from all who have it, and checked byte by byte before it is written.
        </p>
      )}
    </>
  );
}
