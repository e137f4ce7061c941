/**
 * The list of people with their last message.
 */

import { byId, el, icon, reconcile, setText } from "./dom.js";
import { hashOf, isOpen, keyOf, now, numberIdOf, refOf, state } from "./state.js";
import { businessName, initials, listTimeText, personName, phoneText, remainingText, summaryOfKind, tone } from "./text.js";

const LISTED_CHATS_MAX = 200;

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
  const text = chat.last ? chat.last.text || summaryOfKind(chat.last.type) : phoneText(chat.phone);
  const signature = `${answered} ${text}`;
  if (node.dataset.shown === signature) return;
  node.dataset.shown = signature;
  node.replaceChildren(...(answered ? [icon("reply")] : []), el("span", { dir: "auto" }, text.replace(/\s+/gu, " ")));
}

export function drawPeople() {
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

export function moveInList(event) {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!step || !event.target.closest(".chat-link")) return;
  event.preventDefault();
  const links = [...byId("chats").querySelectorAll(".chat-link")];
  links[links.indexOf(event.target.closest(".chat-link")) + step]?.focus();
}
