/**
 * The screens of a flow as a form, as far as a person needs them to answer: texts, inputs, choices, dates and the
 * button at the foot. Conditions and the business's own endpoint are not simulated: a screen that would ask it
 * leads on to the next one.
 */

import { el } from "./dom.js";

const TEXTS = { TextHeading: "h3", TextSubheading: "h4", TextBody: "p", TextCaption: "small" };
const INPUT_TYPES = { email: "email", number: "number", password: "password", passcode: "password", phone: "tel" };

/** Draws the first screen into `body`; `done` gets the answers once the last one is sent. */
export function buildFlow(body, { json, screen, data }, done) {
  const screens = Array.isArray(json?.screens) ? json.screens : [];
  const start = screens.find((known) => known.id === screen) ?? screens[0] ?? FREE_SCREEN;
  const answers = {};
  const show = (current) => body.replaceChildren(screenNode(current, { answers, data }, (action, values) => {
    Object.assign(answers, values);
    const next = nextScreen(screens, current, action);
    if (next) show(next);
    else done(result(action, answers, data));
  }));
  show(start);
}

/** For a flow whose JSON is not here. */
const FREE_SCREEN = {
  id: "FREE",
  title: "This flow has no screens here",
  layout: { children: [
    { type: "TextArea", name: "answer", label: "Your answer" },
    { type: "Footer", label: "Send", "on-click-action": { name: "complete" } },
  ] },
};

function nextScreen(screens, current, action) {
  if (action?.name === "navigate") return screens.find((screen) => screen.id === action.next?.name) ?? null;
  const follows = screens[screens.indexOf(current) + 1];
  return action?.name === "data_exchange" && !current.terminal ? follows ?? null : null;
}

/** What the last button says is sent; all answers if it says nothing. */
function result(action, answers, data) {
  const payload = action?.payload;
  if (!payload || Object.keys(payload).length === 0) return answers;
  return Object.fromEntries(Object.entries(payload).map(([name, value]) => [name, resolve(value, { answers, data })]));
}

/** `${form.name}`, `${screen.X.form.name}` and `${data.name}` stand for values. */
function resolve(value, { answers, data }) {
  const reference = /^\$\{(.+)\}$/u.exec(typeof value === "string" ? value : "")?.[1];
  if (!reference) return value;
  const name = reference.split(".").at(-1);
  return /(?:^|\.)form\./u.test(reference) ? answers[name] ?? "" : data?.[name] ?? "";
}

function flatten(children) {
  return (children ?? []).flatMap((child) => {
    if (child.type === "Form") return flatten(child.children);
    if (child.type === "If") return flatten(child.then);
    return [child];
  });
}

function screenNode(screen, known, proceed) {
  const parts = flatten(screen.layout?.children);
  const footer = parts.find((part) => part.type === "Footer");
  const trouble = el("p", { class: "field-trouble", role: "alert" });
  const form = el("form", { class: "flow", novalidate: true, "data-screen": screen.id },
    screen.title && el("h3", { class: "flow-title", dir: "auto" }, String(resolve(screen.title, known))),
    ...parts.filter((part) => part !== footer).map((part) => partNode(part, known)).filter(Boolean),
    trouble,
    el("div", { class: "sheet-buttons" }, el("button", { class: "primary wide-button", type: "submit" }, footer?.label ?? "Send")));
  form.addEventListener("input", () => { trouble.textContent = ""; });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const values = valuesOf(form, parts);
    const missing = parts.find((part) => part.required === true && isEmpty(values[part.name]));
    if (missing) trouble.textContent = `“${missing.label ?? missing.name}” is required.`;
    else proceed(footer?.["on-click-action"], values);
  });
  return form;
}

const isEmpty = (value) => value === undefined || value === "" || value === false || (Array.isArray(value) && value.length === 0);

function valuesOf(form, parts) {
  const data = new FormData(form);
  const values = {};
  for (const part of parts) {
    if (!part.name || TEXTS[part.type]) continue;
    if (part.type === "CheckboxGroup" || part.type === "ChipsSelector") values[part.name] = data.getAll(part.name);
    else if (part.type === "OptIn") values[part.name] = data.has(part.name);
    else values[part.name] = data.get(part.name) ?? "";
  }
  return values;
}

function partNode(part, known) {
  const words = (value) => String(resolve(value ?? "", known));
  if (TEXTS[part.type]) return el(TEXTS[part.type], { dir: "auto" }, [].concat(part.text ?? "").map(words).join("\n"));
  const id = `flow-${part.name}`;
  const label = el("label", { for: id, dir: "auto" }, words(part.label));
  const note = part["helper-text"] && el("small", {}, words(part["helper-text"]));
  switch (part.type) {
    case "TextInput":
      return el("div", { class: "field" }, label, el("input", { id, name: part.name, type: INPUT_TYPES[part["input-type"]] ?? "text", value: words(part["init-value"]), autocomplete: "off" }), note);
    case "TextArea":
      return el("div", { class: "field" }, label, el("textarea", { id, name: part.name, rows: "3" }), note);
    case "DatePicker": case "CalendarPicker":
      return el("div", { class: "field" }, label, el("input", { id, name: part.name, type: "date" }), note);
    case "Dropdown":
      return el("div", { class: "field" }, label, el("select", { id, name: part.name },
        el("option", { value: "" }, "Choose"), ...options(part, known).map((option) => el("option", { value: option.id }, option.title ?? option.id))), note);
    case "RadioButtonsGroup": return choiceNode(part, known, "radio", words(part.label));
    case "CheckboxGroup": case "ChipsSelector": return choiceNode(part, known, "checkbox", words(part.label));
    case "OptIn":
      return el("label", { class: "choice" }, el("span", { class: "choice-words", dir: "auto" }, words(part.label)), el("input", { type: "checkbox", name: part.name }));
    default: return null;
  }
}

function options(part, known) {
  const source = resolve(part["data-source"], known);
  return Array.isArray(source) ? source.map((option) => (typeof option === "string" ? { id: option } : option)) : [];
}

function choiceNode(part, known, type, label) {
  return el("fieldset", { class: "choices" }, el("legend", { dir: "auto" }, label),
    ...options(part, known).map((option) => el("label", { class: "choice" },
      el("span", { class: "choice-words", dir: "auto" }, option.title ?? option.id, option.description && el("small", {}, option.description)),
      el("input", { type, name: part.name, value: option.id }))));
}
