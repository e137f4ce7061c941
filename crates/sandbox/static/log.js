/**
 * The log of a conversation: one row a message, with its ticks, its quote, its reactions and the way to answer it.
 * What a bubble holds is drawn in `bubbles.js`.
 */

import { react } from "./answers.js";
import { drawContent } from "./bubbles.js";
import { quote } from "./composer.js";
import { byId, el, icon, reconcile } from "./dom.js";
import { askAction } from "./sheets.js";
import { rawContent, state } from "./state.js";
import { businessName, dayOf, dayText, personName, summaryOf, timeNode } from "./text.js";

const NEAR_BOTTOM_PX = 80;
const STATUS_TEXT = {
  accepted: "Accepted, on its way", sent: "Sent", delivered: "Delivered", read: "Read", played: "Played", failed: "Failed",
};
const STATUS_ICONS = {
  accepted: "accepted", sent: "sent", delivered: "delivered", read: "delivered", played: "delivered", failed: "failed",
};
/** Kinds of an interactive answer with the place of the id that was tapped. */
const TAPPED = ["button_reply", "list_reply"];

const rowsKept = new Map();
let unseenBelow = 0;

/** Forgets the rows: another conversation is shown. */
export function clearLog() {
  for (const row of rowsKept.values()) row.node.remove();
  rowsKept.clear();
}

function tickNode(status) {
  // A status of a later edition (a voice message was played) is at least as far as read.
  const known = STATUS_ICONS[status] ? status : "read";
  const tick = icon(STATUS_ICONS[known], `tick ${known === "played" ? "read" : known}${STATUS_ICONS[known] === "delivered" ? " wide" : ""}`);
  return el("span", { class: "ticks", role: "img", "aria-label": STATUS_TEXT[known], title: STATUS_TEXT[known] }, tick);
}

function quoteNode(quoted, chat) {
  const author = quoted.direction === "in" ? personName(chat) : businessName(chat);
  const node = el("button", { class: "quote", type: "button", dir: "auto", "aria-label": `In reply to: ${summaryOf(quoted)}` },
    el("b", {}, author), el("span", {}, summaryOf(quoted)));
  node.addEventListener("click", () => showQuoted(quoted.id));
  return node;
}

function showQuoted(id) {
  const row = rowsKept.get(id)?.node;
  if (!row) return;
  row.scrollIntoView({ block: "center", behavior: "smooth" });
  row.classList.add("found");
  row.addEventListener("animationend", () => row.classList.remove("found"), { once: true });
}

function buildBubbleRow(bubble, quoted, answered, chat) {
  const box = el("div", { class: "bubble" });
  if (quoted) box.append(quoteNode(quoted, chat));
  const { className, after } = drawContent(box, bubble, answered);
  if (className) box.classList.add(...className.split(" "));
  const words = box.querySelector(":scope > .caption:last-child, :scope > .location:last-child > .caption:last-child") ?? box;
  words.append(el("span", { class: "meta" }, timeNode(bubble.at_ms)));
  box.append(after || "");
  const act = el("button", { class: "act", type: "button", "aria-label": `React or reply to: ${summaryOf(bubble)}`, title: "React or reply" }, icon("smile"));
  act.addEventListener("click", () => askAction(bubble, { react, quote }));
  return el("li", { class: "row", "data-id": bubble.id, "data-direction": bubble.direction, "data-type": bubble.type },
    el("div", { class: "line" }, box, act));
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
  if (text) row.querySelector(".line").after(build());
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

/** What the person already tapped, by the message it was in. */
function tapsByMessage(bubbles) {
  const found = new Map();
  for (const bubble of bubbles) {
    const id = bubble.direction === "in" ? bubble.context?.id : null;
    const tapped = id && tappedIn(bubble);
    if (!tapped) continue;
    const taps = found.get(id) ?? { ids: new Set(), any: true };
    taps.ids.add(tapped);
    found.set(id, taps);
  }
  return found;
}

function tappedIn(bubble) {
  const content = rawContent(bubble);
  if (bubble.type === "button") return content.payload;
  if (bubble.type !== "interactive") return null;
  return TAPPED.map((kind) => content[kind]?.id).find(Boolean) ?? content.type;
}

const NOTHING_TAPPED = { ids: new Set(), any: false };

function bubbleEntry(bubble, { first, quoted, answered, reactions }, chat) {
  const taps = [...answered.ids].join(" ");
  return {
    key: bubble.id,
    signature: JSON.stringify([bubble.type, bubble.text, bubble.media, bubble.card_media, bubble.template, bubble.raw, bubble.at_ms, quoted?.id, taps]),
    build: () => buildBubbleRow(bubble, quoted, answered, chat),
    update: (row) => updateBubbleRow(row, { bubble, first, reactions }),
  };
}

function logEntries(bubbles, chat) {
  const byIdentity = new Map(bubbles.map((bubble) => [bubble.id, bubble]));
  const reactions = reactionsByMessage(bubbles);
  const taps = tapsByMessage(bubbles);
  const entries = [noteEntry("notice", "note notice-row", "Simulator: nothing leaves this machine")];
  if (bubbles.length === 0) entries.push(noteEntry("empty", "note hint", emptyChatText(chat)));
  let before = null;
  for (const bubble of bubbles) {
    const newDay = !before || dayOf(before.at_ms) !== dayOf(bubble.at_ms);
    if (newDay) entries.push(noteEntry(`day ${dayOf(bubble.at_ms)}`, "day", dayText(bubble.at_ms)));
    const around = {
      first: newDay || before.direction !== bubble.direction,
      quoted: byIdentity.get(bubble.context?.id),
      answered: taps.get(bubble.id) ?? NOTHING_TAPPED,
      reactions: reactions.get(bubble.id) ?? "",
    };
    const entry = bubble.type === "reaction" ? reactionEntry(bubble, byIdentity, chat) : bubbleEntry(bubble, around, chat);
    if (entry) entries.push(entry);
    if (bubble.type !== "reaction") before = bubble;
  }
  return entries;
}

function emptyChatText(chat) {
  return `No messages yet. Paste one of the curl commands that the gateway printed in its terminal, or write below: a message from ${personName(chat)} opens the 24-hour window.`;
}

export function drawLog(chat) {
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

export function scrollToEnd() {
  const log = byId("log");
  log.scrollTop = log.scrollHeight;
  showJump(0);
}

export function showJump(count) {
  unseenBelow = count;
  byId("jump").hidden = count === 0;
  byId("jump-text").textContent = count === 1 ? "1 new message" : `${count} new messages`;
}

/** The reader scrolled: what was below is seen once they are there. */
export function noteScroll(log) {
  if (unseenBelow > 0 && log.scrollHeight - log.scrollTop - log.clientHeight < NEAR_BOTTOM_PX) showJump(0);
}
