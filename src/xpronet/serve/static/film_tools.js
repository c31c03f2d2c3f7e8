// The bar above the films, and the keys that do the same. Each acts on the active film, on all where they are linked.
const BRIGHTER = 0.04;
const WIDER = 0.08;

export class FilmTools {
  constructor(at, viewer, layout) {
    Object.assign(this, { at, viewer, layout });
    const click = (id, act) => at(id).addEventListener("click", act);
    click("fit", () => this.fit());
    click("closer", () => this.zoom(1.25));
    click("away", () => this.zoom(0.8));
    click("pixels", () => this.change((film) => film.zoomToPixels()));
    click("invert", () => this.invert());
    click("turn", () => this.change((film) => film.turn()));
    click("ruler", () => this.measure());
    click("link", () => viewer.setLinked(!viewer.linked));
    click("reset", () => this.change((film) => film.reset()));
    at("preset").addEventListener("change", () => this.preset(Number(at("preset").value)));
    for (const id of ["window", "level"]) at(id).addEventListener("change", () => this.type(id));
    at("heat").addEventListener("input", () => viewer.setHeatShare(Number(at("heat").value) / 100));
    viewer.addEventListener("state", () => this.show());
    viewer.addEventListener("active", () => this.show());
    this.rove(at("film-tools"));
  }

  // What the keys do: for the list of all keys.
  get actions() {
    const { layout, viewer } = this;
    return [
      { keys: ["1"], label: "one film", run: () => layout.choose("one") },
      { keys: ["2"], label: "two films", run: () => layout.choose("two") },
      { keys: ["3"], label: "compare with the prior study", run: () => layout.choose("compare") },
      { keys: ["<"], label: "earlier films", run: () => layout.step(-1) },
      { keys: [">"], label: "later films", run: () => layout.step(1) },
      { keys: ["g"], label: "go to the films, to the next one", run: () => this.next() },
      { keys: ["+", "="], label: "zoom in", run: () => this.zoom(1.25) },
      { keys: ["-"], label: "zoom out", run: () => this.zoom(0.8) },
      { keys: ["0"], label: "fit the whole film", run: () => this.fit() },
      { keys: ["9"], label: "one pixel of the image on one of the screen", run: () => this.change((film) => film.zoomToPixels()) },
      { keys: ["v"], label: "next window preset", run: () => this.nextPreset() },
      { keys: ["["], label: "narrower window", run: () => this.change((film) => film.adjust(0, -WIDER)) },
      { keys: ["]"], label: "wider window", run: () => this.change((film) => film.adjust(0, WIDER)) },
      { keys: [","], label: "darker", run: () => this.change((film) => film.adjust(-BRIGHTER, 0)) },
      { keys: ["."], label: "brighter", run: () => this.change((film) => film.adjust(BRIGHTER, 0)) },
      { keys: ["i"], label: "invert", run: () => this.invert() },
      { keys: ["q"], label: "turn a quarter clockwise", run: () => this.change((film) => film.turn()) },
      { keys: ["x"], label: "ruler: on a film, Enter starts and ends a line", run: () => this.measure() },
      { keys: ["l"], label: "link the films", run: () => viewer.setLinked(!viewer.linked) },
      { keys: ["Backspace"], label: "on a film: remove the last line" },
      { keys: ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"], label: "on a film: move it, or the ruler" },
      { keys: ["Enter"], label: "on a film: alone, and back" },
    ];
  }

  change(act) {
    const film = this.viewer.active;
    if (film) this.viewer.change(film, () => act(film));
  }

  zoom(factor) {
    this.change((film) => film.zoom(factor));
  }

  fit() {
    this.change((film) => film.fit());
  }

  invert() {
    this.change((film) => film.setInverted(!film.inverted));
  }

  measure() {
    this.viewer.setMeasuring(!this.viewer.measuring);
    if (this.viewer.measuring) this.viewer.say("Ruler: drag on a film; or focus a film, lead the cross with the arrows, Enter starts and ends a line.");
  }

  preset(index) {
    const choice = this.viewer.active?.presets()[index];
    if (choice) this.change((film) => film.setWindow({ ...choice.window }));
  }

  nextPreset() {
    const choices = this.viewer.active?.presets() || [];
    if (!choices.length) return;
    const next = (this.chosen() + 1) % choices.length;
    this.preset(next);
    this.viewer.say(`Window: ${choices[next].name}.`);
  }

  chosen() {
    const film = this.viewer.active;
    return film ? film.presets().findIndex(({ window }) => window.centre === film.window.centre && window.width === film.window.width) : -1;
  }

  type(id) {
    const value = Number(this.at(id).value);
    if (!Number.isFinite(value) || (id === "window" && value <= 0)) return this.show();
    this.change((film) => film.setWindow({ ...film.window, [id === "window" ? "width" : "centre"]: value }));
  }

  next() {
    const shown = this.layout.shown();
    const { active } = this.viewer;
    const inside = document.activeElement?.classList.contains("film");
    const film = inside ? shown[(shown.indexOf(active) + 1) % shown.length] : active;
    film?.film.focus({ preventScroll: true });
  }

  // Show the state of the active film.
  show() {
    const { active, linked, measuring } = this.viewer;
    const press = (id, on) => this.at(id).setAttribute("aria-pressed", String(on));
    press("invert", Boolean(active?.inverted));
    press("ruler", measuring);
    press("link", linked);
    if (!active?.pixels) return;
    const choices = active.presets();
    const chosen = this.chosen();
    const options = [...choices.map(({ name }, index) => new Option(name, String(index))), ...(chosen < 0 ? [new Option("Own", "own")] : [])];
    const select = this.at("preset");
    if ([...select.options].map((option) => option.text).join() !== options.map((option) => option.text).join()) select.replaceChildren(...options);
    select.value = chosen < 0 ? "own" : String(chosen);
    const digits = active.window.width < 20 ? 2 : 0;
    for (const [id, value] of [["window", active.window.width], ["level", active.window.centre]]) {
      if (document.activeElement !== this.at(id)) this.at(id).value = value.toFixed(digits);
    }
  }

  // One stop of the Tab key for the whole bar; the arrows go on from it.
  rove(bar) {
    const items = () => [...bar.querySelectorAll("button:not([hidden]), select, input")];
    const enter = (item) => { for (const each of items()) each.tabIndex = each === item ? 0 : -1; };
    enter(items()[0]);
    bar.addEventListener("focusin", (event) => enter(event.target));
    bar.addEventListener("keydown", (event) => {
      const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      const typing = event.target.matches("input[type=range], input[type=number], select");
      if (!by || (typing && !event.ctrlKey)) return;
      const all = items();
      all[(all.indexOf(event.target) + by + all.length) % all.length].focus();
      event.preventDefault();
    });
  }
}
