/**
 * What the browser tests share: a page whose complaints are collected, waiting, screenshots, a list of checks in
 * order. Knows nothing of the handset page.
 */

import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { chromium } from "playwright-core";

export const WAIT_MS = 15_000;
const POLL_MS = 100;
const CHROMIUM_FLAGS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
];
export const DESKTOP = { width: 1440, height: 900 };
export const PHONE = { width: 390, height: 844 };

/** The named variables of the environment; ends the process with code 2 if one is missing. */
export function readSettings(names) {
  const missing = names.filter((name) => !process.env[name]);
  if (missing.length > 0) {
    console.error(`missing in the environment: ${missing.join(", ")}`);
    process.exit(2);
  }
  return Object.fromEntries(names.map((name) => [name, process.env[name]]));
}

export function check(condition, what) {
  if (!condition) throw new Error(what);
}

/** Asks again until `condition` gives something true; its last answer or an error that says what was awaited. */
export async function until(what, condition) {
  const deadline = performance.now() + WAIT_MS;
  while (performance.now() < deadline) {
    const answer = await condition();
    if (answer) return answer;
    await pause(POLL_MS);
  }
  throw new Error(`within ${WAIT_MS / 1000} s there was not: ${what}`);
}

/** Opens a page whose console errors, exceptions and policy violations end up in `complaints`. */
export async function openPage(browser, address, options, complaints) {
  const context = await browser.newContext({ viewport: DESKTOP, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(WAIT_MS);
  page.on("console", (message) => {
    if (message.type() === "error") complaints.push(`console: ${message.text()}`);
  });
  page.on("pageerror", (error) => complaints.push(`exception: ${error.message}`));
  page.on("request", (request) => {
    const foreign = /^https?:/u.test(request.url()) && new URL(request.url()).origin !== new URL(address).origin;
    if (foreign) complaints.push(`request to another origin: ${new URL(request.url()).origin}`);
  });
  await page.exposeFunction("reportViolation", (text) => complaints.push(`policy: ${text}`));
  await page.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (event) => {
      window.reportViolation(`${event.violatedDirective} blocked ${event.blockedURI || "inline"}`);
    });
  });
  await page.goto(address, { waitUntil: "domcontentloaded" });
  return page;
}

/** A picture of the page at rest. */
export async function screenshot(page, folder, name) {
  await page.evaluate(() => Promise.allSettled(document.getAnimations().map((animation) => animation.finished)));
  await page.screenshot({ path: join(folder, `${name}.png`) });
}

async function carryOut(checks) {
  let passed = 0;
  for (const [name, body] of checks) {
    try {
      await body();
      passed += 1;
      console.log(`ok      ${name}`);
    } catch (error) {
      console.log(`FAILED  ${name}\n        ${error.message.replaceAll("\n", "\n        ")}`);
      console.log(`${passed} passed, 1 failed, ${checks.length - passed - 1} not run`);
      return false;
    }
  }
  console.log(`${passed} passed, 0 failed`);
  return true;
}

/** Runs the checks that `checksOf(browser)` lists, in order, until one fails; sets the exit code. */
export async function run(screenshots, checksOf) {
  await mkdir(screenshots, { recursive: true });
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: CHROMIUM_FLAGS });
  const good = await carryOut(checksOf(browser)).finally(() => browser.close());
  process.exitCode = good ? 0 : 1;
}
