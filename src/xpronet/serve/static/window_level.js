// Window and level: from an image's values to the screen's greys, in the units of its header (DICOM PS3.3, C.11.2).
export const EIGHT_BITS = { type: "uint8", slope: 1, intercept: 0, units: "", inverted: false, padding: null, windows: [{ name: "", centre: 127.5, width: 255, shape: "LINEAR_EXACT" }] };

// Parts of the first window's range from black to white. A chest film has no fixed units: air is dark, bone is bright.
const PARTS = [["Lung", 0, 0.6], ["Soft tissue", 0.3, 0.85], ["Bone", 0.5, 1]];

// How far one value of `values` is from 0: signed values are kept shifted up, so that they can be places in a table.
export const shiftOf = (depth) => (depth.type === "int16" ? 32768 : 0);
export const unitOf = (depth, value) => (value - shiftOf(depth)) * depth.slope + depth.intercept;

const ends = (window) => [window.centre - window.width / 2, window.centre + window.width / 2];

// A part, in fractions from black to white, of a window.
function partOf(depth, window, from, to) {
  const [low, high] = ends(window);
  const span = high - low;
  const [first, last] = depth.inverted ? [high - to * span, high - from * span] : [low + from * span, low + to * span];
  return { centre: (first + last) / 2, width: last - first, shape: window.shape };
}

// The windows that a film offers: those of its header, parts of the first, and all of its values.
export function presets(depth, range) {
  const [first] = depth.windows;
  const own = depth.windows.map((window, index) => ({ name: window.name || (index ? `Window ${index + 1}` : "Default"), window }));
  const [low, high] = range.map((value) => unitOf(depth, value)).sort((one, other) => one - other);
  return [...own, ...PARTS.map(([name, from, to]) => ({ name, window: partOf(depth, first, from, to) })),
    { name: "Full range", window: { centre: (low + high) / 2, width: Math.max(high - low, 1), shape: "LINEAR_EXACT" } }];
}

// A window as its place in the film's first one, so that another film can take it over.
export function relative(depth, window) {
  const [first] = depth.windows;
  const away = (window.centre - first.centre) / first.width;
  return { away: depth.inverted ? -away : away, width: window.width / first.width, shape: window.shape };
}

export function absolute(depth, { away, width, shape }) {
  const [first] = depth.windows;
  return { centre: first.centre + (depth.inverted ? -away : away) * first.width, width: width * first.width, shape: first.shape || shape };
}

// Brighter by a share of the first window, and wider by another.
export function adjusted(depth, window, brighter, wider) {
  const [first] = depth.windows;
  const least = first.width > 64 ? 1 : first.width / 64;
  const centre = window.centre + (depth.inverted ? brighter : -brighter) * first.width;
  return { ...window, centre, width: Math.max(window.width + wider * first.width, least) };
}

const SHAPES = {
  LINEAR: (unit, { centre, width }) => (width <= 1 ? Number(unit > centre - 0.5) : (unit - (centre - 0.5)) / (width - 1) + 0.5),
  LINEAR_EXACT: (unit, { centre, width }) => (unit - centre) / width + 0.5,
  SIGMOID: (unit, { centre, width }) => 1 / (1 + Math.exp((-4 * (unit - centre)) / width)),
};

// A screen pixel (little-endian RGBA) for each value an image can have.
export function greyTable(depth, window, inverted) {
  const count = depth.type === "uint8" ? 256 : 65536;
  const table = new Uint32Array(count);
  const shape = SHAPES[window.shape] || SHAPES.LINEAR;
  const darkFirst = depth.inverted === inverted;
  for (let value = 0; value < count; value++) {
    const level = Math.min(Math.max(shape(unitOf(depth, value), window), 0), 1);
    const grey = Math.round(255 * (darkFirst ? level : 1 - level));
    table[value] = 0xff000000 | (grey << 16) | (grey << 8) | grey;
  }
  if (depth.padding) {
    const [low, high] = depth.padding.map((value) => value + shiftOf(depth));
    table.fill(0xff000000, Math.max(low, 0), high + 1);
  }
  return table;
}
