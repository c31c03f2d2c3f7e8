// One film: its canvas, what is written over it, and where its image lies.
import { FINE } from "./heat.js";
import { make } from "./make.js";
import { Pixels } from "./pixels.js";
import { WHOLE, moved, scaleOf, toFilm, toImage, turned, zoomed } from "./placement.js";
import { Ruler } from "./ruler.js";
import { EIGHT_BITS, absolute, adjusted, greyTable, presets, relative, shiftOf, unitOf } from "./window_level.js";

const EDGES = ["left", "right", "top", "bottom"];
const CLOCKWISE = ["left", "top", "right", "bottom"];
const short = (value) => (Math.abs(value) >= 100 || Number.isInteger(value) ? value.toFixed(0) : value.toPrecision(3));

export class Film {
  // `record` is a `view` event.
  constructor(record, { prior = false } = {}) {
    this.record = record;
    this.header = record.header;
    this.prior = prior;
    this.place = { ...WHOLE };
    this.inverted = false;
    this.measuring = false;
    this.depth = EIGHT_BITS;
    this.window = EIGHT_BITS.windows[0];
    this.pixels = null;
    this.size = { width: 1, height: 1 };
    this.build(record);
    this.ruler = new Ruler(this);
    this.film.append(this.ruler.element);
    this.frame = 0;
    new ResizeObserver(() => this.resize()).observe(this.film);
  }

  get name() {
    const position = this.header?.position;
    return `${this.prior ? "Prior film" : "View"} ${this.record.number}${position ? ` ${position}` : ""}`;
  }

  build(record) {
    this.canvas = make("canvas", { class: "picture", role: "img", "aria-label": `${this.name}, ${this.prior ? "of the prior study" : "as uploaded"}` });
    this.heat = make("canvas", { class: "heat", width: FINE, height: FINE, "aria-hidden": "true" });
    this.stack = make("div", { class: "stack" }, this.heat);
    this.share = make("span", { class: "share" });
    this.values = make("p", { class: "corner values" });
    this.readout = make("p", { class: "corner readout" });
    this.facts = make("p", { class: "corner facts" }, this.factsLine());
    this.sides = Object.fromEntries(EDGES.map((edge) => [edge, make("span", { class: `side at-${edge}` })]));
    this.film = make("div", { class: "film", tabindex: "0", role: "group", "aria-label": `${this.name}: arrows move, plus and minus zoom, Enter shows it alone` },
      this.canvas, this.stack, this.facts, make("p", { class: "corner shares" }, this.share), this.values, this.readout, ...Object.values(this.sides));
    const caption = make("figcaption", {}, make("b", {}, `${record.number}`), this.header?.position || record.name);
    this.figure = make("figure", { class: this.prior ? "view prior" : "view" }, this.film, caption);
    // The heat map covers the square that the network saw.
    const [left, top, wide, high] = record.seen.map((part) => `${100 * part}%`);
    Object.assign(this.heat.style, { left, top, width: wide, height: high });
    this.showSides();
  }

  factsLine() {
    const { header } = this;
    const date = header?.AcquisitionDate || header?.ContentDate || header?.StudyDate || "";
    const parts = [dateOf(date), header?.SeriesDescription, header?.Laterality && `laterality ${header.Laterality}`];
    return parts.filter(Boolean).join(" · ");
  }

  // First the PNG of the event; the values in full depth take its place as they arrive.
  async load() {
    const image = new Image();
    image.src = this.record.image;
    await image.decode();
    const { width, height } = this.record;
    const canvas = new OffscreenCanvas(width, height);
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(image, 0, 0);
    const { data } = context.getImageData(0, 0, width, height);
    const values = new Uint8Array(width * height);
    for (let index = 0; index < values.length; index++) values[index] = data[4 * index];
    if (!this.pixels) this.setPixels(new Pixels(values, width, height), EIGHT_BITS);
  }

  // A `pixels` event; true when the last piece has come.
  receive({ start, data }) {
    const { depth } = this.record;
    const bytes = bytesOf(data);
    this.arriving ??= new (depth.type === "uint8" ? Uint8Array : Uint16Array)(depth.width * depth.height);
    if (depth.type === "uint8") this.arriving.set(bytes, start);
    else this.arriving.set(new Uint16Array(bytes.buffer, 0, bytes.length / 2), start);
    this.arrived = (this.arrived || 0) + bytes.length / this.arriving.BYTES_PER_ELEMENT;
    if (this.arrived < this.arriving.length) return false;
    if (depth.type === "int16") for (let index = 0; index < this.arriving.length; index++) this.arriving[index] ^= 0x8000;
    this.setPixels(new Pixels(this.arriving, depth.width, depth.height), depth);
    this.arriving = null;
    return true;
  }

