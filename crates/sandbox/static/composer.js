/**
 * What stands below the log: the box to write in, the message that is quoted, what can be attached.
 */

import { send } from "./answers.js";
import { byId, setText } from "./dom.js";
import { askAttachment, askContact, askLocation } from "./sheets.js";
import { activeChat, keyOf, noteTrouble, state } from "./state.js";
import { businessName, personName, summaryOf } from "./text.js";

/** The control plane takes 32 MiB of JSON; base64 makes four bytes of three. */
const FILE_MAX_BYTES = 20 * 1_048_576;
const COMPOSER_MAX_PX = 136;
/** Which file is sent as what; anything else is a document. */
const KINDS = [
  ["image", /^image\/(?:jpeg|png)$/u],
  ["sticker", /^image\/webp$/u],
  ["video", /^video\/(?:mp4|3gpp)$/u],
  ["audio", /^audio\/(?:aac|amr|mpeg|mp4|ogg)$/u],
];
const WITH_CAPTION = ["image", "video", "document"];

export function fitComposer() {
  const input = byId("composer-text");
  input.style.height = "";
  if (input.value) input.style.height = `${Math.min(COMPOSER_MAX_PX, input.scrollHeight + 2)}px`;
  byId("composer-send").disabled = input.value.trim() === "" || state.sending;
}

/** The strip that says what the next message answers. */
export function drawQuoted() {
  const quoted = state.quoted;
  byId("quoting").hidden = quoted === null;
  const chat = activeChat();
  if (!quoted || !chat) return;
  setText(byId("quoting-who"), quoted.direction === "in" ? personName(chat) : businessName(chat));
  setText(byId("quoting-text"), summaryOf(quoted));
}

export function quote(bubble) {
  state.quoted = bubble;
  drawQuoted();
  byId("composer-text").focus();
}

async function sendText() {
  const input = byId("composer-text");
  const text = input.value;
  const chat = state.active;
  if (!chat || state.sending || text.trim() === "") return;
  input.value = "";
  const error = await whileSending(() => send({ type: "text", text: { body: text } }));
  if (error) keepUnsent(chat, text);
}

async function whileSending(task) {
  state.sending = true;
  fitComposer();
  try {
    return await task();
  } finally {
    state.sending = false;
    drawQuoted();
    fitComposer();
  }
}

function keepUnsent(chat, text) {
  const input = byId("composer-text");
  const shown = state.active && keyOf(chat) === keyOf(state.active);
  if (!shown) state.drafts.set(keyOf(chat), text);
  else if (input.value === "") input.value = text;
  fitComposer();
}

function base64Of(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.addEventListener("load", () => resolve(reader.result.slice(reader.result.indexOf(",") + 1)));
    reader.addEventListener("error", () => reject(new Error("the file could not be read")));
    reader.readAsDataURL(file);
  });
}

/** Sends a file; what stands in the box goes along as its caption. */
async function sendFile(file) {
  if (file.size > FILE_MAX_BYTES) {
    noteTrouble("Not sent: the file has more than 20 MB");
    return;
  }
  const mime = file.type || "application/octet-stream";
  const kind = KINDS.find(([, pattern]) => pattern.test(mime))?.[0] ?? "document";
  const input = byId("composer-text");
  const content = { mime_type: mime, filename: file.name };
  if (kind !== "document") delete content.filename;
  const takesCaption = WITH_CAPTION.includes(kind) && input.value.trim() !== "";
  if (takesCaption) content.caption = input.value;
  await whileSending(async () => {
    try {
      content.data = await base64Of(file);
    } catch (error) {
      noteTrouble(`Not sent: ${error.message}`);
      return;
    }
    const error = await send({ type: kind, [kind]: content });
    if (!error && takesCaption) input.value = "";
  });
}

function attach() {
  askAttachment({
    file: (accept) => {
      const picker = byId("file");
      picker.accept = accept;
      picker.click();
    },
    location: () => askLocation((location) => send({ type: "location", location })),
    contact: () => askContact((contact) => send({ type: "contacts", contacts: [contact] })),
  });
}

export function listenToComposer() {
  const input = byId("composer-text");
  input.addEventListener("input", () => {
    noteTrouble("");
    fitComposer();
  });
  input.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    sendText();
  });
  byId("composer").addEventListener("submit", (event) => {
    event.preventDefault();
    sendText();
    input.focus();
  });
  byId("attach").addEventListener("click", attach);
  byId("file").addEventListener("change", (event) => {
    const [file] = event.target.files;
    event.target.value = "";
    if (file) sendFile(file);
  });
  byId("quoting-drop").addEventListener("click", () => {
    state.quoted = null;
    drawQuoted();
    input.focus();
  });
}
