// SPDX-License-Identifier: GPL-3.0-or-later
// The node goes away and comes back: the page says so, and is live again by itself.

import { ask, check, drop, open, picture, play, show } from "./stage.mjs";

await play(async (browser) => {
  const { alone } = await ask("urls");
  const page = await open(browser, alone);
  await page.getByRole("heading", { name: "This node is alone" }).waitFor();
  await page.getByLabel("Invitation").fill("flow29i:nonsense");
  await page.getByRole("button", { name: "Join", exact: true }).click();
  await page.locator("form").getByRole("alert").waitFor();
  await picture(page, "first-run");

  await show(page, "Publish");
  await page.getByText("No other node that stores is connected").waitFor();
  await ask("stop");
  await page.getByText("The node does not answer; trying again").waitFor();
  await drop(page, "meanwhile.bin", 3_000_000, 7);
  await page.getByText("The node does not answer; trying again.").waitFor();
  await picture(page, "away");
  await ask("start");
  await page.getByText("Live", { exact: true }).waitFor();
  // What was dropped meanwhile arrives, and its publication begins; nobody is there to take it.
  const card = page.locator("article", { hasText: "meanwhile.bin" });
  await card.getByText("Bringing it here").waitFor({ state: "detached" });
  await card.waitFor();
  check(await ask("arrived"), "what was dropped is not at the node");
  await picture(page, "back");
  const external = page.troubles.filter((trouble) => trouble.startsWith("a request"));
  check(external.length === 0, external.join("\n"));
});
