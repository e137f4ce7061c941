/**
 * Sheets: what slides up inside the phone to choose or fill in (a list, a place, a contact, a form, what to do with a
 * message), and the dialogs over the page (adding a person, a picture in full size). They ask; what is done with
 * the answer is the caller's.
 */

import { fetchFlow, postPerson } from "./api.js";
import { byId, el, icon } from "./dom.js";
import { buildFlow } from "./forms.js";
import { mapNode } from "./place.js";
import { refreshChats } from "./refresh.js";
import { hashOf, keyOf, refOf, state } from "./state.js";

const EMOJIS = ["👍", "❤️", "😂", "😮", "😢", "🙏"];
/** Where the person is, unless they say otherwise. */
const HERE = { name: "Royal Observatory", address: "Blackheath Avenue, London", latitude: 51.4769, longitude: -0.0005 };

/** Opens the sheet with a title and content; `close` ends it. */
function openSheet(title, build) {
  const sheet = byId("sheet");
  const close = () => sheet.close();
  const closing = el("button", { class: "round", type: "button", "aria-label": "Close", onclick: close }, icon("close"));
  const body = el("div", { class: "sheet-body" });
  sheet.replaceChildren(el("header", { class: "sheet-head" }, el("h2", { id: "sheet-title", dir: "auto" }, title), closing), body);
  build(body, close);
  placeSheet();
  sheet.showModal();
  return close;
}

/** The sheet stands at the foot of the phone, as wide as its screen. */
function placeSheet() {
  const sheet = byId("sheet");
  const phone = byId("conversation");
  const rim = Number.parseFloat(getComputedStyle(phone).borderLeftWidth) || 0;
  const shown = phone.getBoundingClientRect();
  // On a narrow page the phone may be out of sight behind the list.
  const frame = shown.width > 0 ? shown : new DOMRect(0, 0, innerWidth, innerHeight);
  sheet.style.left = `${frame.left + rim}px`;
  sheet.style.width = `${frame.width - 2 * rim}px`;
  sheet.style.bottom = `${innerHeight - frame.bottom + rim}px`;
  sheet.style.maxHeight = `${frame.height - 2 * rim - 70}px`;
}

/** A form with a button that sends; `read` makes the answer or throws what is wrong. */
function openForm(title, label, fields, read, done) {
  openSheet(title, (body, close) => {
    const trouble = el("p", { class: "field-trouble", role: "alert" });
    const form = el("form", { novalidate: true }, ...fields, trouble,
      el("div", { class: "sheet-buttons" }, el("button", { class: "primary wide-button", type: "submit" }, label)));
    form.addEventListener("input", () => { trouble.textContent = ""; });
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      try {
        const answer = read(new FormData(form));
        close();
        done(answer);
      } catch (error) {
        trouble.textContent = error.message;
      }
    });
    body.append(form);
  });
}

function field(name, label, value = "", attributes = {}) {
  const id = `sheet-${name}`;
  return el("div", { class: "field" },
    el("label", { for: id }, label),
    el("input", { id, name, value, type: "text", autocomplete: "off", maxlength: "200", ...attributes }));
}

export function askList(action, done) {
  const rows = (action.sections ?? []).flatMap((section) => [
    section.title && el("h3", { dir: "auto" }, section.title),
    ...(section.rows ?? []).map((row) => el("label", { class: "choice" },
      el("span", { class: "choice-words", dir: "auto" }, el("b", {}, row.title ?? ""), row.description && el("small", {}, row.description)),
      el("input", { type: "radio", name: "row", value: row.id }))),
  ]);
  openForm(action.button || "Options", "Send", rows.filter(Boolean), (data) => {
    if (!data.get("row")) throw new Error("Choose one of the options.");
    return data.get("row");
  }, done);
}

export function askLocation(done) {
  const fields = [
    el("div", { class: "sheet-map" }, mapNode("A drawn map")),
    field("name", "Name", HERE.name), field("address", "Address", HERE.address),
    el("div", { class: "pair" },
      field("latitude", "Latitude", String(HERE.latitude), { inputmode: "decimal" }),
      field("longitude", "Longitude", String(HERE.longitude), { inputmode: "decimal" })),
  ];
  openForm("Send a location", "Send location", fields, readLocation, done);
}

function readLocation(data) {
  const degrees = (name, max) => {
    const number = Number(data.get(name).replace(",", "."));
    if (data.get(name).trim() === "" || !(Math.abs(number) <= max)) throw new Error(`The ${name} is a number from -${max} to ${max}.`);
    return number;
  };
  const place = { latitude: degrees("latitude", 90), longitude: degrees("longitude", 180) };
  for (const name of ["name", "address"]) if (data.get(name).trim()) place[name] = data.get(name).trim();
  return place;
}

