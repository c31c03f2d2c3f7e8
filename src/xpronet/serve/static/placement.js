// Where an image lies in its film: zoom (1 shows all of it), the point of the image in the film's middle (as fractions of
// its sides), and quarter turns clockwise. Films are measured in CSS pixels, images in their own.
export const WHOLE = { zoom: 1, x: 0.5, y: 0.5, turns: 0 };
const MOST_ZOOM = 40;
const COS = [1, 0, -1, 0];
const SIN = [0, 1, 0, -1];

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

// CSS pixels for each pixel of the image.
export function scaleOf(place, image, film) {
  const turned = place.turns % 2 === 1;
  return place.zoom * Math.min(film.width / (turned ? image.height : image.width), film.height / (turned ? image.width : image.height));
}

// The point of the image under a point of the film.
export function toImage(place, image, film, x, y) {
  const scale = scaleOf(place, image, film);
  const [right, down] = [(x - film.width / 2) / scale, (y - film.height / 2) / scale];
  const [cos, sin] = [COS[place.turns], SIN[place.turns]];
  return [place.x * image.width + right * cos + down * sin, place.y * image.height - right * sin + down * cos];
}

// The point of the film over a point of the image.
export function toFilm(place, image, film, x, y) {
  const scale = scaleOf(place, image, film);
  const [right, down] = [x - place.x * image.width, y - place.y * image.height];
  const [cos, sin] = [COS[place.turns], SIN[place.turns]];
  return [film.width / 2 + scale * (right * cos - down * sin), film.height / 2 + scale * (right * sin + down * cos)];
}

// Zoom so that the point of the image under a point of the film stays there.
export function zoomed(place, image, film, factor, x = film.width / 2, y = film.height / 2) {
  const zoom = clamp(place.zoom * factor, 1, MOST_ZOOM);
  if (zoom === 1) return { ...place, zoom, x: 0.5, y: 0.5 };
  const [stays, level] = toImage(place, image, film, x, y);
  const ratio = place.zoom / zoom;
  return { ...place, zoom, x: (stays + (place.x * image.width - stays) * ratio) / image.width, y: (level + (place.y * image.height - level) * ratio) / image.height };
}

// Move the image by CSS pixels; a point of it stays in the middle of the film.
export function moved(place, image, film, right, down) {
  const [x, y] = toImage(place, image, film, film.width / 2 - right, film.height / 2 - down);
  return { ...place, x: clamp(x / image.width, 0, 1), y: clamp(y / image.height, 0, 1) };
}

export const turned = (place) => ({ ...WHOLE, turns: (place.turns + 1) % 4 });
