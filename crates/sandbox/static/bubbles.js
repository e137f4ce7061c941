/**
 * What a bubble may hold, by the type of its message: text, media, a place, contact cards. Buttons and everything
 * around them are drawn in `cards.js`, files in `media.js`.
 *
 * Each drawing appends to the bubble's box and returns the classes that the box needs, if any, or
 * `{className, after}` with a node below the time.
 */

import { drawInteractive, drawTemplate } from "./cards.js";
import { el, isOurs, safeUrl } from "./dom.js";
import { mediaNode, soundNode } from "./media.js";
import { placeNode } from "./place.js";
import { rawContent } from "./state.js";
import { captionNode, initials, isOnlyEmoji, textNode, tone } from "./text.js";

function drawText(box, bubble) {
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

function drawUnknown(box, bubble) {
  box.append(captionNode(textNode(bubble.text || `A message of type “${bubble.type}”`)));
  if (bubble.raw) {
    box.append(el("details", { class: "raw" }, el("summary", {}, "As it was sent"), el("pre", {}, JSON.stringify(bubble.raw, null, 2))));
  }
  return "wide";
}

const DRAWINGS = {
  text: drawText, image: drawMedia, video: drawMedia, document: drawMedia, audio: drawAudio, sticker: drawSticker,
  template: (box, bubble, answered) => drawTemplate(box, bubble, answered) ?? drawUnknown(box, bubble),
  interactive: (box, bubble, answered) =>
    drawInteractive(box, bubble, answered) ?? (bubble.text ? drawText : drawUnknown)(box, bubble),
  location: drawLocation, contacts: drawContacts, button: drawPressedButton, order: drawOrder,
};

/** Draws the content of a bubble into `box`; as it was sent if it cannot be drawn, so that the others still are. */
export function drawContent(box, bubble, answered) {
  const attempt = (draw) => {
    const part = document.createDocumentFragment();
    const drawn = draw(part, bubble, answered) || "";
    box.append(part);
    return typeof drawn === "string" ? { className: drawn, after: null } : drawn;
  };
  try {
    return attempt(DRAWINGS[bubble.type] ?? drawUnknown);
  } catch (error) {
    console.warn(`A message of type ${bubble.type} could not be drawn`, error);
    return attempt(drawUnknown);
  }
}
