/**
 * What the page knows: chats, numbers, the shown chat with its bubbles; what follows from it; and a way to tell that
 * it changed. It asks and draws nothing. The page keeps nothing: a reload shows the same.
 */

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
  /** Messages of the shown chat that were already reported as read. */
  reportedRead: new Set(),
  drafts: new Map(),
  /** Until when the window of a chat that is not listed is open. */
  unlistedWindowMs: null,
  /** The bubble that the next message answers. */
  quoted: null,
  /** Why the last thing that the person did failed; empty if it did not. */
  trouble: "",
};

const changes = new EventTarget();

/** Tells whoever listens that something of the state changed: `chats`, `bubbles`, `answer`, `live`, `trouble`. */
export const tell = (what) => changes.dispatchEvent(new Event(what));
export const listen = (what, act) => changes.addEventListener(what, act);

export function noteTrouble(text) {
  state.trouble = text;
  tell("trouble");
}

export const now = () => Date.now() + state.clockOffsetMs;
export const keyOf = (chat) => `${chat.phone}/${chat.numberId}`;
export const numberIdOf = (chat) => (chat.number ?? state.numbers[0])?.phone_number_id ?? "";
export const refOf = (chat) => ({ phone: chat.phone, numberId: numberIdOf(chat) });
export const hashOf = (ref) => `#/${ref.phone}/${ref.numberId}`;
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

/** The content of the Cloud API message object for this bubble's type. */
export const rawContent = (bubble) => bubble.raw?.[bubble.type] ?? bubble.raw ?? {};
