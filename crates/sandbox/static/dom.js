/**
 * Elements: making them, finding them, keeping a list of them in step with data. Knows no message.
 *
 * Data reaches the page as text nodes and checked addresses only, never as markup.
 */

export const byId = (id) => document.getElementById(id);

/** Makes an element; strings among the children become text nodes, `null` and `false` are left out. */
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "class") node.className = value;
    else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** An icon of the page's own sprite. */
export function icon(name, className = "icon") {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", className);
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#icon-${name}`);
  svg.append(use);
  return svg;
}

/** The address if a browser may follow it without running anything, else `null`. */
export function safeUrl(address) {
  try {
    const url = new URL(address, location.href);
    return ["http:", "https:", "blob:"].includes(url.protocol) ? url.href : null;
  } catch {
    return null;
  }
}

export const isOurs = (address) => new URL(address, location.href).origin === location.origin;

export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

const CONTROLS = "button, a[href], input, select, textarea, summary";

/** What has the focus of `focused` when the row `before` becomes `after`: the same control, else the first one there. */
function heirOf(focused, before, after) {
  const now = [...after.querySelectorAll(CONTROLS)];
  const same = now[[...before.querySelectorAll(CONTROLS)].indexOf(focused)];
  return [same, ...now].find((control) => control && !control.disabled) ?? null;
}

/**
 * Makes the children of `list` those of `entries` (`key`, `signature`, `build`, `update`), keeping nodes whose
 * signature is unchanged so that a playing film goes on and the focus stays.
 */
export function reconcile(list, kept, entries) {
  const wanted = new Set(entries.map((entry) => entry.key));
  for (const [key, row] of kept) {
    if (wanted.has(key)) continue;
    row.node.remove();
    kept.delete(key);
  }
  let focused = document.activeElement;
  let cursor = list.firstElementChild;
  for (const entry of entries) {
    const before = kept.get(entry.key);
    let node = before?.node;
    if (before?.signature !== entry.signature) {
      node = entry.build();
      if (before?.node.contains(focused)) focused = heirOf(focused, before.node, node);
      if (before) before.node.replaceWith(node);
      if (before && cursor === before.node) cursor = node;
      kept.set(entry.key, { node, signature: entry.signature });
    }
    entry.update(node);
    if (node === cursor) cursor = cursor.nextElementSibling;
    else list.insertBefore(node, cursor);
  }
  if (focused && focused !== document.activeElement && list.contains(focused)) focused.focus({ preventScroll: true });
}
