/**
 * What a bubble may hold, by the type of its message: text, media, a place, contact cards. Buttons and everything
 * around them are drawn in `cards.js`.
 *
 * Each drawing appends to the bubble's box and returns the classes that the box needs, if any, or
 * `{className, after}` with a node below the time.
 */

import { playedVoice } from "./answers.js";
import { drawInteractive, drawTemplate } from "./cards.js";
import { el, icon, isOurs, safeUrl, setText } from "./dom.js";
import { showPicture } from "./sheets.js";
import { captionNode, initials, isOnlyEmoji, sizeText, summaryOfKind, textNode, tone } from "./text.js";

const LEAF_KINDS = [
  ["leaf-pdf", /pdf/],
  ["leaf-sheet", /sheet|excel|csv/],
  ["leaf-slides", /presentation|powerpoint/],
  ["leaf-text", /word|text|rtf/],
];

/** The content of the Cloud API message object for this bubble's type. */
export const rawContent = (bubble) => bubble.raw?.[bubble.type] ?? bubble.raw ?? {};

function pictureNode(address, description) {
  const image = el("img", { src: address, alt: description, decoding: "async", referrerpolicy: "no-referrer" });
  const frame = el("button", { class: "picture", type: "button", "aria-label": `Enlarge: ${description}` }, image);
  frame.addEventListener("click", () => showPicture(address, description));
  image.addEventListener("load", () => {
    frame.classList.toggle("small", image.naturalWidth < 200 && image.naturalHeight < 160);
  });
  image.addEventListener("error", () => frame.replaceWith(missingNode("This picture could not be loaded")));
  return frame;
}

const missingNode = (text, name = "image") =>
  el("div", { class: "picture broken" }, el("div", {}, icon(name), text));

function fileNode(media, kind) {
  const href = media?.url ? safeUrl(media.url) : null;
  const name = media?.filename || summaryOfKind(kind);
  const mime = media?.mime_type ?? "";
  const extension = /\.([a-z0-9]{1,5})$/i.exec(name)?.[1] ?? mime.split(/[/;+.-]/u)[1]?.slice(0, 5) ?? "";
  const leafKind = LEAF_KINDS.find(([, pattern]) => pattern.test(`${mime} ${extension}`.toLowerCase()))?.[0] ?? "";
  const elsewhere = href !== null && !isOurs(href);
  const facts = [extension.toUpperCase(), sizeText(media?.size), elsewhere && new URL(href).host].filter(Boolean);
  const parts = [
    el("span", { class: `leaf ${leafKind}`, "aria-hidden": true }, extension || "file"),
    el("span", {}, el("span", { class: "file-name", dir: "auto" }, name), el("span", { class: "file-facts" }, facts.join(" · "))),
  ];
  if (!href) return el("div", { class: "file" }, ...parts);
  const opening = elsewhere ? { target: "_blank", rel: "noopener noreferrer" } : { download: media.filename || true };
  return el("a", { class: "file", href, ...opening }, ...parts, icon(elsewhere ? "open" : "download"));
}

/** Any media of a message or of a header; what the page may not play is a file to open. */
export function mediaNode(kind, media, description) {
  const href = media?.url ? safeUrl(media.url) : null;
  if (kind === "image") return href ? pictureNode(href, description || "Picture") : missingNode("Picture");
  if (kind !== "video" || href === null || !isOurs(href)) return fileNode(media, kind);
  return el("video", { class: "film", src: href, controls: true, preload: "metadata", "aria-label": description || "Video" });
}

export function drawText(box, bubble) {
  const text = bubble.text ?? "";
  const node = textNode(text);
  node.classList.toggle("big", isOnlyEmoji(text));
  box.append(node);
}

function drawMedia(box, bubble) {
  box.append(mediaNode(bubble.type, bubble.media, bubble.text));
  if (bubble.text) box.append(captionNode(textNode(bubble.text)));
  return bubble.text || bubble.type !== "image" ? "wide" : "wide overlaid";
}

function drawAudio(box, bubble) {
  const href = bubble.media?.url ? safeUrl(bubble.media.url) : null;
  if (href === null || !isOurs(href)) return drawMedia(box, bubble);
  const isVoice = rawContent(bubble).voice === true;
  box.append(soundNode(href, bubble, isVoice));
  return isVoice ? "wide voice" : "wide";
}

const soundTimeText = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;

/** A player as a phone draws it: one button, a line to seek on, the time; a microphone if it was spoken. */
function soundNode(href, bubble, isVoice) {
  const audio = el("audio", { src: href, preload: "metadata" });
  const button = el("button", { class: "disc", type: "button", "aria-label": "Play" }, icon("play"));
  const seek = el("input", { type: "range", min: "0", max: "0", step: "0.1", value: "0", "aria-label": "Position in the recording" });
  const time = el("span", { class: "sound-time" }, "0:00");
  const spoken = isVoice && el("span", { class: "spoken", role: "img", "aria-label": "Voice message", title: "Voice message" }, icon("audio"));
  const node = el("div", { class: "sound" }, button, seek, time, spoken, audio);
  const drawState = () => {
    button.setAttribute("aria-label", audio.paused ? "Play" : "Pause");
    button.replaceChildren(icon(audio.paused ? "play" : "pause"));
  };
  const drawTime = () => {
    const length = Number.isFinite(audio.duration) ? audio.duration : 0;
    seek.max = String(length);
    seek.value = String(audio.currentTime);
    setText(time, soundTimeText(audio.currentTime > 0 ? audio.currentTime : length));
  };
  button.addEventListener("click", () => (audio.paused ? audio.play().catch(drawState) : audio.pause()));
  seek.addEventListener("input", () => { audio.currentTime = Number(seek.value); });
  for (const name of ["play", "pause", "ended"]) audio.addEventListener(name, drawState);
  for (const name of ["durationchange", "timeupdate"]) audio.addEventListener(name, drawTime);
  if (isVoice && bubble.direction === "out") audio.addEventListener("play", () => playedVoice(bubble.id), { once: true });
  audio.addEventListener("error", () => node.replaceWith(fileNode(bubble.media, bubble.type)));
  return node;
}

