// SPDX-License-Identifier: GPL-3.0-or-later
// Dropped here, fetched there; then a holder is killed and the copies return.

import { ask, check, drop, no_trouble, open, picture, play, show } from "./stage.mjs";

const BYTES = 5 * 1024 * 1024 + 77;

await play(async (browser) => {
  const { publisher, reader } = await ask("urls");
  const page = await open(browser, publisher, { permissions: ["clipboard-read", "clipboard-write"] });
  await show(page, "Publish");
  await picture(page, "publish-empty");
  await drop(page, "holiday 🏖.bin", BYTES, 29);
  const card = page.locator("article", { hasText: "holiday 🏖.bin" });
  await card.getByText("4 copies on other nodes: you may leave now.").waitFor();
  await card.getByRole("img", { name: "QR code" }).waitFor();
  const link = await card.getByRole("textbox").inputValue();
  check(/^flow29:[a-z2-7]{52}\?/.test(link), `no link: ${link}`);
  await card.getByRole("button", { name: "Copy link" }).click();
  await card.getByText("Copied").waitFor();
  check((await page.evaluate(() => navigator.clipboard.readText())) === link, "not what was copied");
  await picture(page, "publish-done");

  const folder = await ask("folder");
  await page.getByLabel("Folder to publish").setInputFiles(folder);
  const directory = page.locator("article", { hasText: "4 copies on other nodes" })
    .filter({ hasText: "album" });
  await directory.waitFor();
  const folderLink = await directory.getByRole("textbox").inputValue();
  check(await ask("is_folder", folderLink), "the folder is another");
  await ask("withdraw", folderLink);
  check(await ask("uploads_left") === 0, "an upload is still there");

  // Of many there is a sum.
  const small = Array.from({ length: 6 }, (_, i) => (
    { name: `small ${i}`, mimeType: "text/plain", buffer: Buffer.from(`file ${i}`) }));
  await page.getByLabel("Files to publish").setInputFiles(small);
  await page.getByText("8 of 8 published").waitFor();
  await picture(page, "published-many");
  await page.getByRole("button", { name: "Dismiss what has ended" }).click();
  await page.waitForFunction(() => !document.querySelector("article"));

  const other = await open(browser, reader);
  await show(other, "Fetch");
  await other.getByLabel("Paste a link").fill(link);
  await other.getByRole("button", { name: "Fetch", exact: true }).click();
  const got = other.locator("article", { hasText: "holiday 🏖.bin" });
  await got.getByText("Here, every byte verified").waitFor();
  await picture(other, "fetch-done");
  const path = await got.locator("code.path").textContent();
  check(await ask("is_noise", path, BYTES, 29), "what was fetched is something else");
  const href = await got.getByRole("link", { name: "Open" }).getAttribute("href");
  check(await ask("serves_noise", href, BYTES, 29), "the gateway serves something else");

  // The same again is not fetched twice, and said so.
  await other.getByLabel("Paste a link").fill(link);
  await other.getByRole("button", { name: "Fetch", exact: true }).click();
  await other.getByText("Fetched before").waitFor();

  // A name that would read as another one is shown as it is.
  await other.getByLabel("Paste a link").fill(link.replace(/name=[^&]*/, "name=trip%E2%80%AEgpj.exe"));
  await other.getByRole("button", { name: "Fetch", exact: true }).click();
  await other.getByRole("heading", { name: "trip\\u202egpj.exe" }).waitFor();

  await show(page, "Files");
  await page.getByRole("button", { name: "holiday 🏖.bin" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("button", { name: "Count the copies now" }).click();
  await dialog.getByText(/copies of every part, proved just now/).waitFor();
  await picture(page, "files-details");
  await dialog.getByRole("button", { name: "Pin: keep it here" }).click();
  await dialog.getByRole("button", { name: "Unpin" }).waitFor();
  await dialog.getByRole("button", { name: "Close" }).click();
  await picture(page, "files");

  await show(page, "Swarm");
  await page.getByLabel("Show where this is").selectOption({ label: "holiday 🏖.bin" });
  const parts = page.getByRole("region", { name: "Parts and who keeps them" });
  const copies = async () =>
    (await parts.locator("tbody tr td:nth-child(4)").allTextContents()).map(Number.parseFloat);
  await parts.waitFor();
  check((await copies()).length === 7, "not a row a part");
  await picture(page, "swarm");
  await ask("kill_holder");
  const wait = async (reached, what) => {
    for (let tries = 0; !reached(await copies()); ++tries) {
      check(tries < 600, `waited in vain for ${what}: ${await copies()}`);
      await page.waitForTimeout(200);
    }
  };
  await wait((now) => now.length === 7 && now.some((n) => n < 4), "copies to be missing");
  await picture(page, "swarm-missing");
  await wait((now) => now.length === 7 && now.every((n) => n >= 4), "all copies to return");

  await show(page, "Network");
  await picture(page, "network");
  await show(page, "Overview");
  await picture(page, "overview");

  await show(page, "Files");
  await page.getByRole("button", { name: "holiday 🏖.bin" }).click();
  await dialog.getByRole("button", { name: "Remove" }).click();
  await dialog.getByRole("button", { name: "Remove it" }).click();
  await dialog.waitFor({ state: "hidden" });
  await page.getByText(/ is withdrawn: [1-9] of [1-9] holders? obeyed/).waitFor();
  no_trouble(page);
  no_trouble(other);
});
