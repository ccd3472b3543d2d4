// SPDX-License-Identifier: GPL-3.0-or-later
// For everybody: no violation that axe finds in any view, light or dark; nothing wider than a phone;
// all by keyboard; and ten thousand files that cost no more than a few.

import { ask, check, no_trouble, open, picture, play, show, violations } from "./stage.mjs";

const VIEWS = ["Overview", "Publish", "Fetch", "Files", "Swarm", "Network", "Log"];

await play(async (browser) => {
  const { url, gateway } = await ask("urls");
  const wrong = [];
  for (const colorScheme of ["light", "dark"]) {
    const page = await open(browser, url, { colorScheme, gateway, bypassCSP: false });
    for (const view of VIEWS) {
      await show(page, view);
      if (view === "Swarm") {
        await page.getByLabel("Show where this is").selectOption({ index: 1 });
        await page.getByRole("region", { name: "Parts and who keeps them" }).waitFor();
      }
      if (view === "Network") await page.waitForTimeout(3000);
      if (view === "Log") await page.getByRole("region", { name: "Lines of the log" }).waitFor();
      const found = await violations(page);
      if (found !== "") wrong.push(`${view}, ${colorScheme}: ${found}`);
      await picture(page, `${view.toLowerCase()}-${colorScheme}`);
    }
    await show(page, "Files");
    await page.getByRole("cell").getByRole("button").first().click();
    await page.getByRole("dialog").waitFor();
    await page.getByRole("dialog").getByRole("button", { name: "Close" }).click();
    await page.getByRole("button", { name: "sunset.png" }).click();
    // The gateway's picture is shown by the page, though it is of another origin.
    await page.getByRole("button", { name: "Show it here" }).click();
    const shown = page.getByRole("dialog").getByRole("img", { name: "sunset.png", exact: true });
    await shown.evaluate((image) => image.decode());
    check(await shown.evaluate((image) => image.naturalWidth) === 3, "it is another picture");
    await page.getByRole("button", { name: "Verify what is here" }).click();
    await page.getByText(/^Sound: .* read here/).waitFor();
    const found = await violations(page);
    if (found !== "") wrong.push(`details, ${colorScheme}: ${found}`);
    await picture(page, `details-${colorScheme}`);
    no_trouble(page);
    await page.context().close();
  }

  check(wrong.length === 0, `axe:\n${wrong.join("\n")}`);

  const phone = await open(browser, url, { viewport: { width: 360, height: 740 } });
  for (const view of VIEWS) {
    await show(phone, view);
    if (view === "Swarm") {
      await phone.getByLabel("Show where this is").selectOption({ index: 1 });
      await phone.getByRole("region", { name: "Parts and who keeps them" }).waitFor();
    }
    const width = await phone.evaluate(() => document.documentElement.scrollWidth);
    check(width <= 360, `${view} is ${width} pixels wide on a phone`);
    await picture(phone, `${view.toLowerCase()}-phone`);
  }
  await phone.context().close();

  // By keyboard: from the first link on, everything that can be clicked has its turn.
  const keys = await open(browser, url);
  await keys.keyboard.press("Tab");
  check((await keys.evaluate(() => document.activeElement?.textContent)) === "To the content",
    "the first stop is not the way to the content");
  const stops = new Set();
  for (let i = 0; i < 20; ++i) {
    await keys.keyboard.press("Tab");
    stops.add(await keys.evaluate(() => document.activeElement?.textContent ?? ""));
  }
  for (const view of VIEWS) check(stops.has(view), `${view} is not reached by keyboard`);
  await keys.getByRole("link", { name: "Files" }).focus();
  await keys.keyboard.press("Enter");
  await keys.getByRole("heading", { name: "Files", level: 1 }).waitFor();
  await keys.context().close();

  await many(browser, url, gateway);
});

/** The events of a node with ten thousand files, told to the real page. */
async function many(browser, url, gateway) {
  const context = await browser.newContext();
  const page = await context.newPage();
  const rows = Array.from({ length: 10_000 }, (_, i) => ({
    root: i.toString(16).padStart(64, "0"), link: `flow29:${"a".repeat(52)}?name=f${i}`,
    name: `file ${String(i).padStart(5, "0")}`, kind: "file", bytes: i * 1000, extents: 1,
    extents_held: 1, published: true, pinned: false, copies_min: i % 5, target: 4, expires: null,
    renewed: false,
  }));
  rows[7778].kind = "directory";
  const update = { version: 1, peers: [], transfers: [], jobs: [], objects: { rows, gone: [] } };
  await page.route("**/api/v1/events", (route) =>
    route.fulfill({ contentType: "text/event-stream", body: `data: ${JSON.stringify(update)}\n\n` }));
  await page.goto(`${url}/#/files`);
  await page.getByText("10,000 files").waitFor();
  await page.getByRole("button", { name: "file 00000" }).waitFor();
  const drawn = () => page.locator(".windowed .frame .row").count();
  check(await drawn() < 60, `${await drawn()} rows exist`);
  const frame = page.locator(".windowed .frame");
  await frame.evaluate((element) => element.scrollTo(0, element.scrollHeight));
  await page.getByRole("button", { name: "file 09999" }).waitFor();
  check(await drawn() < 60, `${await drawn()} rows exist`);
  await page.getByLabel("Search").fill("file 0777");
  await page.getByText("10 files").waitFor();
  await page.getByRole("button", { name: "file 07779" }).waitFor();
  // A directory is opened at its page, which is told what it is called.
  await page.getByRole("button", { name: "file 07778" }).click();
  const opened = await page.getByRole("dialog").getByRole("link", { name: "Open" })
    .getAttribute("href");
  check(opened === `${gateway}/f/${"a".repeat(52)}/?name=file%2007778`, `opened at ${opened}`);
  await page.getByRole("dialog").getByRole("button", { name: "Close" }).click();
  await picture(page, "files-many");
  await context.close();
}
