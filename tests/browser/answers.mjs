/**
 * Drives the handset page with everything a business can send and a person can answer: each kind is sent through the
 * sandbox's Cloud API, looked at on the page and tapped; what comes of it is read from the sandbox as the webhook
 * carries it. With a gateway, an answer must reach its log too. Starts no server itself.
 *
 * Environment: HANDSET_URL, SCREENSHOT_DIR; with a gateway also GATEWAY_URL, WAYPOST_ADMIN_KEY, WAYPOST_ORG_ID;
 * CHROMIUM if it is elsewhere.
 */

import { readFile } from "node:fs/promises";
import { check, DESKTOP, openPage, PHONE, readSettings, run, screenshot, until, WAIT_MS } from "./harness.mjs";
import { silentVoice } from "./recordings.mjs";

const NUMBER = "100000000000001";
const WABA = "100000000000002";
const SECOND_NUMBER = "15550008888";
const BEN = "15550002222";
const PICTURE = new URL("dawn.png", import.meta.url);

const settings = readSettings(["HANDSET_URL", "SCREENSHOT_DIR"]);
const sandboxUrl = settings.HANDSET_URL.replace(/\/+$/u, "");
const mark = `${Date.now().toString(36)}-${process.pid}`;

// ---------------------------------------------------------------- the sandbox

async function call(path, init = {}) {
  const reply = await fetch(`${sandboxUrl}${path}`, {
    ...init,
    headers: { Authorization: "Bearer any", ...init.headers },
    signal: AbortSignal.timeout(WAIT_MS),
  });
  const body = await reply.json();
  check(reply.ok, `${path} answered ${reply.status}: ${JSON.stringify(body)}`);
  return body;
}

const post = (path, body) =>
  call(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });

async function send(type, content, extra = {}) {
  const message = { messaging_product: "whatsapp", to: `+${BEN}`, type, [type]: content, ...extra };
  return (await post(`/v23.0/${NUMBER}/messages`, message)).messages[0].id;
}

const interactive = (type, text, action, extra = {}) => send("interactive", { type, body: { text }, action, ...extra });

async function upload(bytes, mime) {
  const form = new FormData();
  form.append("messaging_product", "whatsapp");
  form.append("type", mime);
  form.append("file", new Blob([bytes], { type: mime }), "file");
  return (await call(`/v23.0/${NUMBER}/media`, { method: "POST", body: form })).id;
}

/** The messages of Ben's chat, as the page gets them. */
const bubbles = async (number = NUMBER) =>
  (await call(`/_sandbox/handset/messages?phone=${BEN}&phone_number_id=${number}`)).data;

/** What the person sent in answer to a message, as the webhook carries it. */
const answerTo = (wamid, what) => until(what, async () =>
  (await bubbles()).find((bubble) => bubble.direction === "in" && bubble.context?.id === wamid)?.raw);

/** The newest inbound message of a type that holds `text`. */
const received = (type, text) => until(`an inbound ${type}`, async () =>
  (await bubbles()).findLast((bubble) => bubble.direction === "in" && bubble.type === type && JSON.stringify(bubble.raw).includes(text))?.raw);

async function inGatewayLog(text) {
  const { GATEWAY_URL: url, WAYPOST_ADMIN_KEY: key, WAYPOST_ORG_ID: org } = process.env;
  if (!url || !key || !org) return true;
  const reply = await fetch(`${url}/waypost/v1/orgs/${org}/messages?limit=100`, { headers: { Authorization: `Bearer ${key}` } });
  return JSON.stringify(await reply.json()).includes(text);
}

// ---------------------------------------------------------------- the page

