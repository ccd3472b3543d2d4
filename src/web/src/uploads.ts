// SPDX-License-Identifier: GPL-3.0-or-later
// Files on their way from the browser to the node: one after the other, slice by slice. A slice that
// got lost is sent again; where to go on, the node says.

import { Refusal, UNREACHABLE, call, query } from "./api";
import { changed } from "./store";

const SLICE_BYTES = 1 << 20;
const RETRY_MS = 1000;
const TRIES = 60;
const RESTARTS = 5;

interface Part {
  path: string; // inside a directory; empty for a file
  file: File;
}

export interface Upload {
  key: number;
  name: string;
  bytes: number;
  sent: number;
  state: "waiting" | "sending" | "failed" | "cancelled" | "handed over";
  message: string;
  parts: Part[];
  isDirectory: boolean;
  terms: Terms;
  id: string | null;
}

/** How something is published. */
export interface Terms {
  copies: number;
  isPrivate: boolean;
}

export const uploads: Upload[] = [];
let lastKey = 0;
let isRunning = false;

function add(name: string, parts: Part[], isDirectory: boolean, terms: Terms): void {
  const bytes = parts.reduce((sum, part) => sum + part.file.size, 0);
  const isEmpty = parts.length === 0;
  uploads.push({
    key: ++lastKey, name, bytes, sent: 0, state: isEmpty ? "failed" : "waiting",
    message: isEmpty ? "There is no file in it, and a browser tells of nothing else." : "",
    parts, isDirectory, terms, id: null,
  });
}

/** Files chosen singly, or all of one directory, whose paths then begin with its name. */
export function addFiles(files: Iterable<File>, terms: Terms): void {
  const directories = new Map<string, Part[]>();
  for (const file of files) {
    const path = file.webkitRelativePath;
    const slash = path.indexOf("/");
    if (slash < 0) {
      add(file.name, [{ path: "", file }], false, terms);
      continue;
    }
    const name = path.slice(0, slash);
    if (!directories.has(name)) directories.set(name, []);
    directories.get(name)?.push({ path: path.slice(slash + 1), file });
  }
  for (const [name, parts] of directories) add(name, parts, true, terms);
  begin();
}

/** What was dropped: files, and directories with all that is in them. */
export async function addDropped(transfer: DataTransfer, terms: Terms): Promise<void> {
  // The list is gone after the first wait, so the entries are taken now.
  const entries = [...transfer.items]
    .map((item) => item.webkitGetAsEntry?.() ?? null)
    .filter((entry): entry is FileSystemEntry => entry !== null);
  if (entries.length === 0) return addFiles([...transfer.files], terms);
  for (const entry of entries) {
    const parts: Part[] = [];
    await collect(entry, "", parts);
    add(entry.name, parts, entry.isDirectory, terms);
  }
  begin();
}

async function collect(entry: FileSystemEntry, below: string, parts: Part[]): Promise<void> {
  if (entry.isFile) {
    const file = await new Promise<File>((resolve, reject) =>
      (entry as FileSystemFileEntry).file(resolve, reject));
    parts.push({ path: below, file });
    return;
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  for (;;) {
    // A reader gives some at a time, and none at the end.
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) =>
      reader.readEntries(resolve, reject));
    if (some.length === 0) return;
    for (const child of some)
      await collect(child, below ? `${below}/${child.name}` : child.name, parts);
  }
}

function begin(): void {
  changed();
  if (!isRunning) void run();
}

async function run(): Promise<void> {
  isRunning = true;
  for (;;) {
    const next = uploads.find((upload) => upload.state === "waiting");
    if (!next) break;
    next.state = "sending";
    changed();
    try {
      await sendAgain(next);
      if (!isCancelled(next)) forget(next);
    } catch (error) {
      if (!isCancelled(next)) {
        next.state = "failed";
        next.message = (error as Error).message;
      }
    }
    changed();
  }
  isRunning = false;
}

function isCancelled(upload: Upload): boolean {
  return upload.state === "cancelled";
}

/** Again while the node does not answer; what it refuses is final. */
async function patiently<T>(upload: Upload, work: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; ++tries) {
    try {
      return await work();
    } catch (error) {
      // A node that was started anew takes the page's next token.
      const isFinal = error instanceof Refusal && error.status !== 401;
      if (isFinal || isCancelled(upload)) throw error;
      if (tries >= TRIES) throw new Error(UNREACHABLE);
      upload.message = "The node does not answer; trying again.";
      changed();
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
    upload.message = "";
  }
}

/** As often as the node says that too many are on their way: those before it end some time. */
async function inTurn<T>(upload: Upload, work: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await patiently(upload, work);
    } catch (error) {
      const isCrowded = error instanceof Refusal && error.json.code === "refused";
      if (!isCrowded || isCancelled(upload)) throw error;
      upload.message = "It waits until some of the others are published.";
      changed();
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
    upload.message = "";
  }
}

/** From the beginning when the node was started anew, and so knows nothing of it. */
async function sendAgain(upload: Upload): Promise<void> {
  for (let tries = 1; ; ++tries) {
    try {
      return await send(upload);
    } catch (error) {
      const isForgotten = error instanceof Refusal && error.status === 404;
      if (!isForgotten || tries >= RESTARTS || isCancelled(upload)) throw error;
    }
  }
}

async function send(upload: Upload): Promise<void> {
  const { copies, isPrivate } = upload.terms;
  const date = Math.max(0, ...upload.parts.map((part) => part.file.lastModified));
  // Another page that sends the same meanwhile shares it if it wants the same of it.
  const tag = `${date} ${copies} ${isPrivate}`;
  const announced = JSON.stringify({
    name: upload.name, bytes: upload.bytes, tag, directory: upload.isDirectory,
  });
  const begun = await inTurn(upload, () => call<{ id: string }>("POST", "uploads", announced));
  upload.id = begun.id;
  upload.sent = 0;
  for (const part of upload.parts) await sendPart(upload, part);
  if (isCancelled(upload)) return;
  await patiently(upload, () =>
    call("POST", `uploads/${upload.id}/publish${query({ copies, private: isPrivate ? 1 : 0 })}`));
  upload.state = "handed over";
}

async function sendPart(upload: Upload, part: Part): Promise<void> {
  const before = upload.sent;
  const at = (offset?: number) => `uploads/${upload.id}${query({ offset, path: part.path })}`;
  let { received_bytes: here } = await patiently(upload, () =>
    call<{ received_bytes: number }>("GET", at()));
  do {
    if (isCancelled(upload)) return;
    const slice = part.file.slice(here, here + SLICE_BYTES);
    here = await patiently(upload, async () => {
      try {
        const answer = await call<{ received_bytes: number }>("PATCH", at(here), slice);
        return answer.received_bytes;
      } catch (error) {
        // It came although its answer did not.
        if (error instanceof Refusal && error.status === 409)
          return error.json.received_bytes as number;
        throw error;
      }
    });
    upload.sent = before + here;
    upload.message = "";
    changed();
  } while (here < part.file.size);
}

export function forget(upload: Upload): void {
  const place = uploads.indexOf(upload);
  if (place >= 0) uploads.splice(place, 1);
  changed();
}

export function cancel(upload: Upload): void {
  upload.state = "cancelled";
  forget(upload);
  if (upload.id) call("POST", `uploads/${upload.id}/cancel`).catch(() => undefined);
}

export function retry(upload: Upload): void {
  upload.state = "waiting";
  upload.message = "";
  begin();
}
