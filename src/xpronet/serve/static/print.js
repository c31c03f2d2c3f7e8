// What is printed besides text, findings and model: whose films, the indication, and every film whole at a size that can
// be read.
import { make } from "./make.js";
import { WHOLE } from "./placement.js";

const SIDE = 1100; // pixels: 14 cm at 200 dots an inch

export function printable(at, viewer, fields) {
  addEventListener("beforeprint", () => {
    const lines = [at("identity").textContent, fields.indication && `Indication: ${fields.indication} (not used by the model)`];
    at("print-facts").replaceChildren(...lines.filter(Boolean).map((line) => make("p", {}, line)));
    at("print-films").replaceChildren(...viewer.films.filter((film) => film.pixels && film.table).map(printed));
  });
  addEventListener("afterprint", () => at("print-films").replaceChildren());
}

// The film with its window, turned as it is, without zoom and maps.
function printed(film) {
  const canvas = make("canvas", {});
  const turnedAside = film.place.turns % 2 === 1;
  const [width, height] = turnedAside ? [film.pixels.height, film.pixels.width] : [film.pixels.width, film.pixels.height];
  const scale = Math.min(1, SIDE / Math.max(width, height));
  [canvas.width, canvas.height] = [Math.round(width * scale), Math.round(height * scale)];
  film.paint(canvas, { width: canvas.width, height: canvas.height }, { ...WHOLE, turns: film.place.turns });
  const caption = [film.name, film.factsLine(), film.values.textContent.split(" · ")[0]].filter(Boolean).join(" · ");
  return make("figure", {}, canvas, make("figcaption", {}, caption));
}
