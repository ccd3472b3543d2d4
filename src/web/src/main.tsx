// SPDX-License-Identifier: GPL-3.0-or-later
// The page: a heading with how things are, the views, and the one that the address names.

import { render } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { start, useStore } from "./store";
import "./style.css";
import { uploads } from "./uploads";
import { Fetch } from "./views/fetch";
import { Files } from "./views/files";
import { Log } from "./views/log";
import { Network } from "./views/network";
import { Overview } from "./views/overview";
import { Publish } from "./views/publish";
import { Swarm } from "./views/swarm";

const VIEWS = [
  { path: "", name: "Overview", view: Overview },
  { path: "publish", name: "Publish", view: Publish },
  { path: "fetch", name: "Fetch", view: Fetch },
  { path: "files", name: "Files", view: Files },
  { path: "swarm", name: "Swarm", view: Swarm },
  { path: "network", name: "Network", view: Network },
  { path: "log", name: "Log", view: Log },
];

function pathNow(): string {
  return location.hash.replace(/^#\/?/, "");
}

const SAID = {
  connecting: { text: "Connecting…", tone: "soft" },
  live: { text: "Live", tone: "good" },
  lost: { text: "The node does not answer; trying again", tone: "bad" },
  refused: { text: "The node refuses this page", tone: "bad" },
};

function Page() {
  const { connection } = useStore();
  const [path, setPath] = useState(pathNow());
  const main = useRef<HTMLElement>(null);
  useEffect(() => {
    const change = () => {
      setPath(pathNow());
      main.current?.focus();
      scrollTo(0, 0);
    };
    addEventListener("hashchange", change);
    return () => removeEventListener("hashchange", change);
  }, []);
  const shown = VIEWS.find((view) => view.path === path) ?? VIEWS[0]!;
  useEffect(() => {
    document.title = `${shown.name} – 29 Flow`;
  }, [shown.name]);
  const said = SAID[connection];
  return (
    <>
      <header class="top">
        <a class="skip" href={`#/${shown.path}`} onClick={() => main.current?.focus()}>
          To the content
        </a>
        <a class="name" href="#/">29 Flow</a>
        <nav aria-label="Views">
          {VIEWS.map((view) => (
            <a
              key={view.path}
              href={`#/${view.path}`}
              aria-current={view === shown ? "page" : undefined}
            >
              {view.name}
            </a>
          ))}
        </nav>
        <span class={`state ${said.tone}`} role="status">{said.text}</span>
      </header>
      <main ref={main} tabIndex={-1}>
        {connection === "lost" && (
          <p class="bad">Nothing has come from the node for a while: all of this is as it was then.</p>
        )}
        <shown.view />
      </main>
    </>
  );
}

addEventListener("beforeunload", (event) => {
  if (uploads.some((upload) => upload.state === "sending" || upload.state === "waiting"))
    event.preventDefault();
});
// What is dropped beside the place for it must not replace the page.
for (const name of ["dragover", "drop"])
  addEventListener(name, (event) => event.preventDefault());

start();
render(<Page />, document.getElementById("page")!);
