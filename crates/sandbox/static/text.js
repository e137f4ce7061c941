/**
 * Words: WhatsApp's marks and links in texts, times, sizes, numbers, names.
 */

import { el, safeUrl } from "./dom.js";
import { businessOf, now } from "./state.js";

/** Digits as a person writes them; only North American numbers are grouped, for theirs is the demo's plan. */
export function phoneText(digits) {
  const parts = /^1(\d{3})(\d{3})(\d{4})$/.exec(digits);
  if (parts) return `+1 ${parts[1]} ${parts[2]} ${parts[3]}`;
  // Somebody may be known by a user id alone.
  return /^\d+$/u.test(digits) ? `+${digits}` : digits;
}

export const personName = (chat) => chat.name || phoneText(chat.phone);
export const businessName = (chat) => businessOf(chat)?.verified_name || businessOf(chat)?.display_phone_number || "Business";

export function initials(name) {
  const words = name.split(/\s+/u).filter((word) => /^[\p{L}\p{N}]/u.test(word));
  const letters = words.length > 1 ? [words[0], words[words.length - 1]] : words;
  return letters.map((word) => Array.from(word)[0].toLocaleUpperCase()).join("") || "☺";
}

/** One of eight colours, always the same for the same key. */
export function tone(key) {
  let sum = 0;
  for (const character of key) sum = (sum * 31 + character.codePointAt(0)) % 9973;
  return `tone-${sum % 8}`;
}

export function sizeText(bytes) {
  if (!Number.isFinite(bytes) || bytes <= 0) return "";
  const units = ["bytes", "kB", "MB", "GB"];
  const power = Math.min(Math.floor(Math.log10(bytes) / 3), units.length - 1);
  const value = bytes / 1000 ** power;
  return `${power === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[power]}`;
}

export const timeFormat = new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit" });
const weekdayFormat = new Intl.DateTimeFormat(undefined, { weekday: "long" });
const dateFormat = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "long", year: "numeric" });
const shortDateFormat = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });

/** Whether there is such an instant; formats throw at others. */
const isInstant = (ms) => !Number.isNaN(new Date(ms).getTime());

export const dayOf = (ms) => new Date(ms).toDateString();
const dayStart = (ms) => new Date(ms).setHours(0, 0, 0, 0);
const daysAgo = (ms) => Math.round((dayStart(now()) - dayStart(ms)) / 86_400_000);

/** The hour of a message, as a `time` element. */
export function timeNode(ms) {
  return isInstant(ms) ? el("time", { datetime: new Date(ms).toISOString() }, timeFormat.format(ms)) : el("time");
}

export function dayText(ms) {
  if (!isInstant(ms)) return "";
  const days = daysAgo(ms);
  if (days === 0) return "Today";
  if (days === 1) return "Yesterday";
  return days > 1 && days < 7 ? weekdayFormat.format(ms) : dateFormat.format(ms);
}

export function listTimeText(ms) {
  if (!isInstant(ms)) return "";
  const days = daysAgo(ms);
  if (days === 0) return timeFormat.format(ms);
  return days === 1 ? "Yesterday" : shortDateFormat.format(ms);
}

export function remainingText(ms) {
  const minutes = Math.max(1, Math.ceil(ms / 60_000));
  const hours = Math.floor(minutes / 60);
  if (hours === 0) return `${minutes} min`;
  return minutes % 60 === 0 ? `${hours} h` : `${hours} h ${minutes % 60} min`;
}

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

export function textNode(text) {
  const node = el("span", { class: "text", dir: "auto" });
  appendFormatted(node, text);
  return node;
}

/** Words under a picture, in a card: the time stands at their end. */
export const captionNode = (...children) => el("div", { class: "caption" }, ...children);

export const isOnlyEmoji = (text) => ONLY_EMOJI.test(text);

const KIND_WORDS = {
  image: "Picture", video: "Video", audio: "Audio", document: "Document", sticker: "Sticker", location: "Location",
  contacts: "Contact", interactive: "Message", template: "Message", reaction: "Reaction", order: "Order",
};

/** One word for a message that has no text. */
export const summaryOfKind = (kind) => KIND_WORDS[kind] ?? "Message";

/** One line that stands for a bubble in a quote. */
export function summaryOf(bubble) {
  return bubble.text || bubble.template?.body || bubble.raw?.interactive?.body?.text || summaryOfKind(bubble.type);
}
