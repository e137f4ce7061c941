/**
 * The handset page: draws the chats of the sandbox's people, keeps them current and sends what is typed.
 *
 * Everything comes from `/_sandbox/handset/…` of the same origin. Data reaches the page as text nodes and
 * checked addresses only, never as markup. The page keeps nothing: a reload shows the same.
 *
 * Sections: small tools · sandbox calls · state · text · bubble contents · log · people · conversation ·
 * live updates · start.
 */

const API = "/_sandbox/handset";
const CALL_TIMEOUT_MS = 10_000;
const REFRESH_GAP_MS = 150;
/** A refresh that took long (ten thousand chats) is repeated the more seldom. */
const REFRESH_GAP_PER_TASK = 3;
const POLL_OFFLINE_MS = 2_000;
const POLL_LIVE_MS = 20_000;
const RECONNECT_MIN_MS = 1_000;
const RECONNECT_MAX_MS = 15_000;
const WINDOW_MS = 24 * 60 * 60 * 1000;
const LISTED_CHATS_MAX = 200;
const NEAR_BOTTOM_PX = 80;

// ---------------------------------------------------------------- small tools

const byId = (id) => document.getElementById(id);

/** Makes an element; strings among the children become text nodes, `null` and `false` are left out. */
function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "class") node.className = value;
    else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** An icon of the page's own sprite. */
function icon(name, className = "icon") {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", className);
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#icon-${name}`);
  svg.append(use);
  return svg;
}

/** The address if a browser may follow it without running anything, else `null`. */
function safeUrl(address) {
  try {
    const url = new URL(address, location.href);
    return ["http:", "https:", "blob:"].includes(url.protocol) ? url.href : null;
  } catch {
    return null;
  }
}

const isOurs = (address) => new URL(address, location.href).origin === location.origin;

/** Digits as a person writes them; only North American numbers are grouped, for theirs is the demo's plan. */
function phoneText(digits) {
  const parts = /^1(\d{3})(\d{3})(\d{4})$/.exec(digits);
  return parts ? `+1 ${parts[1]} ${parts[2]} ${parts[3]}` : `+${digits}`;
}

function initials(name) {
  const words = name.split(/\s+/u).filter((word) => /^[\p{L}\p{N}]/u.test(word));
  const letters = words.length > 1 ? [words[0], words[words.length - 1]] : words;
  return letters.map((word) => Array.from(word)[0].toLocaleUpperCase()).join("") || "☺";
}

/** One of eight colours, always the same for the same key. */
function tone(key) {
  let sum = 0;
  for (const character of key) sum = (sum * 31 + character.codePointAt(0)) % 9973;
  return `tone-${sum % 8}`;
}

function sizeText(bytes) {
  if (!Number.isFinite(bytes) || bytes <= 0) return "";
  const units = ["bytes", "kB", "MB", "GB"];
  const power = Math.min(Math.floor(Math.log10(bytes) / 3), units.length - 1);
  const value = bytes / 1000 ** power;
  return `${power === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[power]}`;
}

const timeFormat = new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit" });
const weekdayFormat = new Intl.DateTimeFormat(undefined, { weekday: "long" });
const dateFormat = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "long", year: "numeric" });
const shortDateFormat = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });

const dayOf = (ms) => new Date(ms).toDateString();
const dayStart = (ms) => new Date(ms).setHours(0, 0, 0, 0);
const daysAgo = (ms) => Math.round((dayStart(now()) - dayStart(ms)) / 86_400_000);

function dayText(ms) {
  const days = daysAgo(ms);
  if (days === 0) return "Today";
  if (days === 1) return "Yesterday";
  return days > 1 && days < 7 ? weekdayFormat.format(ms) : dateFormat.format(ms);
}

function listTimeText(ms) {
  const days = daysAgo(ms);
  if (days === 0) return timeFormat.format(ms);
  return days === 1 ? "Yesterday" : shortDateFormat.format(ms);
}

function remainingText(ms) {
  const minutes = Math.max(1, Math.ceil(ms / 60_000));
  const hours = Math.floor(minutes / 60);
  if (hours === 0) return `${minutes} min`;
  return minutes % 60 === 0 ? `${hours} h` : `${hours} h ${minutes % 60} min`;
}

/** Runs `task` soon after a trigger, never twice at a time, and once more if triggered meanwhile. */
function coalesced(task) {
  let running = false;
  let again = false;
  let timer = 0;
  let notBefore = 0;
  const run = async () => {
    timer = 0;
    running = true;
    again = false;
    const startedAt = performance.now();
    await task();
    const endedAt = performance.now();
    notBefore = endedAt + Math.max(REFRESH_GAP_MS, (endedAt - startedAt) * REFRESH_GAP_PER_TASK);
    running = false;
    if (again) trigger();
  };
  const trigger = () => {
    if (running) again = true;
    else if (timer === 0) timer = setTimeout(run, Math.max(0, notBefore - performance.now()));
  };
  return trigger;
}

/**
 * Makes the children of `list` those of `entries` (`key`, `signature`, `build`, `update`), keeping nodes whose
 * signature is unchanged so that a playing film goes on and the focus stays.
 */
function reconcile(list, kept, entries) {
  const wanted = new Set(entries.map((entry) => entry.key));
  for (const [key, row] of kept) {
    if (wanted.has(key)) continue;
    row.node.remove();
    kept.delete(key);
  }
  const focused = document.activeElement;
  let cursor = list.firstElementChild;
  for (const entry of entries) {
    const before = kept.get(entry.key);
    let node = before?.node;
    if (before?.signature !== entry.signature) {
      node = entry.build();
      if (before) before.node.replaceWith(node);
      if (before && cursor === before.node) cursor = node;
      kept.set(entry.key, { node, signature: entry.signature });
    }
    entry.update(node);
    if (node === cursor) cursor = cursor.nextElementSibling;
    else list.insertBefore(node, cursor);
  }
  if (focused !== document.activeElement && list.contains(focused)) focused.focus({ preventScroll: true });
}

