// SPDX-License-Identifier: GPL-3.0-or-later
// Links of the swarm, and where the gateway serves what they name.

import { gateway } from "./api";

/** The object's name of 52 characters in a link. */
export function rootOf(link: string): string {
  return link.replace(/^flow29:/, "").slice(0, 52);
}

/** Where a browser on this machine opens it; nothing when the gateway is off. */
export function openable(link: string, name: string, kind: string | undefined): string | null {
  if (!gateway) return null;
  const path = /^flow29:[^?#/]*(\/[^?#]*)?/.exec(link)?.[1] ?? "";
  const at = `${gateway}/f/${rootOf(link)}${path}`;
  if (kind === "directory") return path.endsWith("/") ? at : `${at}/`;
  return name && !path ? `${at}?name=${encodeURIComponent(name)}` : at;
}
