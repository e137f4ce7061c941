/**
 * Keeps what the page knows as the sandbox has it: asks anew when an event says so, and now and then without one.
 * It draws nothing.
 */

import { fetchChats, fetchMessages, openEvents } from "./api.js";
import { keyOf, state, tell } from "./state.js";

const REFRESH_GAP_MS = 150;
/** A refresh that took long (ten thousand chats) is repeated the more seldom. */
const REFRESH_GAP_PER_TASK = 3;
const POLL_OFFLINE_MS = 2_000;
const POLL_LIVE_MS = 20_000;
const RECONNECT_MIN_MS = 1_000;
const RECONNECT_MAX_MS = 15_000;

let events = null;
let reconnectMs = RECONNECT_MIN_MS;
let askedAt = 0;

const byNewest = (a, b) => (b.last?.at_ms ?? 0) - (a.last?.at_ms ?? 0) || (a.name ?? "").localeCompare(b.name ?? "");

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

export const refreshChats = coalesced(async () => {
  askedAt = performance.now();
  try {
    const reply = await fetchChats();
    noteAnswer(reply.now_ms);
    state.numbers = reply.numbers ?? [];
    state.chats = reply.data.sort(byNewest);
    tell("chats");
  } catch {
    setLive("off");
  }
});

export const refreshMessages = coalesced(async () => {
  const chat = state.active;
  if (!chat) return;
  try {
    const reply = await fetchMessages(chat);
    if (!state.active || keyOf(chat) !== keyOf(state.active)) return;
    noteAnswer(reply.now_ms);
    state.bubbles = reply.data;
    state.unlistedWindowMs = reply.chat.window_open_until_ms;
    tell("bubbles");
  } catch {
    setLive("off");
  }
});

export function refreshAll() {
  refreshChats();
  refreshMessages();
}

/** Events may be missing and the clock may be advanced: what was not asked for lately is asked for. */
export function refreshStale() {
  const waitMs = state.live === "on" ? POLL_LIVE_MS : POLL_OFFLINE_MS;
  if (performance.now() - askedAt >= waitMs) refreshAll();
}

/** A call was answered: whether the page is live hangs on the events alone. */
function noteAnswer(serverMs) {
  state.clockOffsetMs = serverMs - Date.now();
  if (events?.readyState === EventSource.OPEN) setLive("on");
}

function setLive(live) {
  state.live = live;
  tell("live");
}

export function connectEvents() {
  const source = openEvents();
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
