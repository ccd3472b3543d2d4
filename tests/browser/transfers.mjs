// SPDX-License-Identifier: GPL-3.0-or-later
// A slow fetch is watched, paused, resumed and cancelled; links that lead nowhere are explained.

import { ask, check, no_trouble, open, picture, play, show } from "./stage.mjs";

await play(async (browser) => {
  const { reader, link } = await ask("urls");
  const page = await open(browser, reader);
  await show(page, "Fetch");
  const fetch = async (text) => {
    await page.getByLabel("Paste a link").fill(text);
    await page.getByRole("button", { name: "Fetch", exact: true }).click();
  };
  await fetch("flow29:nonsense");
  await page.getByRole("alert").first().waitFor();
  await picture(page, "fetch-wrong-link");
  await fetch(`flow29:${"a".repeat(51)}q`);
  const unknown = page.locator("article[data-state=failed]");
  await unknown.getByText(/^Nobody reachable has it/).waitFor();
  await unknown.getByRole("button", { name: "Dismiss" }).click();
  await unknown.waitFor({ state: "detached" });

  await fetch("flow29i:aeaqcbgaaaba");
  await page.getByText("This is an invitation into a swarm.").waitFor();

  // As it stands in a command.
  await fetch(`flow29 fetch “${link}” -o film.`);
  const card = page.locator("article");
  const percent = async () =>
    Number.parseInt((await card.locator(".fact", { hasText: "Done" }).locator("dd").textContent()) ?? "", 10);
  const until = async (reached, what) => {
    for (let tries = 0; !reached(await percent()); ++tries) {
      check(tries < 600, `waited in vain for ${what}`);
      await page.waitForTimeout(100);
    }
  };
  await until((done) => done >= 5, "the fetch to move");
  await card.getByRole("img", { name: /parts? here/ }).waitFor();
  await picture(page, "fetch-running");
  await card.getByRole("button", { name: /^Pause/ }).click();
  await page.locator("article[data-state=paused]").waitFor();
  // What was asked for before may still come; then nothing does.
  let before = -1;
  for (let now = await percent(); now !== before; now = await percent()) {
    before = now;
    await page.waitForTimeout(1000);
  }
  check(before < 100, "it was not paused");
  await picture(page, "fetch-paused");
  await card.getByRole("button", { name: /^Resume/ }).click();
  await until((done) => done > before, "the fetch to go on");

  // A node that dies goes on with it when it starts again, unless it was paused.
  const restart = async () => {
    await ask("kill");
    await page.getByText("The node does not answer; trying again").waitFor();
    await card.getByText("No word from the node").waitFor();
    await picture(page, "fetch-no-word");
    await ask("start");
    await page.getByText("Live", { exact: true }).waitFor();
  };
  await ask("noted", false);
  await restart();
  before = await percent();
  await until((done) => done > before, "the fetch to go on after a restart");
  await card.getByRole("button", { name: /^Pause/ }).click();
  await ask("noted", true);
  await restart();
  await card.getByText("It was paused when the node stopped.").waitFor();
  await picture(page, "fetch-paused-before");
  await card.getByRole("button", { name: "Resume" }).click();
  await until((done) => done > before, "the paused fetch to go on");
  await card.getByRole("button", { name: /^Cancel/ }).click();
  await card.getByText("It was cancelled.").waitFor();
  await page.waitForTimeout(300);
  await ask("no_limit");
  await card.getByRole("button", { name: "Try again" }).click();
  await page.getByText("Here, every byte verified").waitFor();
  check(await ask("is_fetched", await card.locator("code.path").textContent()), "it is something else");
  await ask("kill");
  await ask("start");
  await page.getByText("Live", { exact: true }).waitFor();
  await page.getByText("Here, every byte verified").waitFor();

  await show(page, "Network");
  await page.getByRole("heading", { name: "Reach" }).waitFor();
  await page.getByText("Others are told").waitFor();
  await page.getByLabel("Receiving").fill("2");
  await page.getByRole("button", { name: "Set limits" }).click();
  await page.getByText("In force now, and after a restart.").waitFor();
  check(await ask("down_limit") === 2 << 20, "the limit is not in force");
  no_trouble(page);
});
