/**
 * The shown conversation: whose phone, with which number, how long the window stays open; and the address of the
 * page, which says what is shown.
 */

import { postRead } from "./api.js";
import { drawPeople } from "./chats.js";
import { drawQuoted, fitComposer } from "./composer.js";
import { byId, el, setText } from "./dom.js";
import { clearLog, drawLog, showJump } from "./log.js";
import { refreshChats, refreshMessages } from "./refresh.js";
import { activeChat, businessOf, hashOf, isOpen, isWide, keyOf, noteTrouble, now, numberIdOf, refOf, state } from "./state.js";
import { businessName, initials, personName, phoneText, remainingText, timeFormat } from "./text.js";

const WINDOW_MS = 24 * 60 * 60 * 1000;

export function drawConversation() {
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
  byId("attach").disabled = !connected;
  byId("composer-text").placeholder = connected ? `Reply as ${name}` : "No business number is connected yet";
  setText(byId("composer-label"), `Reply as ${name}`);
  drawNumbers(chat);
  drawQuoted();
  drawWindow(chat);
  if (state.bubbles) drawLog(chat);
}

/** Several numbers: the person may choose which one to write to. */
function drawNumbers(chat) {
  const select = byId("number");
  select.hidden = state.numbers.length < 2;
  byId("chat-name").classList.toggle("visually-hidden", !select.hidden);
  if (select.hidden) return;
  const signature = state.numbers.map((number) => `${number.phone_number_id} ${number.verified_name}`).join(",");
  if (select.dataset.shown !== signature) {
    select.dataset.shown = signature;
    const isShared = (name) => state.numbers.filter((number) => number.verified_name === name).length > 1;
    select.replaceChildren(...state.numbers.map(({ phone_number_id: value, verified_name: name, display_phone_number: digits }) =>
      el("option", { value }, name && !isShared(name) ? name : `${phoneText(digits)} · ${name}`)));
  }
  select.value = numberIdOf(chat);
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

export function tick() {
  const chat = activeChat();
  setText(byId("phone-clock"), timeFormat.format(now()));
  if (chat) drawWindow(chat);
}

export function followAddress() {
  const match = /^#\/([\w.]+)\/(\w*)$/u.exec(location.hash);
  if (location.hash && !location.hash.startsWith("#/")) return;
  const next = match ? { phone: match[1], numberId: match[2] } : null;
  if ((next && keyOf(next)) === (state.active && keyOf(state.active))) return;
  const input = byId("composer-text");
  if (state.active) state.drafts.set(keyOf(state.active), input.value);
  state.active = next;
  state.bubbles = null;
  state.reportedRead.clear();
  state.quoted = null;
  clearLog();
  noteTrouble("");
  showJump(0);
  input.value = (next && state.drafts.get(keyOf(next))) ?? "";
  fitComposer();
  drawAll();
  if (next) refreshMessages();
  if (next && isWide()) input.focus({ preventScroll: true });
}

/** On a wide page nobody should face an empty phone: the newest conversation opens by itself. */
export function openNewest() {
  if (state.active || !isWide() || location.hash.startsWith("#/")) return;
  const newest = state.chats.find((chat) => chat.last);
  if (newest) location.replace(hashOf(refOf(newest)));
}

/** An address of a person who is not there (the sandbox started over) leads back to the list. */
export function leaveUnknown() {
  if (state.active && activeChat() === null) location.replace("#/");
}

export function drawAll() {
  if (state.chats) drawPeople();
  drawConversation();
}

export function drawTrouble() {
  byId("trouble").hidden = state.trouble === "";
  setText(byId("trouble"), state.trouble);
}

/** Tells the sandbox that what lies open before a reader's eyes is read. */
export async function reportRead() {
  const chat = state.active;
  if (!chat || !state.bubbles || document.visibilityState !== "visible") return;
  const unread = state.bubbles.filter((bubble) =>
    bubble.direction === "out" && bubble.status === "delivered" && !state.reportedRead.has(bubble.id));
  if (unread.length === 0) return;
  for (const bubble of unread) state.reportedRead.add(bubble.id);
  try {
    await postRead(chat);
    refreshMessages();
    refreshChats();
  } catch {
    for (const bubble of unread) state.reportedRead.delete(bubble.id);
  }
}
