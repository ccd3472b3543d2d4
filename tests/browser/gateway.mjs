// SPDX-License-Identifier: GPL-3.0-or-later
// What was published is shown as its reader's browser shows it, with what lies beside it; it runs
// nothing, asks nobody else, and is not for other sites' pages.

import { PATIENCE_MS, ask, check, play } from "./stage.mjs";

const ELSEWHERE = "http://elsewhere.example";

await play(async (browser) => {
  const { base } = await ask("directory");
  const context = await browser.newContext();
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE_MS);
  // Another site: whatever it is asked, it has a page that shows what is here, and links to it.
  let asked_elsewhere = 0;
  await page.route(`${ELSEWHERE}/**`, (route) => {
    ++asked_elsewhere;
    return route.fulfill({
      contentType: "text/html",
      body: `<img src="${base}/picture.png"><iframe src="${base}/index.html"></iframe>
        <a href="${base}/index.html">there</a>`,
    });
  });

  await page.goto(`${base}/`);
  const download = page.waitForEvent("download");
  await page.getByRole("link", { name: "data.bin" }).click();
  check((await download).suggestedFilename() === "data.bin", "a file is not downloaded by its name");

  await page.goto(`${base}/index.html`);
  await page.waitForLoadState("networkidle");
  const shown = await page.evaluate(() => ({
    title: document.title,
    color: getComputedStyle(document.querySelector("p")).color,
    width: document.querySelector("#beside").naturalWidth,
  }));
  check(shown.title === "as written", `a script ran, or there is no page: ${shown.title}`);
  check(shown.color === "rgb(1, 2, 3)", `the style is missing: ${shown.color}`);
  check(shown.width === 3, `the picture is missing: ${shown.width}`);
  check(asked_elsewhere === 0, "another site was asked");

  // A media document asks for the rest by a request of its own.
  const rest = page.waitForResponse((response) => response.status() === 206);
  await page.goto(`${base}/film.webm`);
  await rest;

  const got = [];
  page.on("response", (response) => got.push([response.url(), response.status()]));
  await page.goto(`${ELSEWHERE}/`);
  check(asked_elsewhere === 1, "the other site was not asked");
  await page.waitForLoadState("networkidle");
  for (const [url, status] of got)
    check(!url.startsWith(base) || status === 403, `${url} was answered with ${status}`);
  await page.getByRole("link", { name: "there" }).click();
  await page.getByText("as it was published").waitFor();
  await context.close();
});
