// Which films are seen: one, two, or one beside a film of the prior study.
export class Layout {
  constructor(section, viewer, { buttons, earlier, later, which }) {
    Object.assign(this, { section, viewer, buttons, earlier, later, which });
    this.mode = "one";
    this.before = null;
    this.first = 0;
    this.firstPrior = 0;
    for (const [mode, button] of Object.entries(buttons)) button.addEventListener("click", () => this.choose(mode));
    earlier.addEventListener("click", () => this.step(-1));
    later.addEventListener("click", () => this.step(1));
    viewer.addEventListener("films", () => this.show());
    viewer.addEventListener("active", () => this.follow());
    viewer.addEventListener("alone", (event) => this.alone(event.detail));
    this.choose("one");
  }

  // For a new study: two films side by side where there are several.
  start(count) {
    this.first = this.firstPrior = 0;
    this.choose(count > 1 ? "two" : "one");
  }

  choose(mode) {
    this.mode = mode;
    this.before = null;
    this.show();
  }

  // A film alone, and back to what was shown before.
  alone(film) {
    this.viewer.activate(film);
    const { before, mode } = this;
    if (mode !== "one") {
      this.choose("one");
      this.before = mode;
    } else this.choose(before || (film.prior ? "compare" : this.viewer.views.length > 1 ? "two" : "one"));
    film.film.focus({ preventScroll: true });
  }

  // In steps of the films that are seen.
  step(by) {
    const { views, priors, active } = this.viewer;
    const inPriors = active?.prior && this.mode !== "two";
    const films = inPriors ? priors : views;
    const size = this.mode === "two" ? 2 : 1;
    const first = inPriors ? this.firstPrior : this.first;
    const next = Math.min(Math.max(first + by * size, 0), Math.max(films.length - 1, 0));
    if (inPriors) this.firstPrior = next;
    else this.first = next;
    this.viewer.activate(films[next] || null);
    this.show();
  }

  // The active film is always one that is seen.
  follow() {
    const { views, priors, active } = this.viewer;
    if (!active) return;
    const place = (active.prior ? priors : views).indexOf(active);
    if (active.prior) this.firstPrior = place;
    else if (this.mode !== "two") this.first = place;
    else if (place < this.first || place > this.first + 1) this.first = place - (place % 2);
    this.show();
  }

  shown() {
    const { views, priors, active } = this.viewer;
    if (this.mode === "one") return active ? [active] : views.slice(this.first, this.first + 1);
    if (this.mode === "two") return views.slice(this.first, this.first + 2);
    return [...views.slice(this.first, this.first + 1), ...priors.slice(this.firstPrior, this.firstPrior + 1)];
  }

  show() {
    const { films, views } = this.viewer;
    const shown = this.shown();
    this.section.dataset.layout = this.mode;
    this.section.dataset.shown = String(shown.length);
    for (const film of films) film.figure.hidden = !shown.includes(film);
    for (const [mode, button] of Object.entries(this.buttons)) button.setAttribute("aria-pressed", String(mode === this.mode));
    const more = this.mode === "two" ? views.length > 2 : views.length > 1;
    for (const button of [this.earlier, this.later]) button.hidden = !more;
    const numbers = shown.filter((film) => !film.prior).map((film) => film.record.number);
    this.which.textContent = more && numbers.length ? `${numbers.join(" and ")} of ${views.length}` : "";
  }
}
