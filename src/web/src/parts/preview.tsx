// SPDX-License-Identifier: GPL-3.0-or-later
// What a link names, opened at the gateway or shown in place where that is safe.

import { useState } from "preact/hooks";
import { openable, shownAs } from "../links";

/** Nothing is asked of the gateway before somebody wants to see it: it may have to be fetched. */
export function Open(props: { link: string; name: string; kind: string | undefined }) {
  const { link, name, kind } = props;
  const [isShown, show] = useState(false);
  const [isBroken, setBroken] = useState(false);
  const at = openable(link, name, kind);
  const element = kind === "directory" ? null : shownAs(name);
  if (!at) return null;
  const broken = () => setBroken(true);
  return (
    <>
      <a class="button" href={at} target="_blank" rel="noreferrer">Open</a>
      {element && (
        <button type="button" aria-expanded={isShown} onClick={() => {
          setBroken(false);
          show(!isShown);
        }}>
          {isShown ? "Hide it" : element === "img" ? "Show it here" : "Play it here"}
        </button>
      )}
      {isShown && (
        <div class="preview">
          {isBroken
            ? <p class="bad" role="alert">
                It cannot be shown: nobody has all of it now, or it is not what its name says.
              </p>
            : element === "img"
              ? <img crossOrigin="anonymous" src={at} alt={name} onError={broken} />
              : element === "video"
                ? <video crossOrigin="anonymous" src={at} aria-label={name} controls preload="metadata" onError={broken} />
                : <audio crossOrigin="anonymous" src={at} aria-label={name} controls preload="metadata" onError={broken} />}
        </div>
      )}
    </>
  );
}
