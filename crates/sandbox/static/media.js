/**
 * Pictures, films, recordings and files, wherever they stand: in a message, in a header, on a card.
 */

import { playedVoice } from "./answers.js";
import { el, icon, isOurs, safeUrl, setText } from "./dom.js";
import { showPicture } from "./sheets.js";
import { sizeText, summaryOfKind } from "./text.js";

const LEAF_KINDS = [
  ["leaf-pdf", /pdf/],
  ["leaf-sheet", /sheet|excel|csv/],
  ["leaf-slides", /presentation|powerpoint/],
  ["leaf-text", /word|text|rtf/],
];

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
  if (kind === "image") return href ? pictureNode(href, description || "Picture") : missingNode(media ? "This picture could not be loaded" : "Picture");
  if (kind !== "video" || href === null || !isOurs(href)) return fileNode(media, kind);
  return el("video", { class: "film", src: href, controls: true, preload: "metadata", "aria-label": description || "Video" });
}

const soundTimeText = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;

/** A player as a phone draws it: one button, a line to seek on, the time; a microphone if it was spoken. */
export function soundNode(href, bubble, isVoice) {
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
