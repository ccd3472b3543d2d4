// SPDX-License-Identifier: GPL-3.0-or-later
// Links of the swarm, and where the gateway serves what they name.

import { gateway } from "./api";

/** The object's name of 52 characters in a link. */
export function rootOf(link: string): string {
  return link.replace(/^flow29:/, "").slice(0, 52);
}

const QUOTES = "'\"<>“”„‘’‚«»";

/** The link in what was pasted: in quotes or a sentence, in a command, or an address at a gateway. */
export function pasted(text: string): string {
  const link = new RegExp(`flow29:[^\\s${QUOTES}]+`, "i").exec(text)?.[0];
  if (link) return link.replace(/[.,;]+$/, "");
  const served = new RegExp(`^https?://[^/]+/f/([^\\s${QUOTES}?]+)(\\?name=[^\\s${QUOTES}&]+)?`)
    .exec(text.trim());
  if (served) return `flow29:${served[1]!.replace(/\/$/, "")}${served[2] ?? ""}`;
  return text.replace(/^[\s'"<]+|[\s'">]+$/g, "");
}

const CODE_CHARACTERS = 160; // more make a code that a phone does not read off a screen

/** All of the link, unless its name is long. A private object's is worth nothing without its key. */
export function qrText(link: string): string {
  if (link.length <= CODE_CHARACTERS) return link;
  const key = /#k=.*$/.exec(link)?.[0];
  return key ? `flow29:${rootOf(link)}${key}` : `FLOW29:${rootOf(link).toUpperCase()}`;
}

/** Where a browser on this machine opens it; nothing when the gateway is off or the object private. */
export function openable(link: string, name: string, kind: string | undefined): string | null {
  // The key is in the fragment, which no browser sends.
  if (!gateway || link.includes("#k=")) return null;
  const path = /^flow29:[^?#/]*(\/[^?#]*)?/.exec(link)?.[1] ?? "";
  const at = `${gateway}/f/${rootOf(link)}${path}`;
  const place = kind === "directory" && !path.endsWith("/") ? `${at}/` : at;
  return name && !path ? `${place}?name=${encodeURIComponent(name)}` : place;
}

const SHOWN: Record<string, string[]> = {
  img: ["png", "jpg", "jpeg", "gif", "webp", "avif"],
  video: ["mp4", "m4v", "webm"],
  audio: ["mp3", "ogg", "opus", "flac", "wav", "m4a"],
};

/**
 * How this page can show it, if at all: only what a browser decodes without running anything of it.
 * Markup, drawings and documents are opened at the gateway, which is an origin of its own.
 */
export function shownAs(name: string): "img" | "video" | "audio" | null {
  const extension = /\.([^./]+)$/.exec(name)?.[1]?.toLowerCase() ?? "";
  for (const element of ["img", "video", "audio"] as const)
    if (SHOWN[element]!.includes(extension)) return element;
  return null;
}
