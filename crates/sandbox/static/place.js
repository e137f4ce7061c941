/**
 * A place on a map that is only drawn: fetching a real one would leave this machine.
 */

import { el, icon, safeUrl } from "./dom.js";

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

/** A drawn landscape. */
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
