// SPDX-License-Identifier: GPL-3.0-or-later
// What the browser tests share: a real headless Chromium, and a line to the test that started it,
// which has the nodes. A test asks by writing a JSON line to standard output and gets one back.

import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { join } from "node:path";

const require = createRequire(new URL("../../src/web/package.json", import.meta.url));
const { chromium } = require("playwright-core");
const axePath = require.resolve("axe-core/axe.min.js");

export const PATIENCE_MS = 120_000;
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

/** Has the test with the nodes do something; its answer. */
export async function ask(what, ...parameters) {
  process.stdout.write(`${JSON.stringify({ ask: what, parameters })}\n`);
  const { value, done } = await lines.next();
  if (done) throw new Error("the test went away");
  return JSON.parse(value).answer;
}

export function check(condition, message) {
  if (!condition) throw new Error(message);
}

/** Runs a test with a browser, and says how it ended. */
export async function play(test) {
  const browser = await chromium.launch({
    executablePath: process.env.FLOW29_CHROMIUM,
    args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
  });
  try {
    await test(browser);
  } catch (error) {
    process.stdout.write(`${JSON.stringify({ failed: String(error?.stack ?? error) })}\n`);
    process.exitCode = 1;
  } finally {
    await browser.close();
    process.stdin.destroy();
  }
}

/** A page that may speak to its own node alone, and to its gateway if that is named; it may not complain. */
export async function open(browser, url, { gateway, ...options } = {}) {
  const own = [url, gateway].filter(Boolean).map((each) => new URL(each).origin);
  const context = await browser.newContext({ acceptDownloads: false, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE_MS);
  page.troubles = [];
  page.on("request", (request) => {
    const { origin, protocol } = new URL(request.url());
    if (protocol !== "data:" && protocol !== "blob:" && !own.includes(origin))
      page.troubles.push(`a request to ${request.url()}`);
  });
  page.on("pageerror", (error) => page.troubles.push(`an error: ${error}`));
  page.on("console", (message) => {
    if (/Content Security Policy|Uncaught/.test(message.text())) page.troubles.push(message.text());
  });
  await page.goto(url);
  await page.getByText("Live", { exact: true }).waitFor();
  return page;
}

export async function show(page, view) {
  await page.getByRole("navigation").getByRole("link", { name: view, exact: true }).click();
  await page.getByRole("heading", { name: view, level: 1 }).waitFor();
}

export function no_trouble(page) {
  check(page.troubles.length === 0, `the page had trouble:\n${page.troubles.join("\n")}`);
}

/** Drops a file on the place for it, as the file manager would. */
export async function drop(page, name, bytes, seed) {
  const data = await page.evaluateHandle(
    ([name, bytes, seed]) => {
      const content = new Uint8Array(bytes);
      let state = seed;
      for (let i = 0; i < bytes; ++i) {
        state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
        content[i] = state >>> 24;
      }
      const transfer = new DataTransfer();
      transfer.items.add(new File([content], name, { lastModified: 1 }));
      return transfer;
    },
    [name, bytes, seed],
  );
  await page.dispatchEvent(".drop", "drop", { dataTransfer: data });
}

/** What axe finds wrong, as text; empty when nothing. */
export async function violations(page) {
  if (!(await page.evaluate(() => "axe" in window))) {
    // Evaluated by the debugger, so the page's policy does not apply and stays as it is.
    const { readFile } = await import("node:fs/promises");
    await page.evaluate(await readFile(axePath, "utf8"));
  }
  const found = await page.evaluate(() =>
    window.axe.run(document, { resultTypes: ["violations"] }).then((result) => result.violations));
  return found
    .map((rule) => `${rule.id}: ${rule.help}\n${rule.nodes.map((node) =>
      `    ${node.html.slice(0, 200)}\n      ${node.failureSummary.replaceAll("\n", " ")}`).join("\n")}`)
    .join("\n");
}

/** A picture to look at, when somebody wants one. */
export async function picture(page, name) {
  const folder = process.env.FLOW29_SCREENSHOTS;
  if (folder) await page.screenshot({ path: join(folder, `${name}.png`), fullPage: true });
}