// ---------------------------------------------------------------- sandbox calls

async function call(path, init = {}) {
  const reply = await fetch(`${API}${path}`, { ...init, signal: AbortSignal.timeout(CALL_TIMEOUT_MS) }).catch(() => {
    throw new Error("the sandbox does not answer");
  });
  if (reply.ok) return reply.json();
  const body = await reply.json().catch(() => null);
  throw new Error(body?.error?.message ?? `the sandbox answered ${reply.status}`);
}

const post = (path, body) =>
  call(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });

const chatQuery = (chat) =>
  new URLSearchParams({ phone: chat.phone, phone_number_id: chat.numberId }).toString();

// ---------------------------------------------------------------- state

const state = {
  /** Chats as the sandbox lists them, the newest first; `null` before the first answer. */
  chats: null,
  numbers: [],
  /** The sandbox's clock is virtual: its time minus the browser's. */
  clockOffsetMs: 0,
  /** The chat being shown: `{phone, numberId}`. */
  active: null,
  /** Its bubbles, oldest first; `null` until they have come. */
  bubbles: null,
  filter: "",
  live: "connecting",
  sending: false,
  /** Messages of the shown chat that were already reported as read. */
  reportedRead: new Set(),
  drafts: new Map(),
};

const now = () => Date.now() + state.clockOffsetMs;
const keyOf = (chat) => `${chat.phone}/${chat.numberId}`;
const numberIdOf = (chat) => (chat.number ?? state.numbers[0])?.phone_number_id ?? "";
const refOf = (chat) => ({ phone: chat.phone, numberId: numberIdOf(chat) });
const hashOf = (ref) => `#/${ref.phone}/${ref.numberId}`;
const personName = (chat) => chat.name || phoneText(chat.phone);
const isWide = () => matchMedia("(min-width: 720px)").matches;

function activeChat() {
  if (!state.active || !state.chats) return null;
  return state.chats.find((chat) => keyOf(refOf(chat)) === keyOf(state.active)) ?? null;
}

// ---------------------------------------------------------------- text