/** The texts of the person's own bubbles whose contrast with what is behind them is below 4.5 to 1 (WCAG 2.2, 1.4.3). */
const faintTexts = (page) => page.evaluate(() => {
  const brush = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d", { willReadFrequently: true });
  /** The colours over each other, the lowest first. */
  const mixed = (colours) => {
    for (const colour of ["#fff", ...colours]) {
      brush.fillStyle = colour;
      brush.fillRect(0, 0, 1, 1);
    }
    return [...brush.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const luminance = (rgb) => {
    const [red, green, blue] = rgb.map((value) => (value <= 10 ? value / 3_294.6 : ((value / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const backgrounds = (node) => {
    const colours = [];
    for (let at = node; at !== null; at = at.parentElement) colours.unshift(getComputedStyle(at).backgroundColor);
    return colours;
  };
  const faint = [];
  const walker = document.createTreeWalker(document.getElementById("rows"), NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    const words = walker.currentNode.textContent.trim();
    if (words === "" || !node.closest(".mine .bubble") || node.closest(".overlaid > .meta") || !node.checkVisibility()) continue;
    const behind = backgrounds(node);
    const [dark, light] = [mixed(behind), mixed([...behind, getComputedStyle(node).color])].map(luminance).sort((a, b) => a - b);
    const ratio = (light + 0.05) / (dark + 0.05);
    if (ratio < 4.5) faint.push(`“${words.slice(0, 40)}” ${ratio.toFixed(2)}`);
  }
  return [...new Set(faint)];
});

const row = (page, wamid) => page.locator(`.row[data-id="${wamid}"]`);
const sheet = (page) => page.locator("#sheet");

/** A sticker, drawn by the browser itself. */
async function stickerBytes(page) {
  const data = await page.evaluate(() => {
    const canvas = Object.assign(document.createElement("canvas"), { width: 256, height: 256 });
    const brush = canvas.getContext("2d");
    brush.fillStyle = "#ff8a66";
    brush.beginPath();
    brush.arc(128, 128, 118, 0, 7);
    brush.fill();
    brush.fillStyle = "#1b2233";
    for (const x of [90, 166]) brush.fillRect(x - 10, 88, 20, 34);
    brush.lineWidth = 14;
    brush.beginPath();
    brush.arc(128, 138, 58, 0.3, 2.84);
    brush.stroke();
    return canvas.toDataURL("image/webp").split(",")[1];
  });
  return Buffer.from(data, "base64");
}

async function prepareTemplate() {
  const { data } = await call(`/v23.0/${WABA}/message_templates?name=pick_up`);
  if (data.length > 0) return;
  const { id } = await post(`/v23.0/${WABA}/message_templates`, {
    name: "pick_up", language: "en", category: "UTILITY",
    components: [
      { type: "HEADER", format: "TEXT", text: "Your parcel" },
      { type: "BODY", text: "Parcel {{1}} waits for you.", example: { body_text: [["A-1"]] } },
      { type: "BUTTONS", buttons: [
        { type: "QUICK_REPLY", text: "I come today" }, { type: "QUICK_REPLY", text: "Send it back" },
        { type: "URL", text: "Track it", url: "https://example.com/t/{{1}}", example: ["x"] },
        { type: "PHONE_NUMBER", text: "Call us", phone_number: "+15550009999" },
        { type: "COPY_CODE", example: "SAVE10" }] },
    ],
  });
  await post(`/_sandbox/templates/${id}`, { status: "APPROVED" });
}

async function prepareFlow() {
  const flow = {
    version: "6.0",
    screens: [
      { id: "ABOUT", title: "About you", layout: { type: "SingleColumnLayout", children: [
        { type: "TextBody", text: "Two short questions." },
        { type: "TextInput", name: "email", label: "E-mail", "input-type": "email", required: true },
        { type: "Footer", label: "Next", "on-click-action": { name: "navigate", next: { type: "screen", name: "TASTE" } } }] } },
      { id: "TASTE", title: "Your taste", terminal: true, layout: { type: "SingleColumnLayout", children: [
        { type: "RadioButtonsGroup", name: "tea", label: "Which tea?", "data-source": [{ id: "green", title: "Green" }, { id: "black", title: "Black" }] },
        { type: "Footer", label: "Send", "on-click-action": { name: "complete", payload: { tea: "${form.tea}", email: "${screen.ABOUT.form.email}" } } }] } },
    ],
  };
  return (await post(`/v23.0/${WABA}/flows`, { name: `tea-${mark}`, categories: ["SURVEY"], flow_json: JSON.stringify(flow), publish: true })).id;
}

// ---------------------------------------------------------------- checks

function sendingChecks(known) {
  const page = () => known.page;
  return [
    ["a sticker is drawn without a frame", async () => {
      const id = await upload(await stickerBytes(page()), "image/webp");
      const wamid = await send("sticker", { id });
      const image = row(page(), wamid).locator("img.sticker");
      await image.waitFor();
      check(await image.evaluate((node) => node.decode().then(() => node.naturalWidth === 256)), "the sticker is not drawn");
    }],
    ["a voice message has a player and becomes played", async () => {
      const id = await upload(silentVoice(3), "audio/ogg");
      const wamid = await send("audio", { id, voice: true });
      await row(page(), wamid).getByRole("img", { name: "Voice message" }).waitFor();
      await row(page(), wamid).getByText("0:03").waitFor();
      await row(page(), wamid).getByRole("button", { name: "Play" }).click();
      await page().locator(`.row[data-id="${wamid}"][data-status="played"]`).waitFor();
    }],
    ["a location is a drawn map with its words and coordinates", async () => {
      const wamid = await send("location", { latitude: 48.20849, longitude: 16.37208, name: "Old square", address: "1 Example Street" });
      await row(page(), wamid).locator(".map svg").first().waitFor();
      await row(page(), wamid).getByText("Old square").waitFor();
      const href = await row(page(), wamid).getByRole("link", { name: "48.20849, 16.37208" }).getAttribute("href");
      check(href.startsWith("https://"), `the coordinates lead to ${href}`);
    }],
    ["a contact card shows name, company and number", async () => {
      const wamid = await send("contacts", [{
        name: { formatted_name: "Mara Example", first_name: "Mara" }, org: { company: "Example Ltd", title: "Driver" },
        phones: [{ phone: "+1 555 000 4242", type: "WORK" }], emails: [{ email: "mara@example.com" }] }]);
      for (const words of ["Mara Example", "Driver, Example Ltd", "+1 555 000 4242", "mara@example.com"]) {
        await row(page(), wamid).getByText(words).waitFor();
      }
    }],
    ["a message that quotes shows what it quotes, a reaction stands on its message", async () => {
      const { wamid: asked } = await post("/_sandbox/inbound", { from: BEN, to: NUMBER, type: "text", text: { body: `Where is it? ${mark}` } });
      const wamid = await send("text", { body: "Around the corner." }, { context: { message_id: asked } });
      await row(page(), wamid).locator(".quote", { hasText: `Where is it? ${mark}` }).waitFor();
      await send("reaction", { message_id: asked, emoji: "👍" });
      await row(page(), asked).locator(".reactions", { hasText: "👍" }).waitFor();
    }],
  ];
}

function tappingChecks(known) {
  const page = () => known.page;
  return [
    ["a tapped button answers once", async () => {
      const buttons = [["yes", "Yes, please"], ["no", "No"]].map(([id, title]) => ({ type: "reply", reply: { id: `${id}-${mark}`, title } }));
      const wamid = await interactive("button", "Shall we bring it today?", { buttons }, { footer: { text: "Free of charge" } });
      await row(page(), wamid).getByRole("button", { name: "Yes, please" }).click();
      const reply = await answerTo(wamid, "a button reply");
      check(reply.interactive.button_reply?.id === `yes-${mark}`, `the webhook carries ${JSON.stringify(reply)}`);
      check(reply.context.from === "15550009999", "the context does not name the business");
      await row(page(), wamid).locator('.press[aria-pressed="true"]', { hasText: "Yes, please" }).waitFor();
      check(await row(page(), wamid).getByRole("button", { name: "No", exact: true }).isDisabled(), "it can be tapped twice");
      await page().locator('.row[data-direction="in"] .quote', { hasText: "Shall we bring it today?" }).last().waitFor();
      await until("the answer in the gateway's log", () => inGatewayLog(`yes-${mark}`));
    }],
    ["a row of a list is chosen in a sheet", async () => {
      const sections = [
        { title: "Today", rows: [{ id: "t1", title: "Noon", description: "12:00 to 14:00" }, { id: "t2", title: "Evening" }] },
        { title: "Tomorrow", rows: [{ id: "m1", title: "Morning", description: "8:00 to 10:00" }] }];
      const wamid = await interactive("list", "When shall we come?", { button: "Choose a time", sections });
      await row(page(), wamid).getByRole("button", { name: "Choose a time" }).click();
      await sheet(page()).getByText("Morning").click();
      await screenshot(page(), settings.SCREENSHOT_DIR, "answers-list-sheet");
      await sheet(page()).getByRole("button", { name: "Send" }).click();
      const reply = await answerTo(wamid, "a list reply");
      const { id, title, description } = reply.interactive.list_reply;
      check(id === "m1" && title === "Morning" && description === "8:00 to 10:00", JSON.stringify(reply));
    }],
    ["a quick reply of a template brings its payload", async () => {
      await prepareTemplate();
      const wamid = await send("template", { name: "pick_up", language: { code: "en" }, components: [
        { type: "body", parameters: [{ type: "text", text: "A-77" }] },
        { type: "button", sub_type: "quick_reply", index: "0", parameters: [{ type: "payload", payload: `TODAY-${mark}` }] },
        { type: "button", sub_type: "url", index: "2", parameters: [{ type: "text", text: "A-77" }] },
        { type: "button", sub_type: "copy_code", index: "4", parameters: [{ type: "coupon_code", coupon_code: "SAVE20" }] }] });
      const track = row(page(), wamid).getByRole("link", { name: "Track it" });
      check((await track.getAttribute("href")) === "https://example.com/t/A-77", "the link is not filled in");
      await row(page(), wamid).getByText("Call us").waitFor();
      await row(page(), wamid).getByRole("button", { name: "I come today" }).click();
      const reply = await answerTo(wamid, "a template's button");
      check(reply.type === "button" && reply.button.payload === `TODAY-${mark}` && reply.button.text === "I come today", JSON.stringify(reply));
    }],
    ["a request for the location is answered with one", async () => {
      const wamid = await interactive("location_request_message", "Where shall we come?", { name: "send_location" });
      await row(page(), wamid).getByRole("button", { name: "Send location" }).click();
      await screenshot(page(), settings.SCREENSHOT_DIR, "answers-location-sheet");
      await sheet(page()).getByRole("button", { name: "Send location" }).click();
      const reply = await answerTo(wamid, "a location");
      check(reply.type === "location" && reply.location.latitude === 51.4769, JSON.stringify(reply));
    }],
    ["a flow is filled in screen by screen", async () => {
      const id = await prepareFlow();
      const wamid = await interactive("flow", "Tell us more", { name: "flow", parameters: {
        flow_message_version: "3", flow_id: id, flow_cta: "Open the form", flow_token: `token-${mark}`,
        flow_action: "navigate", flow_action_payload: { screen: "ABOUT" } } });
      await row(page(), wamid).getByRole("button", { name: "Open the form" }).click();
      await sheet(page()).getByRole("button", { name: "Next" }).click();
      await sheet(page()).getByText("is required").waitFor();
      await sheet(page()).getByLabel("E-mail").fill("ben@example.com");
      await screenshot(page(), settings.SCREENSHOT_DIR, "answers-flow-sheet");
      await sheet(page()).getByRole("button", { name: "Next" }).click();
      await sheet(page()).getByText("Green").click();
      await sheet(page()).getByRole("button", { name: "Send" }).click();
      const reply = await answerTo(wamid, "a form's answers");
      const values = JSON.parse(reply.interactive.nfm_reply.response_json);
      check(values.tea === "green" && values.email === "ben@example.com" && values.flow_token === `token-${mark}`, JSON.stringify(reply));
      await row(page(), wamid).getByText("Response sent").waitFor();
    }],
    ["a card of a carousel is drawn and chosen", async () => {
      const picture = await upload(await readFile(PICTURE), "image/png");
      const cards = [0, 1].map((index) => ({
        card_index: index, type: "quick_reply", header: { type: "image", image: { id: picture } }, body: { text: `Offer ${index}` },
        action: { buttons: [{ type: "quick_reply", quick_reply: { id: `card-${index}-${mark}`, title: "Take it" } }] } }));
      const wamid = await interactive("carousel", "Two offers", { cards });
      const image = await row(page(), wamid).locator(".carousel img").first().elementHandle();
      await page().waitForFunction((node) => node.complete && node.naturalWidth === 480, image);
      await row(page(), wamid).getByRole("button", { name: "Take it" }).nth(1).click();
      const reply = await answerTo(wamid, "a button of a card");
      check(reply.interactive.button_reply?.id === `card-1-${mark}`, JSON.stringify(reply));
    }],
    ["a link button leads out", async () => {
      const wamid = await interactive("cta_url", "More about it", { name: "cta_url", parameters: { display_text: "Read on", url: "https://example.com/more" } });
      check((await row(page(), wamid).getByRole("link", { name: "Read on" }).getAttribute("href")) === "https://example.com/more", "the link differs");
    }],
  ];
}

function previewChecks(known, browser) {
  return [
    ["the preview of a flow opens its screens, also on a phone's width", async () => {
      const { data } = await call(`/v23.0/${WABA}/flows?limit=100`);
      const flow = data.find((found) => found.name === `tea-${mark}`);
      const { preview } = await call(`/v23.0/${flow.id}?fields=preview.invalidate(false)`);
      for (const viewport of [DESKTOP, PHONE]) {
        const page = await openPage(browser, preview.preview_url, { viewport }, known.complaints);
        await sheet(page).getByText("About you").waitFor();
        await sheet(page).getByLabel("E-mail").fill("ben@example.com");
        await sheet(page).getByRole("button", { name: "Next" }).click();
        await sheet(page).getByText("Which tea?").waitFor();
        await page.context().close();
      }
    }],
  ];
}

function ownChecks(known) {
  const page = () => known.page;
  const attach = async (what) => {
    await page().getByRole("button", { name: "Send a picture, file, location or contact" }).click();
    await sheet(page()).locator(`[data-attach="${what}"]`).click();
  };
  return [
    ["the person sends a picture with words, a place and a contact", async () => {
      await page().locator("#composer-text").fill(`Look ${mark}`);
      const choosing = page().waitForEvent("filechooser");
      await attach("image");
      const bytes = await readFile(PICTURE);
      await (await choosing).setFiles({ name: "dawn.png", mimeType: "image/png", buffer: bytes });
      check((await received("image", mark)).image.mime_type === "image/png", "the picture has another type");
      await page().locator('.row[data-direction="in"][data-type="image"] img').last().waitFor();
      check((await page().locator("#composer-text").inputValue()) === "", "the caption is still in the box");
      await attach("pin");
      await sheet(page()).getByLabel("Name").fill(`Bench ${mark}`);
      await sheet(page()).getByRole("button", { name: "Send location" }).click();
      await received("location", `Bench ${mark}`);
      await attach("person");
      await sheet(page()).getByLabel("Name").fill(`Sam ${mark}`);
      await sheet(page()).getByRole("button", { name: "Send contact" }).click();
      check((await received("contacts", mark)).contacts[0].phones[0].wa_id === "15550007777", "the number differs");
    }],
    ["what was picked decides the kind, and what it cannot carry is told", async () => {
      const picture = { name: `dawn-${mark}.png`, mimeType: "image/png", buffer: await readFile(PICTURE) };
      const choose = async (what, file) => {
        const choosing = page().waitForEvent("filechooser");
        await attach(what);
        await (await choosing).setFiles(file);
      };
      await choose("document", picture);
      check((await received("document", mark)).document.filename === picture.name, "the document has another name");
      for (const [what, words] of [["smile", "a WebP picture"], ["audio", "recording"]]) {
        await page().locator("#composer-text").fill(`Kept ${mark}`);
        await choose(what, picture);
        await page().locator("#trouble", { hasText: words }).waitFor();
        check((await page().locator("#composer-text").inputValue()) === `Kept ${mark}`, "the words are gone");
      }
      await page().locator("#composer-text").fill("");
      await choose("smile", { name: "face.webp", mimeType: "image/webp", buffer: await stickerBytes(page()) });
      await until("a sticker", async () => (await bubbles()).some((bubble) => bubble.direction === "in" && bubble.type === "sticker"));
    }],
    ["replies typed while one is being sent follow it in order", async () => {
      const held = [];
      await page().route("**/_sandbox/handset/send", async (route) => {
        if (held.length > 0) return route.continue();
        await new Promise((resolve) => { held.push(resolve); });
        return route.continue();
      });
      const words = ["one", "two", "three"].map((word) => `${word} ${mark}`);
      for (const text of words) {
        await page().locator("#composer-text").fill(text);
        await page().keyboard.press("Enter");
        check((await page().locator("#composer-text").inputValue()) === "", `“${text}” was swallowed`);
      }
      await until("the first one on its way", () => held.length > 0);
      held[0]();
      await received("text", words[2]);
      const sent = (await bubbles()).map((bubble) => bubble.raw?.text?.body).filter((body) => words.includes(body));
      check(sent.join() === words.join(), `they came as ${sent.join()}`);
      await page().unroute("**/_sandbox/handset/send");
    }],
    ["what fails goes back into the box with what was to follow", async () => {
      const held = [];
      await page().route("**/_sandbox/handset/send", async (route) => {
        await new Promise((resolve) => { held.push(resolve); });
        return route.fulfill({ status: 503, json: { error: { message: "no room" } } });
      });
      for (const text of ["first", "second"]) {
        await page().locator("#composer-text").fill(text);
        await page().keyboard.press("Enter");
      }
      await page().locator("#composer-text").fill("third");
      await until("the first one on its way", () => held.length > 0);
      held[0]();
      await page().locator("#trouble", { hasText: "no room" }).waitFor();
      check((await page().locator("#composer-text").inputValue()) === "first\nsecond\nthird", "the words are not back");
      check(held.length === 1, "something overtook it");
      await page().unroute("**/_sandbox/handset/send");
      await page().locator("#composer-text").fill("");
      // The browser tells of every answer of 5xx.
      known.complaints.splice(0, known.complaints.length, ...known.complaints.filter((told) => !told.includes("503")));
    }],
    ["every text of the person's bubbles can be read in light and dark", async () => {
      const from = { from: BEN, to: NUMBER };
      const notPng = Buffer.concat([(await readFile(PICTURE)).subarray(0, 64), Buffer.from(mark)]).toString("base64");
      await post("/_sandbox/inbound", { ...from, type: "image", image: { mime_type: "image/png", data: notPng } });
      await post("/_sandbox/inbound", { ...from, type: "unsupported", unsupported: { type: `poll-${mark}` } });
      await page().getByText("This picture could not be loaded").last().waitFor();
      await page().getByText("As it was sent").last().click();
      for (const colorScheme of ["light", "dark"]) {
        await page().emulateMedia({ colorScheme });
        const faint = await faintTexts(page());
        check(faint.length === 0, `${colorScheme}: ${faint.join(", ")}`);
      }
      await page().emulateMedia({ colorScheme: "light" });
    }],
    ["the person reacts, takes it back and answers with a quote", async () => {
      const wamid = await send("text", { body: `All good? ${mark}` });
      const act = async () => {
        await row(page(), wamid).hover();
        await row(page(), wamid).getByRole("button", { name: /^React or reply/u }).click();
      };
      await act();
      await screenshot(page(), settings.SCREENSHOT_DIR, "answers-action-sheet");
      await sheet(page()).getByRole("button", { name: "React with ❤️" }).click();
      await row(page(), wamid).locator(".reactions", { hasText: "❤️" }).waitFor();
      check((await received("reaction", wamid)).reaction.emoji === "❤️", "another emoji arrived");
      await act();
      await sheet(page()).getByRole("button", { name: "Take back ❤️" }).click();
      await row(page(), wamid).locator(".reactions").waitFor({ state: "detached" });
      await act();
      await sheet(page()).getByRole("button", { name: "Reply to this message" }).click();
      await page().locator("#quoting", { hasText: `All good? ${mark}` }).waitFor();
      await page().locator("#composer-text").fill("Yes, all good.");
      await page().keyboard.press("Enter");
      check((await answerTo(wamid, "a quoting text")).text?.body === "Yes, all good.", "the text differs");
      await page().locator("#quoting").waitFor({ state: "hidden" });
    }],
    ["with several numbers the person picks which one to write to", async () => {
      const { data } = await call("/_sandbox/numbers");
      const known = data.find((number) => number.display_phone_number === SECOND_NUMBER);
      const second = (known ?? await post("/_sandbox/numbers", { display_phone_number: SECOND_NUMBER, verified_name: "Shared number" })).phone_number_id;
      await page().reload();
      await page().locator("#number").selectOption(second);
      const { height } = await page().locator("#number").boundingBox();
      check(height >= 24, `the list of numbers is ${height} pixels high`);
      await page().locator("#conversation[aria-label$='with Shared number']").waitFor();
      await page().locator("#composer-text").fill(`join-${mark}`);
      await page().keyboard.press("Enter");
      await until("the text at the second number", async () => JSON.stringify(await bubbles(second)).includes(`join-${mark}`));
      await page().locator('#window[data-open="true"]').waitFor();
      await page().locator("#number").selectOption(NUMBER);
      await page().getByText(`All good? ${mark}`).first().waitFor();
    }],
  ];
}

function lookChecks(known, browser) {
  const shots = settings.SCREENSHOT_DIR;
  return [
    ["screenshots in light, dark and on a phone's width", async () => {
      for (const [name, scroll] of [["end", 0], ["middle", 1_500], ["begin", 3_200]]) {
        for (const colorScheme of ["light", "dark"]) {
          await known.page.emulateMedia({ colorScheme });
          await known.page.locator("#log").evaluate((log, up) => { log.scrollTop = log.scrollHeight - log.clientHeight - up; }, scroll);
          await screenshot(known.page, shots, `answers-${name}-${colorScheme}`);
        }
      }
      await known.page.context().close();
      const options = { viewport: PHONE, deviceScaleFactor: 2, hasTouch: true, isMobile: true, colorScheme: "light" };
      const page = await openPage(browser, settings.HANDSET_URL, options, known.complaints);
      await page.locator(`.chat-link[data-phone="${BEN}"][data-number="${NUMBER}"]`).tap();
      await page.getByText(`All good? ${mark}`).first().waitFor();
      await screenshot(page, shots, "answers-phone");
      await page.getByRole("button", { name: "Send a picture, file, location or contact" }).tap();
      await screenshot(page, shots, "answers-phone-sheet");
      await page.context().close();
    }],
    ["no console error, policy violation or request elsewhere", async () => {
      check(known.complaints.length === 0, known.complaints.join("; "));
    }],
  ];
}

/** The checks in order; each may rely on those before it. */
function checksOf(browser) {
  const known = { page: null, complaints: [] };
  return [
    ["the chat opens with its window", async () => {
      await post("/_sandbox/limits", { pair: false });
      await post("/_sandbox/inbound", { from: BEN, to: NUMBER, type: "text", text: { body: "Hello" } });
      known.page = await openPage(browser, settings.HANDSET_URL, { colorScheme: "light" }, known.complaints);
      await known.page.locator(`.chat-link[data-phone="${BEN}"]`).first().click();
      await known.page.locator('#window[data-open="true"]').waitFor();
    }],
    ...sendingChecks(known),
    ...tappingChecks(known),
    ...previewChecks(known, browser),
    ...ownChecks(known),
    ...lookChecks(known, browser),
  ];
}

await run(settings.SCREENSHOT_DIR, checksOf);
