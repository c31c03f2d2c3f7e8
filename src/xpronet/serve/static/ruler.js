// Lines measured on a film, in millimetres where the header has the distance of two pixels, else in pixels.
const SVG = "http://www.w3.org/2000/svg";

const draw = (name, attributes, text = "") => {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.textContent = text;
  return element;
};

export class Ruler {
  constructor(film) {
    this.film = film;
    this.element = draw("svg", { class: "lines", "aria-hidden": "true" });
    this.lines = [];
    this.cursor = null;
    this.open = null;
  }

  clear() {
    this.lines = [];
    this.open = this.cursor = null;
    this.show();
  }

  // A line is open from its first point to its second one.
  begin(point) {
    this.open = { from: point, to: point };
    this.lines.push(this.open);
    this.show();
  }

  extend(point) {
    if (!this.open) return;
    this.open.to = point;
    this.show();
  }

  end() {
    const line = this.open;
    this.open = null;
    if (line && line.from.every((part, index) => Math.abs(part - line.to[index]) < 1)) this.lines.pop();
    this.show();
    return line && this.lines.includes(line) ? this.length(line) : "";
  }

  undo() {
    this.open = null;
    this.lines.pop();
    this.show();
  }

  length({ from, to }) {
    const { spacing, spacing_at: at } = this.film.header || {};
    // The image shown may be smaller than the one that the header describes.
    const [wide, high] = [(to[0] - from[0]) * this.film.reduction, (to[1] - from[1]) * this.film.reduction];
    if (!spacing) return `${Math.hypot(wide, high).toFixed(0)} pixels`;
    return `${Math.hypot(wide * spacing[1], high * spacing[0]).toFixed(1)} mm${at === "detector" ? " at the detector" : ""}`;
  }

  // By keyboard: a cursor that Enter starts and ends a line at.
  step(right, down) {
    const { width, height } = this.film.size;
    const [x, y] = this.cursor ? this.film.toFilm(...this.cursor) : [width / 2, height / 2];
    this.cursor = this.film.toImage(Math.min(Math.max(x + right, 0), width), Math.min(Math.max(y + down, 0), height));
    this.extend(this.cursor);
    this.show();
  }

  press() {
    if (!this.cursor) this.step(0, 0);
    if (this.open) return this.end();
    this.begin(this.cursor);
    return "Line started: the arrows lead to its end, Enter ends it.";
  }

  show() {
    const parts = [];
    for (const line of this.lines) {
      const [x1, y1] = this.film.toFilm(...line.from);
      const [x2, y2] = this.film.toFilm(...line.to);
      for (const kind of ["under", "line"]) parts.push(draw("line", { class: kind, x1, y1, x2, y2 }));
      for (const [cx, cy] of [[x1, y1], [x2, y2]]) parts.push(draw("circle", { class: "end", cx, cy, r: 3 }));
      // Inside the film, whichever end is further to the right.
      const [x, y] = x2 > x1 ? [x2, y2] : [x1, y1];
      const toLeft = x > this.film.size.width - 150;
      parts.push(draw("text", { class: "length", x: x + (toLeft ? -8 : 8), y: Math.max(y - 6, 14), "text-anchor": toLeft ? "end" : "start" }, this.length(line)));
    }
    if (this.cursor && this.film.measuring) {
      const [x, y] = this.film.toFilm(...this.cursor);
      parts.push(draw("path", { class: "cursor", d: `M${x - 12} ${y}H${x + 12}M${x} ${y - 12}V${y + 12}` }));
    }
    this.element.replaceChildren(...parts);
  }
}