export function askContact(done) {
  const fields = [
    field("name", "Name", "Sam Sample"),
    field("phone", "Phone", "+1 555 000 7777", { type: "tel" }),
  ];
  openForm("Send a contact", "Send contact", fields, (data) => {
    const [name, phone] = [data.get("name").trim(), data.get("phone").trim()];
    if (!name || !phone) throw new Error("A contact has a name and a phone number.");
    const [first, ...rest] = name.split(/\s+/u);
    return {
      name: { formatted_name: name, first_name: first, ...(rest.length > 0 && { last_name: rest.join(" ") }) },
      phones: [{ phone, wa_id: phone.replace(/\D/gu, ""), type: "CELL" }],
    };
  }, done);
}

export function askAddress(done) {
  const names = { name: "Name", phone_number: "Phone", address: "Address", city: "City", in_pin_code: "Postal code" };
  const fields = Object.entries(names).map(([name, label]) => field(name, label));
  openForm("Your address", "Send address", fields, (data) => {
    const values = Object.fromEntries([...data].map(([name, value]) => [name, value.trim()]).filter(([, value]) => value));
    if (Object.keys(values).length === 0) throw new Error("Fill in at least one line.");
    return values;
  }, done);
}

/** A form of the business: its screens one after the other. */
export async function askFlow({ id, screen, data }, done) {
  const json = await fetchFlow(id ?? "").catch(() => null);
  openSheet("Form", (body, close) => {
    buildFlow(body, { json, screen, data }, (values) => {
      close();
      done(values);
    });
  });
}

/** The same without a message: the preview of a flow. */
export const previewFlow = (id) => askFlow({ id, screen: null, data: {} }, () => {});

/** `file` gets what the browser is to offer, and the kinds of message that the file may become. */
export function askAttachment({ file, location, contact }) {
  const choices = [
    ["image", "Picture or video", () => file("image/jpeg,image/png,video/mp4,video/3gpp", ["image", "video"])],
    ["audio", "Audio", () => file("audio/*", ["audio"])],
    ["document", "Document", () => file("", ["document"])],
    ["smile", "Sticker", () => file("image/webp", ["sticker"])],
    ["pin", "Location", location],
    ["person", "Contact", contact],
  ];
  openSheet("Send", (body, close) => {
    body.append(el("ul", { class: "tiles" }, ...choices.map(([name, label, act]) =>
      el("li", {}, el("button", { class: "tile-button", type: "button", "data-attach": name, onclick: () => { close(); act(); } },
        el("span", { class: `tile-icon tile-${name}` }, icon(name)), label)))));
  });
}

/** What to do with a message: react, or answer quoting it. */
export function askAction(bubble, { react, quote }) {
  const own = state.bubbles?.findLast((other) =>
    other.type === "reaction" && other.direction === "in" && other.raw?.reaction?.message_id === bubble.id)?.raw.reaction.emoji;
  openSheet("React or reply", (body, close) => {
    const emojis = EMOJIS.map((emoji) => {
      const given = emoji === own;
      const act = () => { close(); react(bubble, given ? "" : emoji); };
      return el("button", { class: "emoji", type: "button", "aria-pressed": String(given), "aria-label": given ? `Take back ${emoji}` : `React with ${emoji}`, onclick: act }, emoji);
    });
    const reply = el("button", { class: "quiet wide-button", type: "button", onclick: () => { close(); quote(bubble); } }, icon("reply"), "Reply to this message");
    body.append(el("div", { class: "emojis" }, ...emojis), reply);
  });
}

export function showPicture(address, description) {
  const image = byId("viewer-image");
  image.src = address;
  image.alt = description;
  byId("viewer").showModal();
}

async function addPerson(event) {
  event.preventDefault();
  const trouble = byId("add-trouble");
  const phone = byId("add-phone").value.replace(/[\s().+-]/gu, "");
  if (!/^\d{7,15}$/u.test(phone)) {
    trouble.textContent = "A phone number has 7 to 15 digits, country code first.";
    byId("add-phone").focus();
    return;
  }
  trouble.textContent = "";
  try {
    const chat = await postPerson(phone, byId("add-name").value.trim());
    if (!state.chats.some((known) => keyOf(refOf(known)) === keyOf(refOf(chat)))) state.chats.push(chat);
    byId("add").close();
    byId("add-form").reset();
    location.hash = hashOf(refOf(chat));
    refreshChats();
  } catch (error) {
    trouble.textContent = error.message;
  }
}

export function listenToSheets() {
  const open = () => {
    byId("add-trouble").textContent = "";
    byId("add").showModal();
  };
  byId("add-open").addEventListener("click", open);
  byId("welcome-add").addEventListener("click", open);
  byId("add-cancel").addEventListener("click", () => byId("add").close());
  byId("add-form").addEventListener("submit", addPerson);
  byId("viewer-close").addEventListener("click", () => byId("viewer").close());
  byId("viewer").addEventListener("click", (event) => {
    if (event.target !== byId("viewer-image") || event.offsetY < 56) byId("viewer").close();
  });
  const sheet = byId("sheet");
  sheet.addEventListener("click", (event) => {
    if (event.target === sheet) sheet.close();
  });
  addEventListener("resize", () => {
    if (sheet.open) placeSheet();
  });
}
