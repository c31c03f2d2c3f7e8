// All films of the study: which one is active, whether they move together, and the maps over them.
import { Film } from "./film.js";
import { clearHeat, drawHeat } from "./heat.js";
import { make, percent } from "./make.js";
import { listen } from "./pointer.js";

export class Viewer extends EventTarget {
  constructor(container, priorContainer) {
    super();
    this.containers = [container, priorContainer];
    this.views = [];
    this.priors = [];
    this.active = null;
    this.linked = false;
    this.measuring = false;
    this.heatShare = 1;
  }

  get films() {
    return [...this.views, ...this.priors];
  }

  clear() {
    this.clearList(this.views);
    this.clearList(this.priors);
    this.views = [];
    this.priors = [];
    this.activate(null);
  }

  clearPriors() {
    this.clearList(this.priors);
    this.priors = [];
    if (this.active?.prior) this.activate(this.views[0] || null);
  }

  clearList(films) {
    for (const film of films) film.figure.remove();
  }

  // A `view` event; resolves when its picture is drawn.
  async add(record, { prior = false } = {}) {
    const film = new Film(record, { prior });
    (prior ? this.priors : this.views).push(film);
    this.containers[Number(prior)].append(film.figure);
    film.measuring = this.measuring;
    film.heat.style.opacity = String(this.heatShare);
    listen(film, this);
    film.film.addEventListener("focus", () => this.activate(film));
    if (!this.active) this.activate(film);
    this.changed("films");
    await film.load();
    this.changed("state");
  }

  receive(piece, { prior = false } = {}) {
    const film = (prior ? this.priors : this.views)[piece.number - 1];
    if (film?.receive(piece)) this.changed("state");
  }

  activate(film) {
    if (film === this.active) return;
    this.active?.film.classList.remove("active");
    this.active = film;
    film?.film.classList.add("active");
    this.changed("active");
  }

  // The film of a view, seen, for whoever points at it; its element.
  show(number) {
    const film = this.views[number - 1];
    if (film) this.activate(film);
    return film?.film;
  }

  changed(what) {
    this.dispatchEvent(new Event(what));
  }

  // Do something to a film, and where films are linked give the others its place and window.
  change(film, act, { others = true } = {}) {
    if (!film) return;
    act(film);
    if (this.linked && others) {
      for (const other of this.films) {
        if (other === film || !other.pixels) continue;
        other.setPlace({ ...film.place, turns: other.place.turns });
        other.relativeWindow = film.relativeWindow;
        other.setInverted(film.inverted);
      }
    }
    this.changed("state");
  }

  setMeasuring(measuring) {
    this.measuring = measuring;
    for (const film of this.films) {
      film.measuring = measuring;
      film.film.classList.toggle("measuring", measuring);
      film.ruler.show();
    }
    this.changed("state");
  }

  setLinked(linked) {
    this.linked = linked;
    if (linked) this.change(this.active, () => {});
    this.changed("state");
  }

  setHeatShare(share) {
    this.heatShare = share;
    for (const film of this.views) film.heat.style.opacity = String(share);
  }

  say(text) {
    this.dispatchEvent(new CustomEvent("say", { detail: text }));
  }

  // One grid for each view: of levels, 0 paints nothing and 1 is brightest, and of the shares that add up to 1; `of`
  // names the whole.
  showHeat(levels, shares, of) {
    this.views.forEach((view, index) => {
      drawHeat(view.heat, levels[index]);
      const share = shares ? shares[index].flat().reduce((sum, part) => sum + part, 0) : null;
      view.share.replaceChildren(...(share === null ? [] : [percent(share, 0), make("span", { class: "of" }, ` of ${of}`)]));
    });
  }

  hideHeat() {
    for (const view of this.views) {
      clearHeat(view.heat);
      view.share.textContent = "";
    }
  }
}
