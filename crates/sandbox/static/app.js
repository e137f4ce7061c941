/**
 * The handset page: starts everything, and says what is drawn when something changed.
 *
 * Everything comes from `/_sandbox/…` of the same origin; the modules beside this one ask for it and draw it.
 */

import { moveInList, drawPeople } from "./chats.js";
import { listenToComposer } from "./composer.js";
import { drawAll, drawConversation, drawTrouble, followAddress, leaveUnknown, openNewest, reportRead, tick } from "./conversation.js";
import { byId, setText } from "./dom.js";
import { noteScroll, scrollToEnd } from "./log.js";
import { connectEvents, refreshAll, refreshChats, refreshStale } from "./refresh.js";
import { listenToSheets, previewFlow } from "./sheets.js";
import { hashOf, listen, state } from "./state.js";

function listenToState() {
  listen("chats", () => {
    leaveUnknown();
    openNewest();
    drawAll();
  });
  listen("bubbles", () => {
    drawConversation();
    reportRead();
  });
  listen("answer", () => {
    drawConversation();
    scrollToEnd();
  });
  listen("live", drawLive);
  listen("trouble", drawTrouble);
}

function drawLive() {
  byId("live").dataset.live = state.live;
  setText(byId("live"), { on: "Live", off: "Reconnecting", connecting: "Connecting" }[state.live]);
  if (state.chats === null) drawConversation();
}

/** Every second: the clocks, and perhaps a look. */
function beat() {
  tick();
  refreshStale();
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
  listenToState();
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
