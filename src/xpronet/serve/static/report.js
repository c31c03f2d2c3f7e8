// The draft's words and findings, with the evidence for each.
import { drawLegend } from "./heat.js";
import { make, makeTrack, percent } from "./make.js";

// Each region's share in all that is added to a finding's score; null where nothing is.
const regionShares = (regions) => {
  const added = regions.map((grid) => grid.map((row) => row.map((part) => Math.max(part, 0))));
  const whole = added.flat(2).reduce((sum, part) => sum + part, 0);
  return whole > 0 ? added.map((grid) => grid.map((row) => row.map((part) => part / whole))) : null;
};

export class Report {
  constructor({ text, why, findings, viewer, prototype }) {
    this.text = text;
    this.why = why;
    this.findings = findings;
    this.viewer = viewer;
    this.prototype = prototype;
    this.clear();
    text.addEventListener("pointerleave", () => this.show(this.kept));
    text.addEventListener("keydown", (event) => this.move(event));
  }

  clear() {
    this.record = null;
    this.words = [];
    this.kept = this.shown = -1;
    this.finding = null;
    this.text.replaceChildren();
    this.why.replaceChildren();
    this.findings.replaceChildren();
  }

  addSentence(sentence) {
    this.text.append(this.text.textContent ? ` ${sentence}` : sentence);
  }

  // The whole report: every word becomes interactive.
  fill(record) {
    this.record = record;
    const pieces = [];
    let end = 0;
    this.words = record.places.map(([start, stop], index) => {
      if (start > end) pieces.push(record.text.slice(end, start));
      end = stop;
      const word = make("span", { class: "word", tabindex: index ? "-1" : "0", role: "button" }, record.text.slice(start, stop));
      word.addEventListener("focus", () => this.keep(index));
      word.addEventListener("pointerenter", (event) => { if (event.pointerType === "mouse") this.show(index); });
      pieces.push(word);
      return word;
    });
    this.text.replaceChildren(...pieces);
    this.findings.replaceChildren(...record.findings.map((finding) => this.row(finding)));
  }

  row(finding) {
    const button = make("button", { type: "button", "aria-pressed": "false" }, finding.name);
    button.addEventListener("click", () => this.mark(button, finding.name));
    const value = make("div", { class: "value" }, percent(finding.probability));
    const track = makeTrack(finding.probability, { above: finding.probability >= finding.threshold, limit: finding.threshold });
    return make("tr", finding.present ? { class: "present" } : {},
      make("th", { scope: "row" }, button), make("td", { class: "probability" }, value, track),
      make("td", { class: "number threshold" }, percent(finding.threshold)), make("td", {}, finding.present ? "yes" : "no"));
  }

  // Mark the words that mention a finding: those that affirm it and those that negate it look different.
  mark(button, name) {
    const chosen = this.finding === name ? null : name;
    for (const other of this.findings.querySelectorAll("button")) other.setAttribute("aria-pressed", "false");
    for (const word of this.words) word.classList.remove("affirmed", "denied");
    this.finding = chosen;
    if (chosen !== null) {
      button.setAttribute("aria-pressed", "true");
      for (const mention of this.mentions()) {
        for (const index of mention.words) this.words[index].classList.add(mention.state === "negative" ? "denied" : "affirmed");
      }
    }
    this.show(-1);
    this.rest();
  }

  mentions() {
    return this.record.mentions.filter((mention) => mention.finding === this.finding);
  }

  // Shown while no word is selected: nothing, or the chosen finding and the regions with evidence for it.
  rest() {
    this.viewer.hideHeat();
    this.why.replaceChildren();
    if (this.finding === null) return;
    const mentions = this.mentions();
    const states = [...new Set(mentions.map((mention) => ({ positive: "affirmed", negative: "negated", uncertain: "uncertain" }[mention.state] || "mentioned")))];
    const summary = mentions.length ? `${this.finding}: ${states.join(" and ")} in the marked words.` : `${this.finding}: not mentioned in the draft.`;
    this.why.replaceChildren(make("p", {}, summary));
    const grids = regionShares(this.record.findings.find((finding) => finding.name === this.finding).regions);
    if (grids) this.why.append(this.heat(grids, "the evidence", "Evidence for it, per region: 0"));
  }

  heat(grids, of, scale) {
    const highest = this.viewer.showHeat(grids, of);
    const legend = make("canvas", { width: "128", height: "8", "aria-hidden": "true" });
    drawLegend(legend);
    return make("p", { class: "legend" }, scale, legend, `${percent(highest)} (${percent(1 / grids.flat(2).length)} if uniform)`);
  }

  show(index) {
    if (index === this.shown) return;
    if (this.shown >= 0) this.words[this.shown].classList.remove("shown");
    this.shown = index;
    if (index < 0) {
      this.rest();
      return;
    }
    this.words[index].classList.add("shown");
    const word = this.record.words[index];
    const name = this.words[index].textContent;
    this.why.replaceChildren(
      make("p", { class: "chosen" }, make("b", {}, name === "." ? "full stop" : name), `probability ${Math.exp(word.log_probability).toFixed(2)}`),
      this.heat(word.attention, "the attention", "Attention per region: 0"),
      ...this.prototypes(word.prototypes));
  }

  prototypes(uses) {
    if (!uses.length) return [];
    const column = (name) => make("th", { scope: "col" }, name);
    const head = make("tr", {}, column("Finding"), column("Number"), column("Share"), make("td", { class: "share" }));
    const rows = uses.slice(0, 5).map((use) => make("tr", {}, make("th", { scope: "row" }, use.finding || "Any"),
      make("td", {}, String(use.index)), make("td", {}, percent(use.weight)),
      make("td", { class: "share" }, makeTrack(use.weight / uses[0].weight, { above: true }))));
    const table = make("table", {}, make("caption", {}, "Prototypes behind it"), make("thead", {}, head), make("tbody", {}, ...rows));
    const examples = make("div", { class: "examples" });
    this.prototype(uses[0], examples);
    return [table, examples];
  }

  // One word at a time is in the tab order; the arrows move on from it.
  keep(index) {
    this.words[Math.max(this.kept, 0)].tabIndex = -1;
    this.words[index].tabIndex = 0;
    this.kept = index;
    this.show(index);
  }

  move(event) {
    if (!this.words.length || event.ctrlKey || event.altKey || event.metaKey) return;
    const last = this.words.length - 1;
    const next = { ArrowRight: Math.min(this.kept + 1, last), ArrowLeft: Math.max(this.kept - 1, 0), Home: 0, End: last }[event.key];
    if (next !== undefined) {
      event.preventDefault();
      this.words[next].focus();
    } else if (event.key === "Escape") {
      document.activeElement.blur();
      this.kept = -1;
      this.show(-1);
    }
  }
}
