/**
 * Drives the handset page in the system's Chromium against a running gateway and sandbox: a message sent
 * through the gateway shows on the page and is read there, a reply typed on the page reaches the gateway's log.
 * Starts no server itself and knows the page only by what a reader sees and a few data attributes.
 *
 * Environment: HANDSET_URL, GATEWAY_URL, SCREENSHOT_DIR, and from demo.env WAYPOST_API_KEY, WAYPOST_ADMIN_KEY,
 * WAYPOST_ORG_ID, WAYPOST_USER_ID, WAYPOST_CUSTOMER_ID, WAYPOST_CUSTOMER_PHONE; CHROMIUM if it is elsewhere.
 * Prints one line a check and `N passed, M failed`; exit code 0 only if all passed.
 */

import { readFile } from "node:fs/promises";
import { check, openPage, PHONE, readSettings, run, screenshot, until, WAIT_MS } from "./harness.mjs";

const LOG_PAGES_MAX = 200;
/** The picture that is sent, 480 × 360 pixels. */
const PICTURE = { path: new URL("dawn.png", import.meta.url), width: 480 };

const settings = readSettings([
  "HANDSET_URL", "GATEWAY_URL", "SCREENSHOT_DIR", "WAYPOST_API_KEY", "WAYPOST_ADMIN_KEY", "WAYPOST_ORG_ID",
  "WAYPOST_USER_ID", "WAYPOST_CUSTOMER_ID", "WAYPOST_CUSTOMER_PHONE",
]);
const gatewayUrl = settings.GATEWAY_URL.replace(/\/+$/u, "");
const mark = `${Date.now().toString(36)}-${process.pid}`;

// ---------------------------------------------------------------- the gateway

async function sendThroughGateway(message) {
  const reply = await fetch(`${gatewayUrl}/whatsapp/messages/send`, {
    method: "POST",
    headers: { "X-API-KEY": settings.WAYPOST_API_KEY, "Content-Type": "application/json" },
    body: JSON.stringify({
      message,
      sessionId: `browser-${mark}`,
      customerId: settings.WAYPOST_CUSTOMER_ID,
      userId: settings.WAYPOST_USER_ID,
      orgId: settings.WAYPOST_ORG_ID,
    }),
    signal: AbortSignal.timeout(WAIT_MS),
  });
  const body = await reply.text();
  check(reply.status === 200, `the gateway answered ${reply.status}: ${body}`);
  const wamid = JSON.parse(body).response?.messages?.[0]?.id;
  check(wamid, `the gateway's answer has no message id: ${body}`);
  return wamid;
}

/** Looks through the whole message log for a message of `type` that holds `text`. */
async function loggedMessage(type, text) {
  let after = "";
  for (let page = 0; page < LOG_PAGES_MAX; page += 1) {
    const { data, next } = await logPage(after);
    const found = data.find((message) => message.message_type === type && JSON.stringify(message).includes(text));
    if (found || !next) return found;
    after = `&after=${encodeURIComponent(next)}`;
  }
  return undefined;
}

/** Sends a question with buttons through the management API; returns its text. */
async function askThroughGateway(text, titles) {
  const buttons = titles.map((title) => ({ type: "reply", reply: { id: title, title } }));
  const org = encodeURIComponent(settings.WAYPOST_ORG_ID);
  const reply = await fetch(`${gatewayUrl}/waypost/v1/orgs/${org}/messages`, {
    method: "POST",
    headers: { Authorization: `Bearer ${settings.WAYPOST_ADMIN_KEY}`, "Content-Type": "application/json" },
    body: JSON.stringify({
      to: settings.WAYPOST_CUSTOMER_PHONE,
      type: "interactive",
      interactive: { type: "button", body: { text }, action: { buttons } },
    }),
    signal: AbortSignal.timeout(WAIT_MS),
  });
  check(reply.status === 202, `the gateway answered ${reply.status}: ${await reply.text()}`);
}

async function logPage(after) {
  const org = encodeURIComponent(settings.WAYPOST_ORG_ID);
  const reply = await fetch(`${gatewayUrl}/waypost/v1/orgs/${org}/messages?limit=100${after}`, {
    headers: { Authorization: `Bearer ${settings.WAYPOST_ADMIN_KEY}` },
    signal: AbortSignal.timeout(WAIT_MS),
  });
  check(reply.status === 200, `the message log answered ${reply.status}`);
  return reply.json();
}

// ---------------------------------------------------------------- the page

const chatLink = (page) => page.locator(`.chat-link[data-phone="${settings.WAYPOST_CUSTOMER_PHONE}"]`).first();
const bubble = (page, wamid) => page.locator(`.row[data-id="${wamid}"]`);

// ---------------------------------------------------------------- checks

