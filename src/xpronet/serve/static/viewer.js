// The images: window and level, zoom and position, and the heat map over them. All views share window and level.
import { FINE, clearHeat, drawHeat } from "./heat.js";
import { make, percent } from "./make.js";

const MAX_ZOOM = 6;
const START = { window: 255, level: 128, zoom: 1, heat: 100, invert: false };

export class Viewer {
  constructor(container, controls) {
    this.container = container;
    this.controls = controls;
    this.views = [];
    this.state = { ...START };
    for (const name of ["window", "level", "zoom", "heat"]) {
      controls[name].addEventListener("input", () => this.set({ [name]: Number(controls[name].value) }));
    }
    controls.invert.addEventListener("change", () => this.set({ invert: controls.invert.checked }));
    controls.reset.addEventListener("click", () => {
      for (const view of this.views) view.x = view.y = 0;
      this.set(START);
    });
  }

  clear() {
    this.views = [];
    this.container.replaceChildren();
    this.set(START);
  }

  async add(record) {
    const canvas = make("canvas", { class: "picture", role: "img", "aria-label": `View ${record.number}` });
    const heat = make("canvas", { class: "heat", width: FINE, height: FINE, "aria-hidden": "true" });
    const stack = make("div", { class: "stack" }, canvas, heat);
    const film = make("div", { class: "film", tabindex: "0", role: "group", "aria-label": `Image ${record.number}: arrows move, plus and minus zoom` }, stack);
    const share = make("span", { class: "share" });
    const figure = make("figure", { class: "view" }, film, make("figcaption", {}, make("span", {}, record.name), share));
    const view = { film, stack, canvas, heat, share, x: 0, y: 0, grey: null };
    // The film is a square; the image is centred in it, the heat map covers the square that the network saw.
    const longer = Math.max(record.width, record.height);
    const [width, height] = [(100 * record.width) / longer, (100 * record.height) / longer];
    Object.assign(stack.style, { width: `${width}%`, height: `${height}%`, left: `${(100 - width) / 2}%`, top: `${(100 - height) / 2}%` });
    const [left, top, wide, high] = record.seen.map((part) => `${100 * part}%`);
    Object.assign(heat.style, { left, top, width: wide, height: high });
    this.views.push(view);
    this.container.append(figure);
    this.listen(view);
    const image = new Image();
    image.src = record.image;
    await image.decode();
    canvas.width = record.width;
    canvas.height = record.height;
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(image, 0, 0);
    const data = context.getImageData(0, 0, record.width, record.height);
    view.grey = Uint8Array.from({ length: record.width * record.height }, (_, index) => data.data[4 * index]);
    view.data = data;
    this.draw(view);
  }

  set(changes) {
    const redraw = ["window", "level", "invert"].some((name) => name in changes && changes[name] !== this.state[name]);
    this.state = { ...this.state, ...changes };
    for (const name of ["window", "level", "zoom", "heat"]) this.controls[name].value = this.state[name];
    this.controls.invert.checked = this.state.invert;
    for (const view of this.views) {
      if (redraw) this.draw(view);
      this.place(view);
    }
  }

  draw(view) {
    if (!view.grey) return;
    const { window, level, invert } = this.state;
    const table = new Uint8ClampedArray(256);
    for (let grey = 0; grey < 256; grey++) {
      const shown = ((grey - level) / window + 0.5) * 255;
      table[grey] = invert ? 255 - Math.min(Math.max(shown, 0), 255) : shown;
    }
    const pixels = view.data.data;
    for (let index = 0; index < view.grey.length; index++) {
      const shown = table[view.grey[index]];
      pixels[4 * index] = pixels[4 * index + 1] = pixels[4 * index + 2] = shown;
    }
    view.canvas.getContext("2d").putImageData(view.data, 0, 0);
  }

  place(view) {
    const most = (this.state.zoom - 1) / 2;
    view.x = Math.min(Math.max(view.x, -most), most);
    view.y = Math.min(Math.max(view.y, -most), most);
    const side = view.film.clientWidth;
    view.stack.style.transform = `translate(${view.x * side}px, ${view.y * side}px) scale(${this.state.zoom})`;
    view.heat.style.opacity = String(this.state.heat / 100);
  }

  zoomBy(factor) {
    this.set({ zoom: Math.min(Math.max(this.state.zoom * factor, 1), MAX_ZOOM) });
  }

  listen(view) {
    const { film } = view;
    film.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoomBy(event.deltaY < 0 ? 1.15 : 1 / 1.15);
    }, { passive: false });
    film.addEventListener("pointerdown", (event) => {
      film.setPointerCapture(event.pointerId);
      film.classList.add("moving");
    });
    film.addEventListener("pointermove", (event) => {
      if (!film.hasPointerCapture(event.pointerId)) return;
      if (event.shiftKey) {
        this.set({
          window: Math.min(Math.max(this.state.window + event.movementX, 8), 255),
          level: Math.min(Math.max(this.state.level - event.movementY, 0), 255),
        });
      } else {
        view.x += event.movementX / film.clientWidth;
        view.y += event.movementY / film.clientWidth;
        this.place(view);
      }
    });
    film.addEventListener("pointerup", () => film.classList.remove("moving"));
    film.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: [0.1, 0], ArrowRight: [-0.1, 0], ArrowUp: [0, 0.1], ArrowDown: [0, -0.1] }[event.key];
      if (event.ctrlKey || event.altKey || event.metaKey) return;
      if (step && this.state.zoom > 1) {
        view.x += step[0];
        view.y += step[1];
        this.place(view);
      } else if (event.key === "+" || event.key === "=") this.zoomBy(1.25);
      else if (event.key === "-") this.zoomBy(0.8);
      else return;
      event.preventDefault();
    });
  }

  // For each view a grid of levels to paint (0: nothing) and one of shares, which add up to 1; `of` names the whole.
  showHeat(levels, shares, of) {
    this.views.forEach((view, index) => {
      drawHeat(view.heat, levels[index]);
      const share = shares[index].flat().reduce((sum, part) => sum + part, 0);
      view.share.replaceChildren(percent(share, 0), make("span", { class: "of" }, ` of ${of}`));
    });
  }

  hideHeat() {
    for (const view of this.views) {
      clearHeat(view.heat);
      view.share.textContent = "";
    }
  }
}
