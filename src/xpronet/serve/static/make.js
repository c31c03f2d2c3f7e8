// Elements and numbers as text. Strings from the server become text, never markup.
export function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

export const percent = (share, digits = 1) => `${(100 * share).toFixed(digits)} %`;

export function makeTrack(share, { above = false, limit = null } = {}) {
  const filled = make("div", { class: above ? "filled above" : "filled" });
  filled.style.width = `${100 * Math.min(Math.max(share, 0), 1)}%`;
  const track = make("div", { class: "track", "aria-hidden": "true" }, filled);
  if (limit !== null) {
    const stroke = make("div", { class: "limit" });
    stroke.style.left = `${100 * limit}%`;
    track.append(stroke);
  }
  return track;
}
