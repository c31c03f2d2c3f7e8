// Why a sentence or a word is there: verdict, probability, map over the films, prototypes.
import { VERDICT_NAMES, reasonOf, wordProbability } from "./draft_view.js";
import { Maps } from "./maps.js";
import { drawLegend } from "./heat.js";
import { make, makeTrack, percent } from "./make.js";

export class Evidence {
  constructor({ why, viewer, prototype }) {
    Object.assign(this, { why, viewer, prototype });
    this.clear();
  }

  clear() {
    this.record = this.maps = null;
    this.open = false;
    this.wordsFirst = false;
    this.why.replaceChildren();
  }

  fill(record) {
    this.record = record;
    this.maps = new Maps(record);
  }

  nothing() {
    this.viewer.hideHeat();
    this.why.replaceChildren();
  }

  findingOf(name) {
    return this.record.findings.find((finding) => finding.name === name);
  }

  // The regions of a finding, and what the draft says of it.
  finding(name, mentions) {
    const finding = this.findingOf(name);
    const names = { positive: "affirmed", negative: "negated", uncertain: "uncertain" };
    const states = [...new Set(mentions.map((mention) => names[mention.state] || "mentioned"))];
    const said = mentions.length ? `${states.join(" and ")} in the text` : "not mentioned in the text";
    this.why.replaceChildren(make("p", { class: "chosen" }, make("b", {}, name), `seen with probability ${finding.probability.toFixed(2)}, threshold ${finding.threshold.toFixed(2)}; ${said}`),
      ...this.findingMap(finding));
  }

  // A sentence, and the word in it that was chosen. Its finding's regions come first; the word's attention where it is
  // asked for, or where the sentence claims nothing.
  sentence(checked, word, claimed) {
    const lines = [];
    if (checked) lines.push(make("p", { class: `verdict ${checked.doubted ? checked.verdict : ""}` }, make("b", {}, `Sentence ${VERDICT_NAMES[checked.verdict]}`), checked.probability === null ? "" : `probability ${checked.probability.toFixed(2)}. ${reasonOf(checked)}.`));
    const details = word === null ? [] : this.word(word);
    const finding = claimed && !this.wordsFirst ? this.findingOf(claimed.finding) : null;
    if (finding && !claimed.affirmed && !finding.present) {
      lines.push(make("p", { class: "facts" }, `${finding.name}: denied, and not seen: no regions shown.${word === null ? "" : " H shows the word’s attention."}`));
      this.viewer.hideHeat();
    } else if (finding) lines.push(...this.findingMap(finding));
    else if (word !== null) lines.push(...this.wordMap(word));
    else this.viewer.hideHeat();
    this.why.replaceChildren(...lines, ...details);
  }

  word(index) {
    const word = this.record.words[index];
    const name = word.text === "." ? "full stop" : word.text;
    return [make("p", { class: "chosen" }, make("b", {}, name), `probability ${wordProbability(word).toFixed(2)}`), ...this.prototypes(word.prototypes)];
  }

  findingMap(finding) {
    const map = this.maps.finding(finding);
    return this.paint(map, `evidence for ${finding.name}`, (part) => `+${part.toFixed(1)}`, `Regions of ${finding.name}, added to its log-odds:`, "one scale for all findings");
  }

  wordMap(index) {
    const map = this.maps.word(index);
    return this.paint(map, "the attention", (part) => percent(part), `Attention of “${this.record.words[index].text}” above even:`, "one scale for all words");
  }

  paint(map, of, show, title, scale) {
    const says = [...map.says, ...(map.levels ? this.maps.cut : [])].map((line) => make("p", { class: "facts" }, line));
    if (!map.levels) {
      this.viewer.hideHeat();
      return says;
    }
    this.viewer.showHeat(map.levels, map.shares, of);
    const legend = make("canvas", { width: "128", height: "8", "aria-hidden": "true" });
    drawLegend(legend);
    return [make("p", { class: "legend" }, make("span", {}, title), show(map.from), legend, `${show(map.to)} (${scale})`), ...says];
  }

  prototypes(uses) {
    if (!uses.length) return [];
    const column = (name) => make("th", { scope: "col" }, name);
    const head = make("tr", {}, column("Finding"), column("Number"), column("Share"), make("td", { class: "share" }));
    const rows = uses.slice(0, 5).map((use) => make("tr", {}, make("th", { scope: "row" }, use.finding || "Any"),
      make("td", {}, String(use.index)), make("td", {}, percent(use.weight)),
      make("td", { class: "share" }, makeTrack(use.weight / uses[0].weight, { above: true }))));
    const table = make("table", {}, make("caption", { class: "unseen" }, "Prototypes behind it"), make("thead", {}, head), make("tbody", {}, ...rows));
    const examples = make("div", { class: "examples" });
    this.prototype(uses[0], examples);
    const details = make("details", {}, make("summary", {}, `Prototypes behind it: ${uses[0].finding || "Any"} ${percent(uses[0].weight)}, …`), table, examples);
    details.open = this.open;
    details.addEventListener("toggle", () => { this.open = details.open; });
    return [details];
  }
}