/** The checks in order; each may rely on those before it. */
function checksOf(browser) {
  const complaints = [];
  const words = `Hello from the *browser test* ${mark}`;
  const hostile = `<b id="hostile-${mark}">not bold</b> https://example.com/a_b_c?q=1.`;
  const answer = `A typed reply ${mark}`;
  let page;
  return [
    ["the page opens, is live and says that it is a simulator", async () => {
      page = await openPage(browser, settings.HANDSET_URL, { colorScheme: "light" }, complaints);
      await page.locator('#live[data-live="on"]').waitFor();
      await page.getByText("Simulator: nothing leaves this machine").first().waitFor();
    }],
    ["the customer's chat opens", async () => {
      await chatLink(page).click();
      await page.locator("#composer-text").waitFor();
    }],
    ["a message sent through the gateway shows, with its marks drawn", async () => {
      const wamid = await sendThroughGateway({ type: "text", text: { body: words } });
      await bubble(page, wamid).waitFor();
      check((await bubble(page, wamid).locator(".text").textContent()) === words.replaceAll("*", ""), "the words differ");
      check((await bubble(page, wamid).locator("strong").textContent()) === "browser test", "the bold mark is not drawn");
    }],
    ["a message shown on the page becomes read", async () => {
      await page.locator(`.row[data-status="read"]`, { hasText: mark }).locator('[aria-label="Read"]').waitFor();
    }],
    ["markup in a message stays text and its link is a link", async () => {
      const wamid = await sendThroughGateway({ type: "text", text: { body: hostile } });
      await bubble(page, wamid).waitFor();
      check((await bubble(page, wamid).locator(".text").textContent()) === hostile, "the words differ");
      check((await page.locator(`#hostile-${mark}`).count()) === 0, "markup of a message became an element");
      const href = await bubble(page, wamid).locator("a").getAttribute("href");
      check(href === "https://example.com/a_b_c?q=1", `the link leads to ${href}`);
    }],
    ["a picture sent through the gateway is drawn", async () => {
      const data = await readFile(PICTURE.path, "base64");
      const file = { name: "dawn.png", type: "image/png", displayType: "IMAGE", extension: "png", data };
      const wamid = await sendThroughGateway({ type: "image", image: { file, caption: `Picture ${mark}` } });
      const image = await bubble(page, wamid).locator("img").elementHandle();
      await page.waitForFunction(([node, width]) => node.complete && node.naturalWidth === width, [image, PICTURE.width]);
      await page.locator(`.row[data-id="${wamid}"][data-status="read"]`).waitFor();
    }],
    ["a typed reply shows and opens the window", async () => {
      await page.locator("#composer-text").fill(answer);
      await page.keyboard.press("Enter");
      await page.locator('.row[data-direction="in"]', { hasText: answer }).waitFor();
      await page.locator('#window[data-open="true"]').waitFor();
      check((await page.locator("#composer-text").inputValue()) === "", "the reply is still in the box");
    }],
    ["a button answers by the keyboard, which keeps its place", async () => {
      const question = `Shall we? ${mark}`;
      await askThroughGateway(question, ["Yes", "No"]);
      const row = page.locator('.row[data-direction="out"]', { hasText: question });
      await row.getByRole("button", { name: "Yes", exact: true }).focus();
      await page.keyboard.press("Enter");
      await page.locator('.row[data-direction="in"]', { hasText: "Yes" }).waitFor();
      await row.getByRole("button", { name: "Yes", exact: true, disabled: true }).waitFor();
      const keeps = await row.evaluate((node) => node.contains(document.activeElement));
      check(keeps, "the focus went to the beginning of the page");
    }],
    ["the reply is in the gateway's log as type user", async () => {
      await until(`a user message “${answer}” in the log`, () => loggedMessage("user", answer));
    }],
    ["light and dark screenshots of a wide page", async () => {
      await screenshot(page, settings.SCREENSHOT_DIR, "handset-desktop-light");
      await page.emulateMedia({ colorScheme: "dark" });
      await screenshot(page, settings.SCREENSHOT_DIR, "handset-desktop-dark");
      await page.context().close();
    }],
    ["on a phone's width list and conversation are two screens", async () => {
      page = await openPage(browser, settings.HANDSET_URL, { viewport: PHONE, deviceScaleFactor: 2, hasTouch: true, isMobile: true, colorScheme: "light" }, complaints);
      await chatLink(page).waitFor();
      check(!(await page.locator("#composer-text").isVisible()), "list and conversation show at once");
      await screenshot(page, settings.SCREENSHOT_DIR, "handset-phone-list");
      await chatLink(page).tap();
      await page.locator('.row[data-direction="in"]', { hasText: answer }).waitFor();
      check(!(await chatLink(page).isVisible()), "the list stays beside the conversation");
      await screenshot(page, settings.SCREENSHOT_DIR, "handset-phone-chat");
      await page.locator("#back").tap();
      await chatLink(page).waitFor();
      await page.context().close();
    }],
    ["no console error, policy violation or request elsewhere", async () => {
      check(complaints.length === 0, complaints.join("; "));
    }],
  ];
}

await run(settings.SCREENSHOT_DIR, checksOf);