  setPixels(pixels, depth) {
    const kept = this.pixels ? relative(this.depth, this.window) : null;
    const ruled = this.pixels ? pixels.width / this.pixels.width : 1;
    this.pixels = pixels;
    this.depth = depth;
    this.window = kept ? absolute(depth, kept) : depth.windows[0];
    for (const line of this.ruler.lines) for (const end of [line.from, line.to]) end.forEach((part, index) => { end[index] = part * ruled; });
    this.film.dataset.depth = depth.type;
    this.choices = null;
    this.table = null;
    this.draw();
  }

  // Pixels of the uploaded image for each pixel that is shown.
  get reduction() {
    return this.pixels ? this.record.full_size[0] / this.pixels.width : 1;
  }

  presets() {
    const { padding } = this.depth;
    this.choices ??= this.pixels ? presets(this.depth, this.pixels.range(padding && padding.map((value) => value + shiftOf(this.depth)))) : [];
    return this.choices;
  }

  resize() {
    const { clientWidth: width, clientHeight: height } = this.film;
    if (!width || !height) return;
    this.size = { width, height };
    const ratio = devicePixelRatio || 1;
    this.canvas.width = Math.round(width * ratio);
    this.canvas.height = Math.round(height * ratio);
    this.drawNow();
  }

  toImage(x, y) {
    return this.pixels ? toImage(this.place, this.pixels, this.size, x, y) : [0, 0];
  }

  toFilm(x, y) {
    return this.pixels ? toFilm(this.place, this.pixels, this.size, x, y) : [0, 0];
  }

  zoom(factor, x, y) {
    if (this.pixels) this.setPlace(zoomed(this.place, this.pixels, this.size, factor, x, y));
  }

  move(right, down) {
    if (this.pixels) this.setPlace(moved(this.place, this.pixels, this.size, right, down));
  }

  // One pixel of the image on one of the screen.
  zoomToPixels() {
    if (this.pixels) this.zoom(1 / (scaleOf(this.place, this.pixels, this.size) * (devicePixelRatio || 1)));
  }

  turn() {
    this.setPlace(turned(this.place));
  }

  fit() {
    this.setPlace({ ...WHOLE, turns: this.place.turns });
  }

  setPlace(place) {
    this.place = place;
    this.draw();
  }

  setWindow(window) {
    this.window = window;
    this.table = null;
    this.draw();
  }

  adjust(brighter, wider) {
    this.setWindow(adjusted(this.depth, this.window, brighter, wider));
  }

  get relativeWindow() {
    return relative(this.depth, this.window);
  }

  set relativeWindow(value) {
    this.setWindow(absolute(this.depth, value));
  }

  setInverted(inverted) {
    this.inverted = inverted;
    this.table = null;
    this.draw();
  }

  reset() {
    this.ruler.clear();
    this.inverted = false;
    this.place = { ...WHOLE };
    this.setWindow(this.depth.windows[0]);
  }

  // At most once for each frame of the screen.
  draw() {
    this.frame ||= requestAnimationFrame(() => this.drawNow());
  }

  drawNow() {
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    if (!this.pixels || !this.canvas.width || !this.film.clientWidth) return;
    this.table ??= greyTable(this.depth, this.window, this.inverted);
    this.paint(this.canvas, this.size);
    const scale = scaleOf(this.place, this.pixels, this.size);
    const [left, top] = this.toFilm(0, 0);
    Object.assign(this.stack.style, { width: `${scale * this.pixels.width}px`, height: `${scale * this.pixels.height}px`, transform: `translate(${left}px, ${top}px) rotate(${90 * this.place.turns}deg)` });
    this.values.textContent = `W ${short(this.window.width)} L ${short(this.window.centre)}${this.depth.units ? ` ${this.depth.units}` : ""} · ${this.place.zoom.toFixed(1)}×${this.inverted ? " · inverted" : ""}`;
    this.showSides();
    this.ruler.show();
  }

  paint(canvas, size, place = this.place) {
    const context = canvas.getContext("2d", { willReadFrequently: true });
    const image = context.createImageData(canvas.width, canvas.height);
    this.pixels.draw(image, place, size, this.table);
    context.putImageData(image, 0, 0);
  }

  // Sides of the patient, by the header, at the edges that they are at after turning.
  showSides() {
    const sides = this.header?.sides;
    if (!sides) return;
    const at = Object.fromEntries(EDGES.map((edge, index) => [edge, sides[index]]));
    CLOCKWISE.forEach((edge, index) => { this.sides[edge].textContent = at[CLOCKWISE[(index + 4 - this.place.turns) % 4]]; });
  }

  // The value under the pointer, in the units of the header.
  read(x, y) {
    const [column, row] = this.toImage(x, y);
    const value = this.pixels?.at(column, row) ?? null;
    this.readout.textContent = value === null ? "" : `x ${Math.floor(column)}, y ${Math.floor(row)}: ${short(unitOf(this.depth, value))}`;
  }
}

export function dateOf(date) {
  return /^\d{8}$/.test(date) ? `${date.slice(0, 4)}-${date.slice(4, 6)}-${date.slice(6)}` : date;
}

function bytesOf(base64) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(base64);
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let index = 0; index < text.length; index++) bytes[index] = text.charCodeAt(index);
  return bytes;
}
