// What a reader has beside the films: the indication, and the films of a prior study. The model uses neither.
import { RequestError, ask, bodyOf, events } from "./server.js";
import { dates, doubtOfPrior } from "./study_header.js";

export class StudyFields {
  constructor(at, viewer, layout, { limitExceeded }) {
    Object.assign(this, { at, viewer, layout, limitExceeded });
    this.running = null;
    at("prior-files").addEventListener("change", () => {
      const files = [...at("prior-files").files];
      at("prior-files").value = "";
      if (files.length) this.read(files);
    });
    at("prior-remove").addEventListener("click", () => this.clear());
    for (const name of ["dragover", "dragleave", "drop"]) {
      at("prior").addEventListener(name, () => at("prior").classList.toggle("over", name === "dragover"));
    }
    at("prior").addEventListener("drop", (event) => {
      event.preventDefault();
      event.stopPropagation();
      document.body.classList.remove("over");
      const files = [...event.dataTransfer.files];
      if (files.length) this.read(files);
    });
  }

  get indication() {
    return this.at("indication").value.trim();
  }

  // For a new study.
  clearAll() {
    this.at("indication").value = "";
    this.clear();
  }

  clear() {
    this.running?.abort();
    this.viewer.clearPriors();
    this.show("");
  }

  async read(files) {
    const problem = this.limitExceeded(files);
    if (problem) return this.show(problem, true);
    this.clear();
    const own = (this.running = new AbortController());
    this.show("Reading the prior films…");
    try {
      const answer = await ask("/v1/films/stream?pixels=full", { method: "POST", body: bodyOf(files), signal: own.signal });
      for await (const [event, value] of events(answer)) {
        if (own.signal.aborted) return;
        if (event === "view") this.viewer.add(value, { prior: true });
        else if (event === "pixels") this.viewer.receive(value, { prior: true });
        else if (event === "end") this.finish(value.warnings);
      }
    } catch (error) {
      if (error.name === "AbortError") return;
      if (!(error instanceof RequestError)) throw error;
      this.show(error.message, true);
    }
  }

  finish(warnings) {
    const { views, priors } = this.viewer;
    this.at("prior-identity").textContent = dates(priors);
    const lines = [doubtOfPrior(views, priors), ...warnings].filter(Boolean);
    this.show(lines.join(" "), lines.length > 0);
    this.layout.choose("compare");
  }

  show(text, bad = false) {
    this.at("prior-state").textContent = text;
    this.at("prior-state").classList.toggle("bad", bad);
    const there = this.viewer.priors.length > 0;
    this.at("prior-empty").hidden = there;
    this.at("prior-remove").hidden = !there;
    if (!there) this.at("prior-identity").textContent = "";
  }
}
