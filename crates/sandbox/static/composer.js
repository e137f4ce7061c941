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
/** Messages that may wait until those before them are sent; further ones stay where they are. */
const OUTGOING_MAX = 50;
/** Which files a kind of message carries, in patterns and in words. */
const KINDS = {
  image: [/^image\/(?:jpeg|png)$/u, "a JPEG or PNG picture"],
  video: [/^video\/(?:mp4|3gpp)$/u, "an MP4 or 3GPP video"],
  audio: [/^audio\/(?:aac|amr|mpeg|mp4|ogg)$/u, "an AAC, AMR, MP3, MP4 or OGG recording"],
  sticker: [/^image\/webp$/u, "a WebP picture"],
  document: [/^/u, "any file"],
};
const WITH_CAPTION = ["image", "video", "document"];

/** What was given to send and has not been, in order; the first one is on its way. */
const outgoing = [];
/** As what the file may be sent that is being picked. */
let pickedKinds = [];

export function fitComposer() {
  const input = byId("composer-text");
  input.style.height = "";
  if (input.value) input.style.height = `${Math.min(COMPOSER_MAX_PX, input.scrollHeight + 2)}px`;
  byId("composer-send").disabled = input.value.trim() === "";
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

/**
 * Sends what `build` makes, when it is its turn; false if no chat is open or too many wait. Where it fails, `text`
 * goes back into the box.
 */
function give(text, build) {
  if (!state.active) return false;
  if (outgoing.length >= OUTGOING_MAX) {
    noteTrouble("Not sent: too many messages wait");
    return false;
  }
  outgoing.push({ chat: state.active, quoted: state.quoted, text, build });
  state.quoted = null;
  drawQuoted();
  if (outgoing.length === 1) sendOutgoing();
  return true;
}

async function sendOutgoing() {
  while (outgoing.length > 0) {
    const [next] = outgoing;
    const error = await carryOut(next);
    outgoing.shift();
    if (error) takeBack(next);
  }
}

async function carryOut({ chat, quoted, build }) {
  try {
    return await send(chat, await build(), quoted);
  } catch (error) {
    noteTrouble(`Not sent: ${error.message}`);
    return error;
  }
}

/** Its words go back into the box, and so does what was to follow: nothing overtakes it. */
function takeBack(failed) {
  const key = keyOf(failed.chat);
  const following = outgoing.filter(({ chat }) => keyOf(chat) === key);
  for (const entry of following) outgoing.splice(outgoing.indexOf(entry), 1);
  const input = byId("composer-text");
  const shown = state.active !== null && keyOf(state.active) === key;
  const typed = shown ? input.value : state.drafts.get(key) ?? "";
  const texts = [failed, ...following].map(({ text }) => text);
  const whole = [...texts, typed].filter((text) => text !== "").join("\n");
  if (following.some(({ text }) => text === "")) noteTrouble(`${state.trouble}; nor was what followed`);
  if (!shown) {
    state.drafts.set(key, whole);
    return;
  }
  input.value = whole;
  state.quoted ??= failed.quoted;
  drawQuoted();
  fitComposer();
}

function sendText() {
  const input = byId("composer-text");
  const text = input.value;
  if (text.trim() === "") return;
  if (give(text, () => ({ type: "text", text: { body: text } }))) input.value = "";
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

/** Sends a file as one of these kinds; what stands in the box goes along as its caption. */
function sendFile(file, kinds) {
  const mime = file.type || "application/octet-stream";
  const kind = kinds.find((name) => KINDS[name][0].test(mime));
  if (!kind) {
    const wanted = kinds.map((name) => KINDS[name][1]).join(" or ");
    noteTrouble(`Not sent: this takes ${wanted}; a document may be any file`);
    return;
  }
  if (file.size > FILE_MAX_BYTES) {
    noteTrouble("Not sent: the file has more than 20 MB");
    return;
  }
  const input = byId("composer-text");
  const caption = WITH_CAPTION.includes(kind) && input.value.trim() !== "" ? input.value : "";
  const content = { mime_type: mime, ...(kind === "document" && { filename: file.name }), ...(caption && { caption }) };
  const given = give(caption, async () => ({ type: kind, [kind]: { ...content, data: await base64Of(file) } }));
  if (given && caption) input.value = "";
  fitComposer();
}

function attach() {
  askAttachment({
    file: (accept, kinds) => {
      const picker = byId("file");
      pickedKinds = kinds;
      picker.accept = accept;
      picker.click();
    },
    location: () => askLocation((location) => give("", () => ({ type: "location", location }))),
    contact: () => askContact((contact) => give("", () => ({ type: "contacts", contacts: [contact] }))),
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
    if (file) sendFile(file, pickedKinds);
  });
  byId("quoting-drop").addEventListener("click", () => {
    state.quoted = null;
    drawQuoted();
    input.focus();
  });
}
