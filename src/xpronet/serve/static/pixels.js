// The values of an image, and how they become a screen's pixels: sampled between values, averaged where the screen has
// fewer pixels than the image, then looked up in a table of greys.
import { scaleOf } from "./placement.js";

const COS = [1, 0, -1, 0];
const SIN = [0, 1, 0, -1];
const BLACK = 0xff000000;

export class Pixels {
  // Values of 8 or 16 bits without sign, row by row.
  constructor(values, width, height) {
    this.width = width;
    this.height = height;
    this.levels = [{ values, width, height }];
  }

  at(x, y) {
    const [column, row] = [Math.floor(x), Math.floor(y)];
    if (column < 0 || row < 0 || column >= this.width || row >= this.height) return null;
    return this.levels[0].values[row * this.width + column];
  }

  // Lowest and highest value outside the padding.
  range(padding) {
    let low = Infinity;
    let high = -Infinity;
    const { values } = this.levels[0];
    for (let index = 0; index < values.length; index++) {
      const value = values[index];
      if (padding && value >= padding[0] && value <= padding[1]) continue;
      if (value < low) low = value;
      if (value > high) high = value;
    }
    return low > high ? [0, 1] : [low, high];
  }

  // The image at a half, a quarter and so on of its size.
  level(number) {
    while (this.levels.length <= number) {
      const last = this.levels.at(-1);
      if (last.width < 2 || last.height < 2) break;
      const [width, height] = [last.width >> 1, last.height >> 1];
      const values = new last.values.constructor(width * height);
      for (let y = 0, to = 0; y < height; y++) {
        for (let x = 0, from = 2 * y * last.width; x < width; x++, from += 2, to++) {
          values[to] = (last.values[from] + last.values[from + 1] + last.values[from + last.width] + last.values[from + last.width + 1] + 2) >> 2;
        }
      }
      this.levels.push({ values, width, height });
    }
    return Math.min(number, this.levels.length - 1);
  }

  // Fill an ImageData of a film's device pixels. `film` is the film in CSS pixels, `table` has a pixel for each value.
  draw(image, place, film, table) {
    const ratio = image.width / film.width;
    const scale = scaleOf(place, this, film) * ratio;
    const number = this.level(Math.max(0, Math.floor(Math.log2(1 / scale) + 0.25)));
    const { values, width, height } = this.levels[number];
    const part = 2 ** -number;
    const [cos, sin] = [COS[place.turns], SIN[place.turns]];
    const even = place.turns % 2 === 0;
    const middle = [place.x * this.width * part, place.y * this.height * part];
    const step = part / scale;
    // Along a row of the screen one axis of the image changes, along a column the other.
    const across = even ? axis(image.width, middle[0], cos * step, width, 1) : axis(image.width, middle[1], -sin * step, height, width);
    const down = even ? axis(image.height, middle[1], cos * step, height, width) : axis(image.height, middle[0], sin * step, width, 1);
    const out = new Uint32Array(image.data.buffer);
    for (let y = 0, to = 0; y < image.height; y++) {
      const [first, second, share] = [down.first[y], down.second[y], down.share[y]];
      if (first < 0) {
        out.fill(BLACK, to, to + image.width);
        to += image.width;
        continue;
      }
      for (let x = 0; x < image.width; x++, to++) {
        const left = across.first[x];
        if (left < 0) {
          out[to] = BLACK;
          continue;
        }
        const right = across.second[x];
        const along = across.share[x];
        const above = values[first + left] + (values[first + right] - values[first + left]) * along;
        const under = values[second + left] + (values[second + right] - values[second + left]) * along;
        out[to] = table[(above + (under - above) * share + 0.5) | 0];
      }
    }
  }
}

// For each of `count` screen pixels: the two values of an axis it lies between, as offsets, and the share of the second.
function axis(count, middle, step, length, stride) {
  const [first, second, share] = [new Int32Array(count), new Int32Array(count), new Float32Array(count)];
  for (let pixel = 0; pixel < count; pixel++) {
    const place = middle + (pixel + 0.5 - count / 2) * step;
    if (place < 0 || place >= length) {
      first[pixel] = -1;
      continue;
    }
    const inside = Math.min(Math.max(place - 0.5, 0), length - 1);
    const low = Math.floor(inside);
    first[pixel] = low * stride;
    second[pixel] = Math.min(low + 1, length - 1) * stride;
    share[pixel] = inside - low;
  }
  return { first, second, share };
}
