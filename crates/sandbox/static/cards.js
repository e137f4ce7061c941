/**
 * Messages with buttons: interactive messages and templates. A tap on a button is carried out in `answers.js` or
 * asks in a sheet first.
 *
 * `answered` says what the person already tapped: `{ids, any}`. Reply buttons work once, as on a phone.
 */

import { tap } from "./answers.js";
import { el, icon, safeUrl, setText } from "./dom.js";
import { mediaNode } from "./media.js";
import { placeNode } from "./place.js";
import { askAddress, askFlow, askList, askLocation } from "./sheets.js";
import { rawContent } from "./state.js";
import { captionNode, phoneText, summaryOfKind, textNode } from "./text.js";

const MEDIA_KINDS = ["image", "video", "document"];
const COPIED_MS = 2_000;

/** One button: `act` is called on a tap; without it the button only shows. */
function buttonRow({ iconName, label, title, act, href, pressed, disabled, data }) {
  const content = [iconName && icon(pressed ? "sent" : iconName), el("span", { dir: "auto" }, label)];
  if (href) {
    const attributes = { class: "press", href, title, target: "_blank", rel: "noopener noreferrer nofollow" };
    return el("li", {}, el("a", attributes, ...content));
  }
  if (!act) return el("li", {}, el("span", { class: "press idle", title }, ...content));
  const attributes = { class: "press", type: "button", title, disabled, "aria-pressed": pressed ? "true" : null, "data-button": data };
  const button = el("button", attributes, ...content);
  button.addEventListener("click", () => act(button));
  return el("li", {}, button);
}

function buttonList(rows) {
  return rows.length > 0 && el("ul", { class: "buttons", "aria-label": "Buttons" }, ...rows);
}

const replyRow = (bubble, answered, id, label) => buttonRow({
  iconName: "reply",
  label,
  data: id,
  pressed: answered.ids.has(id),
  disabled: answered.any,
  act: () => tap(bubble, { id }),
});

function linkRow(label, url) {
  const href = /^https?:/iu.test(url ?? "") ? safeUrl(url) : null;
  return buttonRow({ iconName: "open", label, title: url, href });
}

function copyRow(label, code) {
  const copy = async (button) => {
    const words = button.querySelector("span");
    const copied = await navigator.clipboard.writeText(code).then(() => true, () => false);
    // Without the clipboard (an address that is not secure) the code is at least shown.
    setText(words, copied ? "Copied" : code);
    setTimeout(() => setText(words, label), COPIED_MS);
  };
  return buttonRow({ iconName: "copy", label, title: code, act: code ? copy : null, data: "copy" });
}

/** Nobody can be called from here: a tap shows the number. */
function phoneRow(label, digits) {
  const number = phoneText(digits);
  return buttonRow({ iconName: "phone", label, title: number, act: (button) => setText(button.querySelector("span"), number), data: "phone" });
}

const flowRow = (bubble, answered, label, flow) => buttonRow({
  iconName: "form",
  label: answered.any ? "Response sent" : label,
  pressed: answered.any,
  disabled: answered.any,
  data: "flow",
  act: () => askFlow(flow, (values) => tap(bubble, { flow: values })),
});

// ---------------------------------------------------------------- templates

/** Draws a template message; `null` if there is none to draw. */
export function drawTemplate(box, bubble, answered) {
  const template = bubble.template;
  if (!template) return null;
  drawTemplatePart(box, template, bubble.text);
  box.append(captionNode(el("span", { class: "card-name", title: "The template’s name and language" }, `${template.name} · ${template.language}`)));
  const buttons = buttonList(template.buttons.map((button) => templateButton(bubble, answered, button)));
  if (!template.cards?.length) return { className: "wide", after: buttons };
  const cards = template.cards.map((card) => {
    const node = el("div");
    drawTemplatePart(node, card, "");
    node.append(buttonList(card.buttons.map((button) => templateButton(bubble, answered, button))) || "");
    return node;
  });
  return { className: "wide", after: carouselNode(cards) };
}

function drawTemplatePart(box, part, fallback) {
  drawHeader(box, part.header?.type, part.header?.text, part.header?.media, part.header?.location);
  box.append(captionNode(textNode(part.body || fallback || "")));
  if (part.footer) box.append(captionNode(el("span", { class: "card-foot", dir: "auto" }, part.footer)));
}

function drawHeader(box, type, text, media, location) {
  if (type === "text") box.append(el("p", { class: "card-head", dir: "auto" }, text ?? ""));
  else if (type === "location" && location) box.append(placeNode(location));
  else if (MEDIA_KINDS.includes(type)) box.append(mediaNode(type, media, "Header"));
}

function templateButton(bubble, answered, button) {
  const label = button.text || summaryOfKind("");
  switch (button.type) {
    case "QUICK_REPLY": return replyRow(bubble, answered, button.payload ?? label, label);
    case "URL": return linkRow(label, button.url);
    case "PHONE_NUMBER": return phoneRow(label, String(button.phone_number ?? "").replace(/\D/gu, ""));
    case "COPY_CODE": return copyRow(button.text || "Copy offer code", button.code);
    case "OTP": return copyRow(label, button.code);
    case "FLOW": return flowRow(bubble, answered, label, { id: button.flow_id, screen: null, data: {} });
    case "VOICE_CALL": return buttonRow({ iconName: "phone", label });
    default: return buttonRow({ label });
  }
}

