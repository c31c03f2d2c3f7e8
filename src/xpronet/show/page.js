"use strict";
(() => {
  // From nothing over violet and orange to pale yellow: its lightness rises, so it reads without colour vision.
  const RAMP = [[0, 90, 20, 110, 0], [0.35, 170, 40, 110, 0.35], [0.7, 240, 120, 40, 0.6], [1, 255, 225, 110, 0.75]];
  const FINE = 112;

  const colour = (value) => {
    const upper = Math.max(1, RAMP.findIndex((stop) => stop[0] >= value));
    const [low, high] = [RAMP[upper - 1], RAMP[upper]];
    const along = (value - low[0]) / (high[0] - low[0]);
    return low.slice(1).map((part, index) => part + along * (high[index + 1] - part));
  };

  // Two neighbours of a fine pixel on a side with `count` regions, and how far it lies towards the second.
  const between = (pixel, count) => {
    const place = Math.min(Math.max(((pixel + 0.5) / FINE) * count - 0.5, 0), count - 1);
    const first = Math.min(Math.floor(place), Math.max(count - 2, 0));
    const along = place - first;
    return [first, Math.min(first + 1, count - 1), along * along * (3 - 2 * along)];
  };

  const drawHeat = (canvas, grid, columns, highest) => {
    const rows = grid.length / columns;
    const context = canvas.getContext("2d");
    const image = context.createImageData(FINE, FINE);
    for (let y = 0; y < FINE; y++) {
      const [top, bottom, down] = between(y, rows);
      for (let x = 0; x < FINE; x++) {
        const [left, right, across] = between(x, columns);
        const above = grid[top * columns + left] * (1 - across) + grid[top * columns + right] * across;
        const under = grid[bottom * columns + left] * (1 - across) + grid[bottom * columns + right] * across;
        const [red, green, blue, opacity] = colour(Math.min((above * (1 - down) + under * down) / highest, 1));
        image.data.set([red, green, blue, 255 * opacity], 4 * (y * FINE + x));
      }
    }
    context.putImageData(image, 0, 0);
  };

  const drawLegend = (canvas) => {
    const context = canvas.getContext("2d");
    for (let x = 0; x < canvas.width; x++) {
      const [red, green, blue, opacity] = colour(x / (canvas.width - 1));
      context.fillStyle = `rgba(${red}, ${green}, ${blue}, ${opacity})`;
      context.fillRect(x, 0, 1, canvas.height);
    }
  };

  const make = (name, attributes = {}, ...children) => {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.append(...children);
    return element;
  };
  const makeBar = (share) => {
    const bar = make("div");
    bar.style.width = `${100 * share}%`;
    return make("td", { class: "bar", "aria-hidden": "true" }, make("div", { class: "track" }, bar));
  };
  const percent = (share, digits = 1) => `${(100 * share).toFixed(digits)} %`;

  for (const study of document.querySelectorAll(".study")) {
    const source = study.querySelector("script.data");
    if (source) explain(study, JSON.parse(source.textContent));
  }

  function explain(study, data) {
    const panel = study.querySelector(".evidence");
    const hint = panel.firstElementChild;
    const text = study.querySelector(".draft .text");
    const words = [...text.querySelectorAll(".word")];
    const views = [...study.querySelectorAll(".view")];
    const canvases = views.map((view) => {
      const canvas = make("canvas", { width: FINE, height: FINE, "aria-hidden": "true" });
      view.querySelector(".film").append(canvas);
      return canvas;
    });
    const buttons = [...study.querySelectorAll(".findings tbody th")].filter((head) => data.regions[head.textContent]).map((head) => {
      const button = make("button", { type: "button", "aria-pressed": "false" }, head.textContent);
      button.addEventListener("click", () => locate(button));
      head.replaceChildren(button);
      return button;
    });
    let kept = -1;
    let shown = -1;

    function clear() {
      if (shown >= 0) words[shown].classList.remove("shown");
      shown = -1;
      for (const button of buttons) button.setAttribute("aria-pressed", "false");
      canvases.forEach((canvas) => canvas.getContext("2d").clearRect(0, 0, FINE, FINE));
      views.forEach((view) => { view.querySelector(".share").textContent = ""; });
      panel.replaceChildren(hint);
    }

    function show(index) {
      if (index === shown) return;
      clear();
      if (index < 0) return;
      shown = index;
      words[index].classList.add("shown");
      const word = data.words[index];
      const name = words[index].textContent;
      const chosen = make("p", { class: "chosen" }, make("b", {}, name === "." ? "full stop" : name), `probability ${word.p.toFixed(2)}`);
      panel.replaceChildren(chosen, ...heat(word.attention, "Attention per region: 0"), ...prototypes(word));
    }

    // The evidence for a finding: the same regions, but of the finding, not of a word.
    function locate(button) {
      const chosen = button.getAttribute("aria-pressed") === "false";
      clear();
      if (!chosen) return;
      button.setAttribute("aria-pressed", "true");
      const name = button.textContent;
      const heading = make("p", { class: "chosen" }, make("b", {}, name), "evidence for it, by region");
      panel.replaceChildren(heading, ...heat(data.regions[name], "Share per region: 0"));
    }

    function heat(grids, scale) {
      if (!canvases.length) return [];
      const highest = Math.max(1, ...grids.flat());
      grids.forEach((grid, view) => {
        drawHeat(canvases[view], grid, data.columns, highest);
        const share = grid.reduce((sum, part) => sum + part, 0) / data.parts;
        views[view].querySelector(".share").textContent = percent(share, 0);
      });
      const legend = make("canvas", { width: 128, height: 8, "aria-hidden": "true" });
      drawLegend(legend);
      return [make("p", { class: "legend" }, scale, legend, percent(highest / data.parts))];
    }

    function prototypes(word) {
      if (!word.prototypes.length) return [];
      const column = (name) => make("th", { scope: "col" }, name);
      const head = make("tr", {}, column("Finding"), column("Number"), column("Share"), make("td", { class: "bar" }));
      const rows = word.prototypes.map(([finding, number, share]) =>
        make("tr", {}, make("th", { scope: "row" }, data.findings[finding] || "Any"), make("td", {}, String(number)),
          make("td", {}, percent(share / data.parts)), makeBar(share / word.prototypes[0][2])));
      return [make("table", {}, make("caption", {}, "Prototypes behind it"), make("thead", {}, head), make("tbody", {}, ...rows))];
    }

    // One word at a time is in the tab order; the arrows move on from it.
    function keep(index) {
      words[Math.max(kept, 0)].tabIndex = -1;
      words[index].tabIndex = 0;
      kept = index;
      show(index);
    }

    words.forEach((word, index) => {
      word.classList.add("pointable");
      word.tabIndex = index ? -1 : 0;
      word.addEventListener("focus", () => keep(index));
      word.addEventListener("pointerenter", (event) => { if (event.pointerType === "mouse") show(index); });
    });
    text.addEventListener("pointerleave", () => show(kept));
    text.addEventListener("keydown", (event) => {
      const last = words.length - 1;
      const next = { ArrowRight: Math.min(kept + 1, last), ArrowLeft: Math.max(kept - 1, 0), Home: 0, End: last }[event.key];
      if (next !== undefined && !event.ctrlKey && !event.altKey && !event.metaKey) {
        event.preventDefault();
        words[next].focus();
      } else if (event.key === "Escape") {
        document.activeElement.blur();
        words[Math.max(kept, 0)].tabIndex = -1;
        words[0].tabIndex = 0;
        kept = -1;
        show(-1);
      }
    });
    panel.hidden = false;
    // A link to a word shows its evidence.
    const linked = words.findIndex((word) => `#${word.id}` === location.hash);
    if (linked >= 0) keep(linked);
  }
})();
