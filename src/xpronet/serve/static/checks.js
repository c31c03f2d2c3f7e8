// What deserves a second look: a list that leads to film and sentence.
import { isWeak, reasonOf, wordProbability } from "./draft_view.js";
import { make } from "./make.js";

const NEAR = 0.5; // of log-odds between probability and threshold
const NEAR_GATE = 0.9; // of the gate's threshold
const NO_FINDING = "No Finding";

const logOdds = (share) => {
  const kept = Math.min(Math.max(share, 1e-6), 1 - 1e-6);
  return Math.log(kept / (1 - kept));
};
const shown = (share) => share < 0.01 ? share.toPrecision(1) : share.toFixed(2);
const heights = ["upper", "middle", "lower"];
const sides = ["left", "centre", "right"];
const placeOf = (place) => place ? `, view ${place.view}, ${heights[Math.floor((3 * place.row) / place.rows)]} ${sides[Math.floor((3 * place.column) / place.rows)]} of the image` : "";

// Entries: { kind, text, key, word, finding, view }. `claims` are the mentions of findings in the text as it is now, each
// with the key of its sentence; `verdicts` what the model says of the sentences that still are its own.
export function findChecks(record, { sentences, claims, verdicts }) {
  const entries = [];
  const findings = record.findings.filter((finding) => finding.name !== NO_FINDING);
  const affirmed = (name) => claims.find((claim) => claim.finding === name && ["positive", "uncertain"].includes(claim.state));
  const denied = (name) => claims.find((claim) => claim.finding === name && claim.state === "negative");
  const told = new Set();
  for (const { key, checked } of verdicts) {
    if (!checked?.doubted) continue;
    const worst = checked.claims.toSorted((one, other) => one.probability - other.probability)[0];
    const unseen = worst?.affirmed && worst.head < (findings.find((finding) => finding.name === worst.finding)?.threshold ?? 0);
    for (const claim of checked.claims) told.add(claim.finding);
    entries.push({
      kind: unseen ? "In the text, not seen" : checked.verdict === "contradicted" ? "Contradicted" : "Doubtful",
      text: reasonOf(checked), key, finding: worst?.finding, view: worst?.place?.view,
    });
  }
  for (const finding of findings) {
    const left = record.left_out?.find((each) => each.finding === finding.name);
    const seen = finding.probability >= finding.threshold;
    const said = affirmed(finding.name);
    const no = denied(finding.name);
    const beside = `${finding.name}, probability ${shown(finding.probability)}, threshold ${shown(finding.threshold)}`;
    if (seen && !said) {
      entries.push({ kind: no ? "Seen, denied in the text" : "Seen, not in the text", text: `${beside}${placeOf(left?.place)}`, key: no?.key ?? null, finding: finding.name, view: left?.place?.view });
    } else if (!seen && said && !told.has(finding.name)) {
      entries.push({ kind: "In the text, not seen", text: beside, key: said.key, finding: finding.name });
    } else if (Math.abs(logOdds(finding.probability) - logOdds(finding.threshold)) < NEAR && !told.has(finding.name)) {
      entries.push({ kind: "Borderline", text: beside, key: (said || no)?.key ?? null, finding: finding.name });
    }
  }
  for (const { key, words } of sentences) {
    const weak = words.filter((index) => isWeak(record.words[index]));
    if (weak.length) {
      entries.push({ kind: "Weak words", text: weak.map((index) => `“${record.words[index].text}” ${wordProbability(record.words[index]).toFixed(2)}`).join(", "), key, word: weak[0] });
    }
  }
  for (const [index, view] of (record.gate || []).entries()) {
    if (view.score <= NEAR_GATE * view.threshold) continue;
    const far = view.score > view.threshold;
    entries.push({ kind: far ? "Unlike the training images" : "Nearly unlike the training images", text: `view ${index + 1}: distance ${view.score.toFixed(2)}, limit ${view.threshold.toFixed(2)}`, key: null, view: index + 1 });
  }
  return entries;
}

export class CheckList {
  // `lead` is called with the entry that was chosen.
  constructor(list, title, lead) {
    Object.assign(this, { list, title, lead });
    this.clear();
  }

  clear() {
    this.entries = [];
    this.place = -1;
    this.list.replaceChildren();
    this.title.textContent = "Check these";
  }

  fill(entries) {
    this.entries = entries;
    this.place = Math.min(this.place, entries.length - 1);
    this.title.textContent = `Check these (${entries.length})`;
    this.list.replaceChildren(...(entries.length ? entries.map((entry, index) => this.item(entry, index)) : [make("li", { class: "facts" }, "Nothing stands out. That is no proof: read the films.")]));
  }

  item(entry, index) {
    const button = make("button", { type: "button" }, make("b", {}, entry.kind), ` ${entry.text}`);
    button.addEventListener("click", () => this.go(index));
    return make("li", {}, button);
  }

  go(index) {
    if (!this.entries.length) return;
    this.place = (index + this.entries.length) % this.entries.length;
    for (const [each, item] of [...this.list.children].entries()) item.classList.toggle("at", each === this.place);
    this.lead(this.entries[this.place]);
  }

  restart() {
    this.place = -1;
    for (const item of this.list.children) item.classList.remove("at");
  }

  next(step) {
    this.go(this.place < 0 && step < 0 ? this.entries.length - 1 : this.place + step);
  }
}
