// The fourteen findings: how likely each is, and which one is chosen.
import { make, makeTrack, percent } from "./make.js";

export class FindingsTable {
  // `choose` is called with a finding's name, or null where the choice is taken back.
  constructor(body, choose) {
    this.body = body;
    this.choose = choose;
    this.clear();
  }

  clear() {
    this.chosen = null;
    this.body.replaceChildren();
  }

  // Findings that are present come first, then by their distance from the threshold; `No Finding` where it belongs.
  fill(findings) {
    const ordered = findings.toSorted((one, other) => Number(other.present) - Number(one.present) || other.probability / other.threshold - one.probability / one.threshold);
    this.body.replaceChildren(...ordered.map((finding) => this.row(finding)));
  }

  row(finding) {
    const button = make("button", { type: "button", "aria-pressed": "false" }, finding.name);
    button.dataset.finding = finding.name;
    button.addEventListener("click", () => this.choose(this.chosen === finding.name ? null : finding.name));
    const value = make("div", { class: "value" }, percent(finding.probability));
    const track = makeTrack(finding.probability, { above: finding.probability >= finding.threshold, limit: finding.threshold });
    return make("tr", finding.present ? { class: "present" } : {},
      make("th", { scope: "row" }, button), make("td", { class: "probability" }, value, track),
      make("td", { class: "number threshold" }, percent(finding.threshold)), make("td", {}, finding.present ? "yes" : "no"));
  }

  mark(name) {
    this.chosen = name;
    for (const button of this.body.querySelectorAll("button")) button.setAttribute("aria-pressed", String(button.dataset.finding === name));
  }

  focus(name) {
    this.body.querySelector(`button[data-finding="${name}"]`)?.focus();
  }
}