const EMPHASIS = { "*": "strong", _: "em", "~": "s" };
const QUOTED_LINES = /^((?:> ?.*(?:\n|$))+)/mu;
// The bound on a marked run keeps hostile text from costing quadratic time.
const INLINE =
  /```([\s\S]+?)```|`([^`\n]+)`|(\bhttps?:\/\/[^\s<>"]+)|(?<![\p{L}\p{N}])([*_~])(?=\S)([^\n]{0,1000}?\S)\4(?![\p{L}\p{N}])/gu;

/** Appends `text` with WhatsApp's marks drawn and its links clickable. */
function appendFormatted(parent, text) {
  let rest = text;
  for (let match = QUOTED_LINES.exec(rest); match?.[0]; match = QUOTED_LINES.exec(rest)) {
    appendInline(parent, rest.slice(0, match.index));
    const quote = el("blockquote");
    appendInline(quote, match[0].replace(/^> ?/gmu, "").replace(/\n$/u, ""));
    parent.append(quote);
    rest = rest.slice(match.index + match[0].length);
  }
  appendInline(parent, rest);
}

function appendInline(parent, text) {
  let end = 0;
  for (const match of text.matchAll(INLINE)) {
    const [whole, block, mono, address, mark, marked] = match;
    parent.append(text.slice(end, match.index));
    end = match.index + whole.length;
    if (block !== undefined) parent.append(el("pre", {}, block.replace(/^\n|\n$/gu, "")));
    else if (mono !== undefined) parent.append(el("code", {}, mono));
    else if (address !== undefined) appendLink(parent, address);
    else parent.append(emphasised(mark, marked));
  }
  parent.append(text.slice(end));
}

function emphasised(mark, text) {
  const node = el(EMPHASIS[mark]);
  appendInline(node, text);
  return node;
}

function appendLink(parent, address) {
  const shown = withoutTrailingPunctuation(address);
  const href = safeUrl(shown);
  parent.append(
    href ? el("a", { href, target: "_blank", rel: "noopener noreferrer nofollow" }, shown) : shown,
    address.slice(shown.length),
  );
}

function withoutTrailingPunctuation(address) {
  let end = address.length;
  while (end > 0 && /[.,;:!?'")\]}*~]/u.test(address[end - 1])) {
    const closesInside = address[end - 1] === ")" && address.slice(0, end).includes("(");
    if (closesInside) break;
    end -= 1;
  }
  return address.slice(0, end);
}

const ONLY_EMOJI = /^(?:\p{Extended_Pictographic}(?:\uFE0F|\p{Emoji_Modifier}|\u200D\p{Extended_Pictographic})*){1,3}$/u;

function textNode(text) {
  const node = el("span", { class: "text", dir: "auto" });
  appendFormatted(node, text);
  return node;
}

/** Words under a picture, in a card: the time stands at their end. */
const captionNode = (...children) => el("div", { class: "caption" }, ...children);

// ---------------------------------------------------------------- bubble contents
// Each drawing appends to the bubble's box and returns the class that the box needs, if any.

const KIND_NAMES = { image: "Picture", video: "Video", audio: "Audio", document: "Document", sticker: "Sticker" };
const LEAF_KINDS = [
  ["leaf-pdf", /pdf/],
  ["leaf-sheet", /sheet|excel|csv/],
  ["leaf-slides", /presentation|powerpoint/],
  ["leaf-text", /word|text|rtf/],
];

/** The content of the Cloud API message object for this bubble's type. */
const rawContent = (bubble) => bubble.raw?.[bubble.type] ?? bubble.raw ?? {};

function pictureNode(address, description) {
  const image = el("img", { src: address, alt: description, decoding: "async", referrerpolicy: "no-referrer" });
  const frame = el("button", { class: "picture", type: "button", "aria-label": `Enlarge: ${description}` }, image);
  frame.addEventListener("click", () => showPicture(address, description));
  image.addEventListener("load", () => {
    frame.classList.toggle("small", image.naturalWidth < 200 && image.naturalHeight < 160);
  });
  image.addEventListener("error", () => frame.replaceWith(missingNode("This picture could not be loaded")));
  return frame;
}

const missingNode = (text, name = "image") =>
  el("div", { class: "picture broken" }, el("div", {}, icon(name), text));

function fileNode(media, kind) {
  const href = media?.url ? safeUrl(media.url) : null;
  const name = media?.filename || KIND_NAMES[kind] || "File";
  const mime = media?.mime_type ?? "";
  const extension = /\.([a-z0-9]{1,5})$/i.exec(name)?.[1] ?? mime.split(/[/;+.-]/u)[1]?.slice(0, 5) ?? "";
  const leafKind = LEAF_KINDS.find(([, pattern]) => pattern.test(`${mime} ${extension}`.toLowerCase()))?.[0] ?? "";
  const elsewhere = href !== null && !isOurs(href);
  const facts = [extension.toUpperCase(), sizeText(media?.size), elsewhere && new URL(href).host].filter(Boolean);
  const parts = [
    el("span", { class: `leaf ${leafKind}`, "aria-hidden": true }, extension || "file"),
    el("span", {}, el("span", { class: "file-name", dir: "auto" }, name), el("span", { class: "file-facts" }, facts.join(" · "))),
  ];
  if (!href) return el("div", { class: "file" }, ...parts);
  const opening = elsewhere ? { target: "_blank", rel: "noopener noreferrer" } : { download: media.filename || true };
  return el("a", { class: "file", href, ...opening }, ...parts, icon(elsewhere ? "open" : "download"));
}

/** Any media of a message or of a header; what the page may not play is a file to open. */
function mediaNode(kind, media, description) {
  const href = media?.url ? safeUrl(media.url) : null;
  if (kind === "image") return href ? pictureNode(href, description || "Picture") : missingNode("Picture");
  if (kind !== "video" || href === null || !isOurs(href)) return fileNode(media, kind);
  return el("video", { class: "film", src: href, controls: true, preload: "metadata", "aria-label": description || "Video" });
}

function drawText(box, bubble) {
  const text = bubble.text ?? "";
  const node = textNode(text);
  node.classList.toggle("big", ONLY_EMOJI.test(text));
  box.append(node);
}

function drawMedia(box, bubble) {
  box.append(mediaNode(bubble.type, bubble.media, bubble.text));
  if (bubble.text) box.append(captionNode(textNode(bubble.text)));
  return bubble.text || bubble.type !== "image" ? "wide" : "wide overlaid";
}

function drawAudio(box, bubble) {
  const href = bubble.media?.url ? safeUrl(bubble.media.url) : null;
  if (href === null || !isOurs(href)) return drawMedia(box, bubble);
  box.append(soundNode(href, bubble));
  return "wide";
}

const soundTimeText = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;

/** A player as a phone draws it: one button, a line to seek on, the time. */
function soundNode(href, bubble) {
  const audio = el("audio", { src: href, preload: "metadata" });
  const button = el("button", { class: "disc", type: "button", "aria-label": "Play" }, icon("play"));
  const seek = el("input", { type: "range", min: "0", max: "0", step: "0.1", value: "0", "aria-label": "Position in the recording" });
  const time = el("span", { class: "sound-time" }, "0:00");
  const node = el("div", { class: "sound" }, button, seek, time, audio);
  const drawState = () => {
    button.setAttribute("aria-label", audio.paused ? "Play" : "Pause");
    button.replaceChildren(icon(audio.paused ? "play" : "pause"));
  };
  const drawTime = () => {
    const length = Number.isFinite(audio.duration) ? audio.duration : 0;
    seek.max = String(length);
    seek.value = String(audio.currentTime);
    setText(time, soundTimeText(audio.currentTime > 0 ? audio.currentTime : length));
  };
  button.addEventListener("click", () => (audio.paused ? audio.play().catch(drawState) : audio.pause()));
  seek.addEventListener("input", () => { audio.currentTime = Number(seek.value); });
  for (const name of ["play", "pause", "ended"]) audio.addEventListener(name, drawState);
  for (const name of ["durationchange", "timeupdate"]) audio.addEventListener(name, drawTime);
  audio.addEventListener("error", () => node.replaceWith(fileNode(bubble.media, bubble.type)));
  return node;
}

function drawSticker(box, bubble) {
  const href = bubble.media?.url ? safeUrl(bubble.media.url) : null;
  if (href === null) return drawMedia(box, bubble);
  box.append(el("img", { class: "sticker", src: href, alt: "Sticker", referrerpolicy: "no-referrer" }));
  return "bare";
}

const BUTTON_ICONS = {
  quick_reply: "reply", reply: "reply", url: "open", cta_url: "open", phone_number: "phone", voice_call: "phone",
  copy_code: "copy", list: "list", send_location: "pin",
};

function buttonRow(type, text) {
  const name = BUTTON_ICONS[String(type ?? "").toLowerCase()];
  return el("li", {}, name && icon(name), el("span", { dir: "auto" }, text || type || ""));
}

function buttonList(rows) {
  return rows.length > 0 && el("ul", { class: "buttons", "aria-label": "Buttons" }, ...rows);
}

function drawTemplate(box, bubble) {
  const template = bubble.template;
  if (!template) return drawUnknown(box, bubble);
  const header = template.header;
  if (header?.type === "text") box.append(el("p", { class: "card-head", dir: "auto" }, header.text ?? ""));
  else if (header?.media || KIND_NAMES[header?.type]) box.append(mediaNode(header.type, header.media, "Header"));
  box.append(captionNode(textNode(template.body ?? bubble.text ?? "")));
  if (template.footer) box.append(captionNode(el("span", { class: "card-foot", dir: "auto" }, template.footer)));
  box.append(captionNode(el("span", { class: "card-name", title: "The template’s name and language" }, `${template.name} · ${template.language}`)));
  return { className: "wide", after: buttonList((template.buttons ?? []).map((button) => buttonRow(button.type, button.text))) };
}

function drawLocation(box, bubble) {
  const place = rawContent(bubble);
  const coordinates = [place.latitude, place.longitude].map((degrees) => Number(degrees).toFixed(5)).join(", ");
  box.append(mapNode(`Map pin at ${coordinates}`));
  box.append(
    el("div", { class: "caption place", dir: "auto" },
      el("b", {}, place.name || "Location"),
      place.address && el("small", {}, place.address),
      el("small", {}, coordinates)),
  );
  return "wide";
}

/** A drawn landscape: fetching a real map would leave this machine. */
function mapNode(description) {
  const make = (tag, attributes) => {
    const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    return node;
  };
  const svg = make("svg", { viewBox: "0 0 280 132", preserveAspectRatio: "xMidYMid slice", "aria-hidden": "true" });
  svg.append(
    make("rect", { class: "ground", width: 280, height: 132 }),
    make("path", { class: "water", d: "M0 104c50-22 84 14 132 6s92-30 148-12v34H0z" }),
    make("path", { class: "road", d: "M-6 34c70 4 96 46 152 40s84-48 140-44M92-6c2 46 40 60 50 80" }),
    make("path", { class: "path", d: "M20-4c4 30 30 34 26 58M196-4c-6 28 14 40 10 62M-4 78c34-8 60 2 92-12M228 46c18 4 34 0 56 8" }),
  );
  return el("div", { class: "map", role: "img", "aria-label": description }, svg, icon("pin"));
}

function drawContacts(box, bubble) {
  const cards = Array.isArray(bubble.raw?.contacts) ? bubble.raw.contacts : Array.isArray(bubble.raw) ? bubble.raw : [];
  if (cards.length === 0) return drawUnknown(box, bubble);
  for (const card of cards) {
    const name = card.name?.formatted_name || card.name?.first_name || "Contact";
    const lines = [
      card.org?.company,
      ...(card.phones ?? []).map((phone) => phone.phone || phone.wa_id),
      ...(card.emails ?? []).map((email) => email.email),
    ].filter(Boolean);
    box.append(
      el("div", { class: "card-person" },
        el("span", { class: `avatar ${tone(name)}`, "aria-hidden": true }, initials(name)),
        el("div", {}, el("b", { dir: "auto" }, name), ...lines.map((line) => el("small", { dir: "auto" }, line)))),
    );
  }
  return "wide";
}

function drawInteractive(box, bubble) {
  const content = rawContent(bubble);
  const answer = content.button_reply ?? content.list_reply;
  if (answer) {
    box.append(textNode(answer.title ?? bubble.text ?? ""));
    return "";
  }
  if (!content.body && !content.action) return bubble.text ? drawText(box, bubble) : drawUnknown(box, bubble);
  drawInteractiveCard(box, content, bubble);
  const cards = content.action?.cards ?? [];
  const rows = buttonList(actionRows(content));
  return { className: "wide", after: cards.length > 0 ? carouselNode(cards) : rows };
}

function drawInteractiveCard(box, content, bubble) {
  const header = content.header;
  if (header?.type === "text") box.append(el("p", { class: "card-head", dir: "auto" }, header.text ?? ""));
  else if (header) box.append(mediaNode(header.type, headerMedia(header, bubble), "Header"));
  const body = content.body?.text ?? bubble.text;
  if (body) box.append(captionNode(textNode(body)));
  if (content.footer?.text) box.append(captionNode(el("span", { class: "card-foot", dir: "auto" }, content.footer.text)));
}

function headerMedia(header, bubble) {
  const link = header[header.type]?.link;
  return bubble?.media ?? (link ? { url: link, filename: header[header.type].filename } : null);
}

/** The buttons under an interactive message, by the action's kind. */
function actionRows(content) {
  const action = content.action ?? {};
  const parameters = action.parameters ?? {};
  if (action.buttons) return action.buttons.map((button) => buttonRow(button.type ?? "reply", button.reply?.title ?? button.quick_reply?.title ?? button.title));
  if (content.type === "list") return [listRow(action)];
  if (action.name === "send_location") return [buttonRow("send_location", "Send location")];
  const label = parameters.display_text ?? parameters.flow_cta;
  return label || action.name ? [buttonRow(content.type, label ?? String(action.name).replaceAll("_", " "))] : [];
}

function listRow(action) {
  const options = (action.sections ?? []).flatMap((section) => [
    section.title && el("h4", { dir: "auto" }, section.title),
    ...(section.rows ?? []).map((row) => el("p", { dir: "auto" }, row.title ?? "", row.description && el("small", {}, row.description))),
  ]);
  return el("li", {},
    el("details", {},
      el("summary", {}, icon("list"), action.button || "Options"),
      el("div", { class: "options" }, ...options.filter(Boolean))));
}

function carouselNode(cards) {
  return el("div", { class: "carousel", tabindex: "0", role: "group", "aria-label": "Cards" },
    ...cards.map((card) => {
      const box = el("div");
      drawInteractiveCard(box, card, null);
      box.append(buttonList(actionRows(card)) || "");
      return box;
    }));
}

function drawPressedButton(box, bubble) {
  box.append(textNode(bubble.text ?? rawContent(bubble).text ?? ""));
}

function drawUnknown(box, bubble) {
  box.append(captionNode(textNode(bubble.text || `A message of type “${bubble.type}”`)));
  if (bubble.raw) {
    box.append(el("details", { class: "raw" }, el("summary", {}, "As it was sent"), el("pre", {}, JSON.stringify(bubble.raw, null, 2))));
  }
  return "wide";
}

const DRAWINGS = {
  text: drawText, image: drawMedia, video: drawMedia, document: drawMedia, audio: drawAudio, sticker: drawSticker,
  template: drawTemplate, location: drawLocation, contacts: drawContacts, interactive: drawInteractive,
  button: drawPressedButton,
};

// ---------------------------------------------------------------- log

const STATUS_TEXT = { accepted: "Accepted, on its way", sent: "Sent", delivered: "Delivered", read: "Read", failed: "Failed" };
const STATUS_ICONS = { accepted: "accepted", sent: "sent", delivered: "delivered", read: "delivered", failed: "failed" };
const rowsKept = new Map();
let unseenBelow = 0;

function tickNode(status) {
  // A status of a later edition (a voice message was played) is at least as far as read.
  const known = STATUS_ICONS[status] ? status : "read";
  const tick = icon(STATUS_ICONS[known], `tick ${known}${STATUS_ICONS[known] === "delivered" ? " wide" : ""}`);
  return el("span", { class: "ticks", role: "img", "aria-label": STATUS_TEXT[known], title: STATUS_TEXT[known] }, tick);
}

/** One line that stands for a bubble in a quote. */
function summaryOf(bubble) {
  return bubble.text || bubble.template?.body || bubble.raw?.interactive?.body?.text || KIND_NAMES[bubble.type] || bubble.type;
}

function quoteNode(quoted, chat) {
  const author = quoted.direction === "in" ? personName(chat) : businessName(chat);
  return el("span", { class: "quote", dir: "auto" }, el("b", {}, author), el("span", {}, summaryOf(quoted)));
}

function buildBubbleRow(bubble, quoted, chat) {
  const box = el("div", { class: "bubble" });
  if (quoted) box.append(quoteNode(quoted, chat));
  const drawn = (DRAWINGS[bubble.type] ?? drawUnknown)(box, bubble) || "";
  const { className, after } = typeof drawn === "string" ? { className: drawn, after: null } : drawn;
  if (className) box.classList.add(...className.split(" "));
  const words = box.lastElementChild?.classList.contains("caption") ? box.lastElementChild : box;
  words.append(el("span", { class: "meta" }, el("time", { datetime: new Date(bubble.at_ms).toISOString() }, timeFormat.format(bubble.at_ms))));
  box.append(after || "");
  return el("li", { class: "row", "data-id": bubble.id, "data-direction": bubble.direction }, box);
}

function updateBubbleRow(row, { bubble, first, reactions }) {
  row.classList.toggle("first", first);
  row.classList.add(bubble.direction === "in" ? "mine" : "theirs");
  row.classList.toggle("has-failed", bubble.status === "failed");
  if (bubble.direction === "out" && row.dataset.status !== bubble.status) {
    row.dataset.status = bubble.status;
    const meta = row.querySelector(".meta");
    meta.querySelector(".ticks")?.remove();
    meta.append(tickNode(bubble.status));
  }
  const trouble = bubble.status === "failed" ? failureText(bubble.error) : "";
  setTail(row, "trouble-line", trouble, () => el("p", { class: "trouble-line" }, trouble));
  setTail(row, "reactions", reactions, () => el("span", { class: "reactions", role: "img", "aria-label": `Reactions: ${reactions}` }, reactions));
}

/** Keeps at most one element of `className` after the bubble, in step with `text`. */
function setTail(row, className, text, build) {
  const before = row.querySelector(`:scope > .${className}`);
  if ((before?.textContent ?? "") === text) return;
  before?.remove();
  if (text) row.querySelector(".bubble").after(build());
}

function failureText(error) {
  if (!error) return "Not delivered";
  return `Not delivered · ${[error.code, error.title].filter(Boolean).join(" ")}`;
}

/** Emojis by message: the last word of each side counts, an empty one takes it back. */
function reactionsByMessage(bubbles) {
  const bySide = new Map();
  for (const bubble of bubbles) {
    if (bubble.type !== "reaction" || bubble.status === "failed") continue;
    const { message_id: id, emoji } = rawContent(bubble);
    bySide.set(`${id} ${bubble.direction}`, { id, emoji: emoji ?? "" });
  }
  const found = new Map();
  for (const { id, emoji } of bySide.values()) found.set(id, (found.get(id) ?? "") + emoji);
  return found;
}

function noteEntry(key, className, text) {
  return {
    key,
    signature: text,
    build: () => el("li", { class: `row ${className}` }, el("span", {}, text)),
    update: () => {},
  };
}

/** A reaction stands on its message; it is a row of its own only if it failed or its message is not shown. */
function reactionEntry(bubble, ids, chat) {
  const { message_id: id, emoji } = rawContent(bubble);
  const who = bubble.direction === "in" ? personName(chat) : businessName(chat);
  if (bubble.status === "failed") return noteEntry(bubble.id, "note", `Reaction ${emoji ?? ""}: ${failureText(bubble.error)}`);
  if (ids.has(id) || !emoji) return null;
  return noteEntry(bubble.id, "note", `${who} reacted ${emoji} to an older message`);
}

function bubbleEntry(bubble, first, quoted, reactions, chat) {
  return {
    key: bubble.id,
    signature: JSON.stringify([bubble.type, bubble.text, bubble.media, bubble.template, bubble.raw, bubble.at_ms, quoted?.id]),
    build: () => buildBubbleRow(bubble, quoted, chat),
    update: (row) => updateBubbleRow(row, { bubble, first, reactions }),
  };
}

function logEntries(bubbles, chat) {
  const byIdentity = new Map(bubbles.map((bubble) => [bubble.id, bubble]));
  const reactions = reactionsByMessage(bubbles);
  const entries = [noteEntry("notice", "note notice-row", "Simulator: nothing leaves this machine")];
  if (bubbles.length === 0) entries.push(noteEntry("empty", "note hint", emptyChatText(chat)));
  let before = null;
  for (const bubble of bubbles) {
    const newDay = !before || dayOf(before.at_ms) !== dayOf(bubble.at_ms);
    if (newDay) entries.push(noteEntry(`day ${dayOf(bubble.at_ms)}`, "day", dayText(bubble.at_ms)));
    const first = newDay || before.direction !== bubble.direction;
    const entry = bubble.type === "reaction"
      ? reactionEntry(bubble, byIdentity, chat)
      : bubbleEntry(bubble, first, byIdentity.get(bubble.context?.id), reactions.get(bubble.id) ?? "", chat);
    if (entry) entries.push(entry);
    if (bubble.type !== "reaction") before = bubble;
  }
  return entries;
}

function emptyChatText(chat) {
  return `No messages yet. Paste one of the curl commands that the gateway printed in its terminal, or write below: a message from ${personName(chat)} opens the 24-hour window.`;
}

function drawLog(chat) {
  const log = byId("log");
  const opening = rowsKept.size === 0;
  const atBottom = log.scrollHeight - log.scrollTop - log.clientHeight < NEAR_BOTTOM_PX;
  const known = new Set(rowsKept.keys());
  reconcile(byId("rows"), rowsKept, logEntries(state.bubbles, chat));
  const fresh = state.bubbles.filter((bubble) => !known.has(bubble.id) && rowsKept.has(bubble.id));
  if (!opening) for (const bubble of fresh) rowsKept.get(bubble.id).node.classList.add("arrives");
  if (opening || atBottom) scrollToEnd();
  else showJump(unseenBelow + fresh.filter((bubble) => bubble.direction === "out").length);
}

function scrollToEnd() {
  const log = byId("log");
  log.scrollTop = log.scrollHeight;
  showJump(0);
}

function showJump(count) {
  unseenBelow = count;
  byId("jump").hidden = count === 0;
  byId("jump-text").textContent = count === 1 ? "1 new message" : `${count} new messages`;
}

function showPicture(address, description) {
  const image = byId("viewer-image");
  image.src = address;
  image.alt = description;
  byId("viewer").showModal();
}

// ---------------------------------------------------------------- people

const chatsKept = new Map();

function matchesFilter(chat) {
  const wanted = state.filter.trim().toLocaleLowerCase();
  const digits = wanted.replace(/\D/gu, "");
  return !wanted || chat.name?.toLocaleLowerCase().includes(wanted) || (digits !== "" && chat.phone.includes(digits));
}

function buildChatItem(chat) {
  const link = el("a", { class: "chat-link", href: hashOf(refOf(chat)), "data-phone": chat.phone, "data-number": numberIdOf(chat) },
    el("span", { class: `avatar ${tone(chat.phone)}`, "aria-hidden": true }),
    el("span", { class: "chat-who", dir: "auto" }),
    el("span", { class: "chat-time" }),
    el("span", { class: "chat-last" }),
    el("span", { class: "badge" }));
  return el("li", {}, link);
}

function updateChatItem(item, chat) {
  const link = item.firstElementChild;
  const [avatar, who, time, last, badge] = link.children;
  const open = isOpen(chat);
  setText(avatar, initials(chat.name || ""));
  avatar.classList.toggle("open", open);
  link.title = open ? `Window open for ${remainingText(chat.window_open_until_ms - now())}` : "Window closed";
  setText(who, state.numbers.length > 1 && chat.last ? `${personName(chat)} · ${businessName(chat)}` : personName(chat));
  setText(time, chat.last ? listTimeText(chat.last.at_ms) : "");
  time.classList.toggle("fresh", chat.unread > 0);
  updatePreview(last, chat);
  setText(badge, chat.unread > 0 ? String(Math.min(chat.unread, 999)) : "");
  badge.hidden = !(chat.unread > 0);
  if (chat.unread > 0) badge.setAttribute("aria-label", `${chat.unread} unread`);
  if (state.active && keyOf(refOf(chat)) === keyOf(state.active)) link.setAttribute("aria-current", "true");
  else link.removeAttribute("aria-current");
}

function updatePreview(node, chat) {
  const answered = chat.last?.direction === "in";
  const text = chat.last ? chat.last.text || "Message" : phoneText(chat.phone);
  const signature = `${answered} ${text}`;
  if (node.dataset.shown === signature) return;
  node.dataset.shown = signature;
  node.replaceChildren(...(answered ? [icon("reply")] : []), el("span", { dir: "auto" }, text.replace(/\s+/gu, " ")));
}

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function drawPeople() {
  const matching = state.chats.filter(matchesFilter);
  const entries = matching.slice(0, LISTED_CHATS_MAX).map((chat) => ({
    key: keyOf(refOf(chat)),
    signature: "",
    build: () => buildChatItem(chat),
    update: (item) => updateChatItem(item, chat),
  }));
  reconcile(byId("chats"), chatsKept, entries);
  const note = peopleNote(matching.length);
  byId("people-note").hidden = note === "";
  setText(byId("people-note"), note);
  const unread = state.chats.reduce((sum, chat) => sum + (chat.unread || 0), 0);
  document.title = unread > 0 ? `(${unread}) Waypost handset` : "Waypost handset";
}

function peopleNote(matching) {
  if (matching > LISTED_CHATS_MAX) return `${matching - LISTED_CHATS_MAX} more: type a name or number above.`;
  if (matching === 0 && state.chats.length > 0) return "Nobody of that name or number.";
  if (state.chats.length > 0 && state.chats.every((chat) => !chat.last)) {
    return "No messages yet. Paste a curl command that the gateway printed in its terminal: the message shows up here at once.";
  }
  return "";
}

function moveInList(event) {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!step || !event.target.closest(".chat-link")) return;
  event.preventDefault();
  const links = [...byId("chats").querySelectorAll(".chat-link")];
  links[links.indexOf(event.target.closest(".chat-link")) + step]?.focus();
}

// ---------------------------------------------------------------- conversation

const isOpen = (chat) => (chat.window_open_until_ms ?? 0) > now();
const businessOf = (chat) => chat.number ?? state.numbers[0] ?? null;
const businessName = (chat) => businessOf(chat)?.verified_name || businessOf(chat)?.display_phone_number || "Business";

function drawConversation() {
  const chat = activeChat();
  byId("app").dataset.screen = state.active ? "chat" : "list";
  byId("chat").hidden = chat === null;
  byId("conversation").classList.toggle("idle", chat === null);
  drawWelcome(chat);
  byId("facts-window").hidden = chat === null;
  if (!chat) return;
  const name = personName(chat);
  setText(byId("chat-avatar"), initials(businessName(chat)));
  setText(byId("chat-name"), businessName(chat));
  setText(byId("chat-person"), `${name}’s phone · ${phoneText(chat.phone)}`);
  byId("conversation").setAttribute("aria-label", `${name}’s phone, conversation with ${businessName(chat)}`);
  const connected = businessOf(chat) !== null;
  byId("composer-text").disabled = !connected;
  byId("composer-text").placeholder = connected ? `Reply as ${name}` : "No business number is connected yet";
  setText(byId("composer-label"), `Reply as ${name}`);
  drawWindow(chat);
  if (state.bubbles) drawLog(chat);
}

function drawWindow(chat) {
  const open = isOpen(chat);
  const left = open ? chat.window_open_until_ms - now() : 0;
  const strip = byId("window");
  strip.dataset.open = String(open);
  setText(strip, open ? `Window open for ${remainingText(left)}` : "Window closed: only templates reach this person");
  const countdown = byId("facts-countdown");
  countdown.classList.toggle("shut", !open);
  setText(countdown, open ? `Open for ${remainingText(left)}` : "Closed");
  byId("facts-gauge").style.transform = `scaleX(${Math.min(1, left / WINDOW_MS)})`;
  setText(byId("facts-advice"), open
    ? `Texts and files reach ${personName(chat)} freely. Each reply begins the 24 hours anew.`
    : `Only approved templates reach ${personName(chat)}. Reply from this phone to open the window for 24 hours.`);
}

function drawWelcome(chat) {
  const welcome = byId("welcome");
  welcome.hidden = chat !== null || (state.chats === null && state.live !== "off");
  if (welcome.hidden) return;
  const [title, text] = welcomeWords();
  setText(byId("welcome-title"), title);
  setText(byId("welcome-text"), text);
  byId("welcome-add").hidden = state.chats === null || state.chats.length > 0;
}

function welcomeWords() {
  if (state.chats === null) return ["The sandbox does not answer", "Is Waypost running? This page connects by itself as soon as it is."];
  if (state.chats.length === 0) {
    return ["Nobody here yet", "People appear here with the first message to them. Or add one and write to the business as that person."];
  }
  return ["Whose phone?", "Pick a person to hold their phone. Or paste one of the curl commands that the gateway printed in its terminal: the message lights up here at once."];
}

function tick() {
  const chat = activeChat();
  setText(byId("phone-clock"), timeFormat.format(now()));
  if (chat) drawWindow(chat);
}

function followAddress() {
  const match = /^#\/(\d+)\/(\w*)$/u.exec(location.hash);
  if (location.hash && !location.hash.startsWith("#/")) return;
  const next = match ? { phone: match[1], numberId: match[2] } : null;
  if ((next && keyOf(next)) === (state.active && keyOf(state.active))) return;
  const input = byId("composer-text");
  if (state.active) state.drafts.set(keyOf(state.active), input.value);
  state.active = next;
  state.bubbles = null;
  state.reportedRead.clear();
  for (const row of rowsKept.values()) row.node.remove();
  rowsKept.clear();
  showTrouble("");
  showJump(0);
  input.value = (next && state.drafts.get(keyOf(next))) ?? "";
  fitComposer();
  drawAll();
  if (next) refreshMessages();
  if (next && isWide()) input.focus({ preventScroll: true });
}

/** On a wide page nobody should face an empty phone: the newest conversation opens by itself. */
function openNewest() {
  if (state.active || !isWide() || location.hash.startsWith("#/")) return;
  const newest = state.chats.find((chat) => chat.last);
  if (newest) location.replace(hashOf(refOf(newest)));
}

/** An address of a person who is not there (the sandbox started over) leads back to the list. */
function leaveUnknown() {
  if (state.active && activeChat() === null) location.replace("#/");
}

function drawAll() {
  if (state.chats) drawPeople();
  drawConversation();
}

function fitComposer() {
  const input = byId("composer-text");
  input.style.height = "";
  if (input.value) input.style.height = `${Math.min(136, input.scrollHeight + 2)}px`;
  byId("composer-send").disabled = input.value.trim() === "" || state.sending;
}

function showTrouble(text) {
  byId("trouble").hidden = text === "";
  setText(byId("trouble"), text);
}

async function sendReply() {
  const input = byId("composer-text");
  const text = input.value;
  const chat = state.active;
  if (!chat || state.sending || text.trim() === "") return;
  state.sending = true;
  input.value = "";
  fitComposer();
  showTrouble("");
  try {
    const bubble = await post("/send", { phone: chat.phone, phone_number_id: chat.numberId, text });
    showOwn(chat, bubble);
  } catch (error) {
    keepUnsent(chat, text);
    showTrouble(`Not sent: ${error.message}`);
  } finally {
    state.sending = false;
    fitComposer();
    refreshMessages();
    refreshChats();
  }
}

function showOwn(chat, bubble) {
  if (!state.active || keyOf(chat) !== keyOf(state.active) || !state.bubbles) return;
  if (!state.bubbles.some((known) => known.id === bubble.id)) state.bubbles.push(bubble);
  drawConversation();
  scrollToEnd();
}

function keepUnsent(chat, text) {
  const input = byId("composer-text");
  const shown = state.active && keyOf(chat) === keyOf(state.active);
  if (!shown) state.drafts.set(keyOf(chat), text);
  else if (input.value === "") input.value = text;
}

/** Tells the sandbox that what lies open before a reader's eyes is read. */
async function reportRead() {
  const chat = state.active;
  if (!chat || !state.bubbles || document.visibilityState !== "visible") return;
  const unread = state.bubbles.filter((bubble) =>
    bubble.direction === "out" && bubble.status === "delivered" && !state.reportedRead.has(bubble.id));
  if (unread.length === 0) return;
  for (const bubble of unread) state.reportedRead.add(bubble.id);
  try {
    await post("/read", { phone: chat.phone, phone_number_id: chat.numberId });
    refreshMessages();
    refreshChats();
  } catch {
    for (const bubble of unread) state.reportedRead.delete(bubble.id);
  }
}

async function addPerson(event) {
  event.preventDefault();
  const trouble = byId("add-trouble");
  const phone = byId("add-phone").value.replace(/[\s().+-]/gu, "");
  if (!/^\d{7,15}$/u.test(phone)) {
    trouble.textContent = "A phone number has 7 to 15 digits, country code first.";
    byId("add-phone").focus();
    return;
  }
  trouble.textContent = "";
  try {
    const chat = await post("/people", { phone, name: byId("add-name").value.trim() });
    if (!state.chats.some((known) => keyOf(refOf(known)) === keyOf(refOf(chat)))) state.chats.push(chat);
    byId("add").close();
    byId("add-form").reset();
    location.hash = hashOf(refOf(chat));
    refreshChats();
  } catch (error) {
    trouble.textContent = error.message;
  }
}

// ---------------------------------------------------------------- live updates

let events = null;
let reconnectMs = RECONNECT_MIN_MS;
let askedAt = 0;

const byNewest = (a, b) => (b.last?.at_ms ?? 0) - (a.last?.at_ms ?? 0) || (a.name ?? "").localeCompare(b.name ?? "");

const refreshChats = coalesced(async () => {
  askedAt = performance.now();
  try {
    const reply = await call("/chats");
    noteAnswer(reply.now_ms);
    state.numbers = reply.numbers ?? [];
    state.chats = reply.data.sort(byNewest);
    leaveUnknown();
    openNewest();
    drawAll();
  } catch {
    setLive("off");
  }
});

const refreshMessages = coalesced(async () => {
  const chat = state.active;
  if (!chat) return;
  try {
    const reply = await call(`/messages?${chatQuery(chat)}`);
    if (!state.active || keyOf(chat) !== keyOf(state.active)) return;
    noteAnswer(reply.now_ms);
    state.bubbles = reply.data;
    drawConversation();
    reportRead();
  } catch {
    setLive("off");
  }
});

/** A call was answered: whether the page is live hangs on the events alone. */
function noteAnswer(serverMs) {
  state.clockOffsetMs = serverMs - Date.now();
  if (events?.readyState === EventSource.OPEN) setLive("on");
}

function setLive(live) {
  state.live = live;
  byId("live").dataset.live = live;
  setText(byId("live"), { on: "Live", off: "Reconnecting", connecting: "Connecting" }[live]);
  if (state.chats === null) drawConversation();
}

function refreshAll() {
  refreshChats();
  refreshMessages();
}

function connectEvents() {
  const source = new EventSource(`${API}/events`);
  events = source;
  source.addEventListener("open", () => {
    reconnectMs = RECONNECT_MIN_MS;
    setLive("on");
    refreshAll();
  });
  source.addEventListener("change", (event) => {
    refreshChats();
    if (concernsActive(event.data)) refreshMessages();
  });
  source.addEventListener("error", () => {
    setLive("off");
    // The browser reconnects by itself unless the answer was no event stream.
    if (source.readyState !== EventSource.CLOSED) return;
    setTimeout(connectEvents, reconnectMs);
    reconnectMs = Math.min(reconnectMs * 2, RECONNECT_MAX_MS);
  });
}

function concernsActive(data) {
  try {
    const changed = JSON.parse(data);
    return changed.phone === state.active?.phone;
  } catch {
    return true;
  }
}

/** Every second: the clocks; and now and then a look, for events may be missing and the clock may be advanced. */
function beat() {
  tick();
  const waitMs = state.live === "on" ? POLL_LIVE_MS : POLL_OFFLINE_MS;
  if (performance.now() - askedAt >= waitMs) refreshAll();
}

// ---------------------------------------------------------------- start

function listenToComposer() {
  const input = byId("composer-text");
  input.addEventListener("input", () => {
    showTrouble("");
    fitComposer();
  });
  input.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    sendReply();
  });
  byId("composer").addEventListener("submit", (event) => {
    event.preventDefault();
    sendReply();
    input.focus();
  });
}

function listenToSheets() {
  const open = () => {
    byId("add-trouble").textContent = "";
    byId("add").showModal();
  };
  byId("add-open").addEventListener("click", open);
  byId("welcome-add").addEventListener("click", open);
  byId("add-cancel").addEventListener("click", () => byId("add").close());
  byId("add-form").addEventListener("submit", addPerson);
  byId("viewer-close").addEventListener("click", () => byId("viewer").close());
  byId("viewer").addEventListener("click", (event) => {
    if (event.target !== byId("viewer-image") || event.offsetY < 56) byId("viewer").close();
  });
}

async function copyCommand() {
  const command = byId("command");
  try {
    await navigator.clipboard.writeText(command.textContent);
    setText(byId("copy-text"), "Copied");
    setTimeout(() => setText(byId("copy-text"), "Copy"), 2_000);
  } catch {
    // Without the clipboard (an address that is not secure) the text is at least selected.
    getSelection().selectAllChildren(command);
  }
}

function start() {
  listenToComposer();
  listenToSheets();
  byId("filter").addEventListener("input", (event) => {
    state.filter = event.target.value;
    if (state.chats) drawPeople();
  });
  byId("chats").addEventListener("keydown", moveInList);
  byId("jump").addEventListener("click", scrollToEnd);
  byId("log").addEventListener("scroll", (event) => {
    const log = event.currentTarget;
    if (unseenBelow > 0 && log.scrollHeight - log.scrollTop - log.clientHeight < NEAR_BOTTOM_PX) showJump(0);
  }, { passive: true });
  byId("copy").addEventListener("click", copyCommand);
  addEventListener("hashchange", followAddress);
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible") refreshAll();
  });
  followAddress();
  refreshChats();
  connectEvents();
  beat();
  setInterval(beat, 1_000);
}

start();
