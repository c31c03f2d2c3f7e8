// Attention as colour over an image: transparent, violet, orange, pale yellow. Lightness increases, so that it can be
// read without colour vision.
const RAMP = [[0, 90, 20, 110, 0], [0.35, 170, 40, 110, 0.35], [0.7, 240, 120, 40, 0.6], [1, 255, 225, 110, 0.75]];
export const FINE = 112;

const colour = (value) => {
  const upper = Math.max(1, RAMP.findIndex((stop) => stop[0] >= value));
  const [low, high] = [RAMP[upper - 1], RAMP[upper]];
  const along = (value - low[0]) / (high[0] - low[0]);
  return low.slice(1).map((part, index) => part + along * (high[index + 1] - part));
};

// The two regions next to a pixel on a side of `count` regions, and the weight of the second.
const between = (pixel, count) => {
  const place = Math.min(Math.max(((pixel + 0.5) / FINE) * count - 0.5, 0), count - 1);
  const first = Math.min(Math.floor(place), Math.max(count - 2, 0));
  const along = place - first;
  return [first, Math.min(first + 1, count - 1), along * along * (3 - 2 * along)];
};

// Draw a grid of levels (rows of columns): 1 has the brightest colour, 0 paints nothing.
export function drawHeat(canvas, levels) {
  const context = canvas.getContext("2d");
  const image = context.createImageData(FINE, FINE);
  for (let y = 0; y < FINE; y++) {
    const [top, bottom, down] = between(y, levels.length);
    for (let x = 0; x < FINE; x++) {
      const [left, right, across] = between(x, levels[0].length);
      const above = levels[top][left] * (1 - across) + levels[top][right] * across;
      const under = levels[bottom][left] * (1 - across) + levels[bottom][right] * across;
      const level = Math.min(above * (1 - down) + under * down, 1);
      if (level <= 0) continue;
      const [red, green, blue, opacity] = colour(level);
      image.data.set([red, green, blue, 255 * opacity], 4 * (y * FINE + x));
    }
  }
  context.putImageData(image, 0, 0);
}

export function clearHeat(canvas) {
  canvas.getContext("2d").clearRect(0, 0, FINE, FINE);
}

export function drawLegend(canvas) {
  const context = canvas.getContext("2d");
  for (let x = 0; x < canvas.width; x++) {
    const [red, green, blue, opacity] = colour(x / (canvas.width - 1));
    context.fillStyle = `rgba(${red}, ${green}, ${blue}, ${opacity})`;
    context.fillRect(x, 0, 1, canvas.height);
  }
}
