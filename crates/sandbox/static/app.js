/**
 * The handset page: starts everything and keeps it current by the sandbox's events.
 *
 * Everything comes from `/_sandbox/…` of the same origin; the modules beside this one draw it.
 */

import { fetchChats, fetchMessages, openEvents } from "./api.js";
import { moveInList, drawPeople } from "./chats.js";
import { listenToComposer } from "./composer.js";
import { drawAll, drawConversation, followAddress, leaveUnknown, openNewest, reportRead, tick } from "./conversation.js";
import { byId, coalesced, setText } from "./dom.js";
import { noteScroll, scrollToEnd } from "./log.js";
import { listenToSheets, previewFlow } from "./sheets.js";
import { hashOf, keyOf, state } from "./state.js";

const POLL_OFFLINE_MS = 2_000;
const POLL_LIVE_MS = 20_000;
const RECONNECT_MIN_MS = 1_000;
const RECONNECT_MAX_MS = 15_000;

let events = null;
let reconnectMs = RECONNECT_MIN_MS;
let askedAt = 0;

const byNewest = (a, b) => (b.last?.at_ms ?? 0) - (a.last?.at_ms ?? 0) || (a.name ?? "").localeCompare(b.name ?? "");

export const refreshChats = coalesced(async () => {
  askedAt = performance.now();
  try {
    const reply = await fetchChats();
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

export const refreshMessages = coalesced(async () => {
  const chat = state.active;
  if (!chat) return;
  try {
    const reply = await fetchMessages(chat);
    if (!state.active || keyOf(chat) !== keyOf(state.active)) return;
    noteAnswer(reply.now_ms);
    state.bubbles = reply.data;
    state.unlistedWindowMs = reply.chat.window_open_until_ms;
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

/** Every second: the clocks; and now and then a look, for events may be missing and the clock may be advanced. */
function beat() {
  tick();
  const waitMs = state.live === "on" ? POLL_LIVE_MS : POLL_OFFLINE_MS;
  if (performance.now() - askedAt >= waitMs) refreshAll();
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

function listenToPage() {
  byId("filter").addEventListener("input", (event) => {
    state.filter = event.target.value;
    if (state.chats) drawPeople();
  });
  byId("chats").addEventListener("keydown", moveInList);
  byId("jump").addEventListener("click", scrollToEnd);
  byId("log").addEventListener("scroll", (event) => noteScroll(event.currentTarget), { passive: true });
  byId("copy").addEventListener("click", copyCommand);
  byId("number").addEventListener("change", (event) => {
    location.hash = hashOf({ phone: state.active.phone, numberId: event.target.value });
  });
  addEventListener("hashchange", followAddress);
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible") refreshAll();
  });
}

function start() {
  listenToComposer();
  listenToSheets();
  listenToPage();
  followAddress();
  refreshChats();
  connectEvents();
  beat();
  setInterval(beat, 1_000);
  const flow = new URLSearchParams(location.search).get("flow_preview");
  if (flow) previewFlow(flow);
}

start();
