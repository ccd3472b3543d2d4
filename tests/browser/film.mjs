// SPDX-License-Identifier: GPL-3.0-or-later
// A film of a gigabyte is watched through the gateway while it is being fetched, at places that are
// not here yet.

import { PATIENCE_MS, ask, check, play } from "./stage.mjs";

const SHADES = 16;

await play(async (browser) => {
  const page = await browser.newPage();
  page.setDefaultTimeout(PATIENCE_MS);
  const pictures = await page.evaluate(async (shades) => {
    const canvas = document.createElement("canvas");
    canvas.width = 64;
    canvas.height = 64;
    const pen = canvas.getContext("2d");
    const made = [];
    for (let shade = 0; shade < shades; ++shade) {
      pen.fillStyle = `rgb(${shade * 16}, ${255 - shade * 16}, 128)`;
      pen.fillRect(0, 0, 64, 64);
      made.push(canvas.toDataURL("image/webp", 0.8).split(",")[1]);
    }
    return made;
  }, SHADES);

  const { url, seconds } = await ask("film", pictures);
  // Scripts of the test may not look into the picture, as the gateway has each document be nobody's: so
  // it is photographed.
  const eye = await browser.newPage();
  const viewer = await (await browser.newContext({ bypassCSP: true })).newPage();
  viewer.setDefaultTimeout(PATIENCE_MS);
  await viewer.goto(url);
  const film = viewer.locator("video");
  await film.waitFor({ state: "attached" });
  await film.evaluate((video) => new Promise((resolve, reject) => {
    video.pause();
    video.controls = false;
    video.onerror = () => reject(new Error(`no film: ${video.error?.message}`));
    if (video.readyState >= 1) resolve();
    else video.onloadedmetadata = resolve;
  }));
  const duration = await film.evaluate((video) => video.duration);
  check(Math.abs(duration - seconds) < 2, `it lasts ${duration} s, not ${seconds}`);

  for (const place of [seconds - 20, Math.floor(seconds / 2), seconds - 123]) {
    const time = await film.evaluate((video, place) => new Promise((resolve, reject) => {
      video.onerror = () => reject(new Error(`no film: ${video.error?.message}`));
      video.onseeked = () => requestAnimationFrame(() => resolve(video.currentTime));
      video.currentTime = place;
    }), place + 0.5);
    check(Math.abs(time - place - 0.5) < 0.01, `it is at ${time}, not ${place}`);
    const photo = (await film.screenshot()).toString("base64");
    const red = await eye.evaluate(async (photo) => {
      const image = new Image();
      image.src = `data:image/png;base64,${photo}`;
      await image.decode();
      const canvas = document.createElement("canvas");
      const pen = canvas.getContext("2d");
      pen.drawImage(image, 0, 0);
      return pen.getImageData(32, 32, 1, 1).data[0];
    }, photo);
    const expected = (place % SHADES) * 16;
    check(Math.abs(red - expected) <= 12, `at ${place} the red is ${red}, not ${expected}`);
  }
  check(await ask("seen"), "more of it came than was looked at");
});
