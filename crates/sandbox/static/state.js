/**
 * What the page knows: chats, numbers, the shown chat with its bubbles; and the names that follow from it.
 * The page keeps nothing: a reload shows the same.
 */

import { phoneText } from "./text.js";

export const state = {
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
  /** Until when the window of a chat that is not listed is open. */
  unlistedWindowMs: null,
  /** The bubble that the next message answers. */
  quoted: null,
};

export const now = () => Date.now() + state.clockOffsetMs;
export const keyOf = (chat) => `${chat.phone}/${chat.numberId}`;
export const numberIdOf = (chat) => (chat.number ?? state.numbers[0])?.phone_number_id ?? "";
export const refOf = (chat) => ({ phone: chat.phone, numberId: numberIdOf(chat) });
export const hashOf = (ref) => `#/${ref.phone}/${ref.numberId}`;
export const personName = (chat) => chat.name || phoneText(chat.phone);
export const isWide = () => matchMedia("(min-width: 720px)").matches;

export function activeChat() {
  if (!state.active || !state.chats) return null;
  return state.chats.find((chat) => keyOf(refOf(chat)) === keyOf(state.active)) ?? chatWithOtherNumber();
}

/** A chat that has no message yet is not listed: the person may write to any of the numbers. */
function chatWithOtherNumber() {
  const number = state.numbers.find((known) => known.phone_number_id === state.active.numberId);
  const person = state.chats.find((chat) => chat.phone === state.active.phone);
  if (!number || !person) return null;
  const until = state.bubbles ? state.unlistedWindowMs : null;
  return { ...person, number, last: null, unread: 0, window_open_until_ms: until };
}

export const isOpen = (chat) => (chat.window_open_until_ms ?? 0) > now();
export const businessOf = (chat) => chat.number ?? state.numbers[0] ?? null;
export const businessName = (chat) => businessOf(chat)?.verified_name || businessOf(chat)?.display_phone_number || "Business";