// ---------------------------------------------------------------- interactive

/** Draws an interactive message or an answer to one; `null` if it holds neither. */
export function drawInteractive(box, bubble, answered) {
  const content = rawContent(bubble);
  const reply = content.button_reply ?? content.list_reply;
  if (reply) return drawReply(box, reply);
  if (content.nfm_reply) return drawFormReply(box, content.nfm_reply);
  if (content.call_permission_reply) {
    const allowed = content.call_permission_reply.response === "accept";
    box.append(textNode(allowed ? "You may call me" : "Please do not call me"));
    return "";
  }
  if (!content.body && !content.action) return null;
  drawInteractiveCard(box, content, bubble.media);
  const cards = content.action?.cards ?? [];
  if (cards.length === 0) return { className: "wide", after: buttonList(actionRows(content, bubble, answered)) };
  const nodes = cards.map((card, index) => {
    const node = el("div");
    drawInteractiveCard(node, card, bubble.card_media?.[index]);
    node.append(buttonList(actionRows(card, bubble, answered)) || "");
    return node;
  });
  return { className: "wide", after: carouselNode(nodes) };
}

function drawReply(box, reply) {
  box.append(textNode(reply.title ?? ""));
  if (reply.description) box.append(el("small", { class: "reply-note", dir: "auto" }, reply.description));
  return "";
}

/** A form that was sent: the answers, without the token. */
function drawFormReply(box, reply) {
  let values = {};
  try {
    values = JSON.parse(reply.response_json ?? "{}");
  } catch {
    // Shown as sent without its answers.
  }
  const rows = Object.entries(values.values ?? values).filter(([name]) => name !== "flow_token");
  box.append(
    el("div", { class: "form-reply" }, icon("form"), el("b", {}, reply.name === "address_message" ? "Address" : "Form sent")),
    el("dl", { class: "answers" }, ...rows.flatMap(([name, value]) => [
      el("dt", {}, name.replaceAll("_", " ")),
      el("dd", { dir: "auto" }, typeof value === "string" ? value : JSON.stringify(value)),
    ])));
  return rows.length > 0 ? "wide" : "";
}

function drawInteractiveCard(box, content, media) {
  const header = content.header;
  drawHeader(box, header?.type, header?.text, media, null);
  if (content.body?.text) box.append(captionNode(textNode(content.body.text)));
  if (content.footer?.text) box.append(captionNode(el("span", { class: "card-foot", dir: "auto" }, content.footer.text)));
}

/** The buttons under an interactive message or card, by the action's kind. */
function actionRows(content, bubble, answered) {
  const action = content.action ?? {};
  const parameters = action.parameters ?? {};
  if (action.buttons) {
    return action.buttons.map((button) => {
      const reply = button.reply ?? button.quick_reply ?? {};
      return replyRow(bubble, answered, reply.id, reply.title ?? "");
    });
  }
  const act = {
    list: () => askList(action, (id) => tap(bubble, { id })),
    location_request_message: () => askLocation((location) => tap(bubble, { location })),
    address_message: () => askAddress((address) => tap(bubble, { address })),
    contact_request: () => tap(bubble, {}),
    call_permission_request: () => tap(bubble, { accept: true }),
  }[content.type];
  switch (content.type) {
    case "list": return [buttonRow({ iconName: "list", label: action.button || "Options", act, data: "list" })];
    case "location_request_message": return [buttonRow({ iconName: "pin", label: "Send location", act, data: "location" })];
    case "address_message": return [buttonRow({ iconName: "pin", label: "Provide address", act, data: "address" })];
    case "contact_request": return [buttonRow({ iconName: "person", label: "Share contact", act, data: "contact" })];
    case "call_permission_request": return [
      buttonRow({ iconName: "phone", label: "Allow calls", act, data: "accept", disabled: answered.any }),
      buttonRow({ iconName: "close", label: "Do not allow", act: () => tap(bubble, { accept: false }), data: "reject", disabled: answered.any }),
    ];
    case "flow": return [flowRow(bubble, answered, parameters.flow_cta ?? "Open", {
      id: parameters.flow_id ?? parameters.flow_name,
      screen: parameters.flow_action_payload?.screen ?? null,
      data: parameters.flow_action_payload?.data ?? {},
    })];
    case "voice_call": return [buttonRow({ iconName: "phone", label: parameters.display_text ?? "Call now" })];
    case "product": case "product_list": case "catalog_message":
      return [buttonRow({ iconName: "list", label: "View catalogue" })];
    default: break;
  }
  if (action.name === "cta_url") return [linkRow(parameters.display_text ?? "Open", parameters.url)];
  return action.name ? [buttonRow({ label: String(action.name).replaceAll("_", " ") })] : [];
}

const carouselNode = (cards) =>
  el("div", { class: "carousel", tabindex: "0", role: "group", "aria-label": "Cards" }, ...cards);