function drawSticker(box, bubble) {
  const href = bubble.media?.url ? safeUrl(bubble.media.url) : null;
  if (href === null) return drawMedia(box, bubble);
  box.append(el("img", { class: "sticker", src: href, alt: "Sticker", referrerpolicy: "no-referrer" }));
  return "bare";
}

function drawLocation(box, bubble) {
  box.append(placeNode(rawContent(bubble)));
  return "wide";
}

/** A drawn map with a pin; below it the name, the address and the coordinates, which lead to a real map. */
export function placeNode(place) {
  const [latitude, longitude] = [place.latitude, place.longitude].map((degrees) => Number(degrees).toFixed(5));
  const coordinates = `${latitude}, ${longitude}`;
  const map = new URL("https://www.openstreetmap.org/");
  map.search = new URLSearchParams({ mlat: latitude, mlon: longitude }).toString();
  const more = safeUrl(place.url ?? "") && /^https?:/u.test(place.url ?? "") ? place.url : null;
  return el("div", { class: "location" },
    mapNode(`Map pin at ${coordinates}`),
    el("div", { class: "caption place", dir: "auto" },
      el("b", {}, place.name || "Location"),
      place.address && el("small", {}, place.address),
      more && el("small", {}, outsideLink(more, more)),
      el("small", {}, outsideLink(map.href, coordinates))));
}

const outsideLink = (href, words) => el("a", { href, target: "_blank", rel: "noopener noreferrer nofollow" }, words);

/** A drawn landscape: fetching a real map would leave this machine. */
export function mapNode(description) {
  const make = (tag, attributes) => {
    const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    return node;
  };
  const svg = make("svg", { viewBox: "0 0 280 132", preserveAspectRatio: "xMidYMid slice", "aria-hidden": "true" });
  svg.append(
    make("rect", { class: "ground", width: 280, height: 132 }),
    make("path", { class: "water", d: "M0 104c50-22 84 14 132 6s92-30 148-12v34H0z" }),
    make("path", { class: "road", d: "M-6 34c70 4 96 46 152 40s84-48 140-44M92-6c2 46 40 60 50 80" }),
    make("path", { class: "path", d: "M20-4c4 30 30 34 26 58M196-4c-6 28 14 40 10 62M-4 78c34-8 60 2 92-12M228 46c18 4 34 0 56 8" }),
  );
  return el("div", { class: "map", role: "img", "aria-label": description }, svg, icon("pin"));
}

function drawContacts(box, bubble) {
  const cards = Array.isArray(bubble.raw?.contacts) ? bubble.raw.contacts : [];
  if (cards.length === 0) return drawUnknown(box, bubble);
  for (const card of cards) {
    const name = card.name?.formatted_name || card.name?.first_name || "Contact";
    const lines = [
      [card.org?.title, card.org?.company].filter(Boolean).join(", "),
      ...(card.phones ?? []).map((phone) => phone.phone || phone.wa_id),
      ...(card.emails ?? []).map((email) => email.email),
      ...(card.urls ?? []).map((link) => link.url),
      ...(card.addresses ?? []).map((address) => [address.street, address.zip, address.city, address.country].filter(Boolean).join(", ")),
    ].filter(Boolean);
    box.append(
      el("div", { class: "card-person" },
        el("span", { class: `avatar ${tone(name)}`, "aria-hidden": true }, initials(name)),
        el("div", {}, el("b", { dir: "auto" }, name), ...lines.map((line) => el("small", { dir: "auto" }, line)))),
    );
  }
  return "wide";
}

function drawPressedButton(box, bubble) {
  box.append(textNode(bubble.text ?? rawContent(bubble).text ?? ""));
}

function drawOrder(box, bubble) {
  const order = rawContent(bubble);
  const count = (order.product_items ?? []).reduce((sum, item) => sum + Number(item.quantity ?? 1), 0);
  box.append(captionNode(el("b", {}, `Order of ${count} item${count === 1 ? "" : "s"}`), " ", textNode(order.text ?? "")));
  return "wide";
}

export function drawUnknown(box, bubble) {
  box.append(captionNode(textNode(bubble.text || `A message of type “${bubble.type}”`)));
  if (bubble.raw) {
    box.append(el("details", { class: "raw" }, el("summary", {}, "As it was sent"), el("pre", {}, JSON.stringify(bubble.raw, null, 2))));
  }
  return "wide";
}

const DRAWINGS = {
  text: drawText, image: drawMedia, video: drawMedia, document: drawMedia, audio: drawAudio, sticker: drawSticker,
  template: drawTemplate, location: drawLocation, contacts: drawContacts, interactive: drawInteractive,
  button: drawPressedButton, order: drawOrder,
};

/** Draws the content of a bubble into `box`. */
export function drawContent(box, bubble, answered) {
  const drawn = (DRAWINGS[bubble.type] ?? drawUnknown)(box, bubble, answered) || "";
  return typeof drawn === "string" ? { className: drawn, after: null } : drawn;
}
