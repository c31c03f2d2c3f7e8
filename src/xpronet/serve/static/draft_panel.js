// The half of the page with the text: draft, evidence, findings, what to check, and what becomes of the text.
import { RequestError, ask } from "./server.js";
import { CheckList, findChecks } from "./checks.js";
import { addDraftKeys } from "./draft_keys.js";
import { Draft } from "./draft.js";
import { DraftView } from "./draft_view.js";
import { Evidence } from "./evidence.js";
import { FindingsTable } from "./findings.js";
import { Handover } from "./handover.js";
import { MacroDialog } from "./macro_dialog.js";
import { Signature } from "./signature.js";
import { make } from "./make.js";

const NEEDS_DRAFT = ["edit", "copy", "save-json", "save-sr", "add", "edit-one", "delete", "revert", "revert-all", "undo", "redo", "own-shown", "use-macro", "sign", "print", "map"];

export class DraftPanel {
  // `state` shows a line; `files` returns the study's files; `about` what GET /v1/model says; `prototype` draws examples.
  constructor({ at, viewer, state, files, about, prototype }) {
    Object.assign(this, { at, viewer, state, files, about });
    this.signature = new Signature(at, () => this.refresh());
    this.macros = new MacroDialog(at, (text) => this.add(text));
    this.handover = new Handover(this);
    this.evidence = new Evidence({ why: at("why"), viewer, prototype });
    this.view = new DraftView({
      text: at("text"), reason: at("reason"), said: at("said"),
      chosen: (stop) => this.choose(stop), pointed: (stop) => this.explain(stop || this.view.at),
      committed: (key, text, fresh) => this.commitOne(key, text, fresh),
    });
    this.findings = new FindingsTable(at("findings").tBodies[0], (name) => this.chooseFinding(name));
    this.checks = new CheckList(at("checks"), at("checks-title"), (entry) => this.lead(entry));
    this.listen();
    this.clear();
  }

  clear() {
    this.record = this.draft = null;
    this.claims = [];
    this.adding = null;
    this.signature.asked = false;
    for (const part of [this.evidence, this.view, this.findings, this.checks]) part.clear();
    this.at("edited").hidden = true;
    this.at("text").hidden = false;
    this.at("own").hidden = true;
    this.view.showOwn = false;
    for (const id of NEEDS_DRAFT) this.at(id).disabled = true;
    this.refresh();
  }

  addSentence(sentence) {
    this.view.addSentence(sentence);
  }

  // The whole report: every word becomes interactive.
  finish(record) {
    this.record = record;
    const pieces = record.spans.map(([start, end], number) => ({ gap: record.report.slice(number ? record.spans[number - 1][1] : 0, start), text: record.report.slice(start, end) }));
    this.draft = new Draft(pieces);
    const words = record.spans.map(([start, end]) => record.places.flatMap(([from, to], index) =>
      from >= start && to <= end && to > from ? [{ index, start: from - start, end: to - start }] : []));
    this.wordsOf = words;
    // What is said of sentences, by their number: a model without a findings head says nothing.
    const sentences = record.spans.map(([start]) => record.sentences?.find((sentence) => sentence.start === start) || null);
    this.evidence.fill(record);
    this.view.show(this.draft, { ...record, sentences }, words);
    this.findings.fill(record.findings);
    for (const id of NEEDS_DRAFT) this.at(id).disabled = false;
    this.read(record.mentions);
    this.refresh();
    if (document.activeElement === document.body || document.activeElement === this.at("files")) this.view.stops[0]?.element.focus({ preventScroll: true });
  }

  get text() {
    return this.draft?.text ?? "";
  }

  // Take what is being written, so that all that follows has the text that is seen.
  commit() {
    this.view.commit();
    if (!this.at("edited").hidden && this.draft?.replaceAll(this.at("edited").value)) this.changed();
  }

  // After every change: the same text everywhere.
  changed() {
    this.view.render();
    this.refresh();
    this.readAgain();
    const stop = this.view.at;
    if (stop && this.findings.chosen === null) this.explain(stop);
  }

  refresh() {
    const draft = this.draft;
    const edited = Boolean(draft?.edited);
    const count = draft?.changes().length ?? 0;
    this.at("edits").textContent = edited ? `${count} ${count === 1 ? "sentence" : "sentences"} changed${draft.unsaved ? ", not yet copied or saved" : ""}` : "";
    this.at("undo").disabled = !draft?.past.length;
    this.at("redo").disabled = !draft?.future.length;
    this.at("revert-all").disabled = !edited;
    this.at("own-text").textContent = draft?.ownText ?? "";
    const { name } = this.signature;
    this.at("signed").textContent = draft && name ? `Edits signed by ${name}. The document stays unverified.` : "";
    const about = this.about();
    this.at("print-report").replaceChildren(...(draft ? [
      make("p", {}, make("b", {}, "Draft by software, research use only, not a diagnosis. Unverified.")),
      ...(about?.origin.lines || []).map((line) => make("p", {}, line)),
      make("p", {}, `Model ${about?.name ?? ""} (${this.record.model}), XProNet ${about?.version ?? ""}; printed ${new Date().toLocaleString()}`),
      make("p", { id: "print-text" }, draft.text),
      ...(edited ? [make("p", {}, `Edited by ${name || "a person who gave no name"} after the software drafted it.`)] : []),
    ] : []));
  }

  // Which findings the text mentions, each with its sentence's key.
  read(mentions) {
    const places = [];
    let end = 0;
    for (const [index, sentence] of this.draft.sentences.filter((each) => !each.deleted).entries()) {
      const start = index ? end + (sentence.gap || " ").length : 0;
      end = start + sentence.text.length;
      places.push({ sentence, start, end });
    }
    this.claims = mentions.flatMap((mention) => {
      const place = places.find(({ start, end: stop }) => mention.spans[0]?.[0] >= start && mention.spans[0][0] < stop);
      if (!place) return [];
      const own = this.draft.stateOf(place.sentence) === "kept" ? this.wordsOf[place.sentence.number] : [];
      const words = own.filter((word) => mention.spans.some(([from, to]) => word.start + place.start < to && word.end + place.start > from)).map((word) => word.index);
      return [{ ...mention, key: place.sentence.key, words }];
    });
    this.view.mark(this.claims.filter((claim) => claim.finding === this.findings.chosen));
    this.list();
  }

  async readAgain() {
    const text = this.text;
    try {
      const mentions = await (await ask("/v1/mentions", { method: "POST", body: JSON.stringify({ text }), json: true })).json();
      if (this.draft && this.text === text) this.read(mentions);
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
      this.list();
    }
  }

  list() {
    const kept = this.draft.sentences.filter((sentence) => this.draft.stateOf(sentence) === "kept");
    this.checks.fill(findChecks(this.record, {
      sentences: kept.map((sentence) => ({ key: sentence.key, words: this.wordsOf[sentence.number].map((word) => word.index) })),
      claims: this.claims,
      verdicts: kept.map((sentence) => ({ key: sentence.key, checked: this.view.checked(sentence) })),
    }));
  }

  choose(stop) {
    this.findings.mark(null);
    this.view.mark([]);
    this.explain(stop);
  }

  explain(stop) {
    if (!this.record) return;
    if (!stop) {
      if (this.findings.chosen === null) this.evidence.nothing();
      else this.showFinding(this.findings.chosen);
      return;
    }
    const sentence = this.draft.find(stop.key);
    const checked = this.view.checked(sentence);
    const named = this.claims.find((claim) => claim.key === stop.key && stop.word !== null && claim.words.includes(stop.word));
    const claim = checked?.claims.find((each) => each.finding === named?.finding) || checked?.claims[0];
    const mentioned = claim || (named || this.claims.find((each) => each.key === stop.key));
    const claimed = mentioned ? { finding: mentioned.finding, affirmed: mentioned.affirmed ?? mentioned.state !== "negative" } : null;
    this.evidence.sentence(checked, stop.word, claimed);
  }

  chooseFinding(name) {
    this.findings.mark(name);
    this.view.unselect();
    this.view.mark(name === null ? [] : this.claims.filter((claim) => claim.finding === name));
    if (name === null) this.evidence.nothing();
    else this.showFinding(name);
  }

  showFinding(name) {
    this.evidence.finding(name, this.claims.filter((claim) => claim.finding === name));
  }

  // From an entry of "check these" to film and sentence.
  lead({ key, word, finding, view }) {
    if (key !== null) this.view.select(key, word ?? null);
    if (finding) {
      this.findings.mark(finding);
      this.view.mark(this.claims.filter((claim) => claim.finding === finding));
      this.showFinding(finding);
      if (key === null) {
        this.view.unselect();
        this.at("said").textContent = `${finding} is in no sentence; A adds one.`;
      }
    }
    const film = this.viewer.show(view ?? 1);
    film?.scrollIntoView({ block: "nearest" });
    film?.classList.add("pointed");
    setTimeout(() => film?.classList.remove("pointed"), 1500);
  }

  here() {
    return this.view.at?.key ?? null;
  }

  editOne() {
    if (this.here() !== null) this.view.edit(this.here());
    else this.view.stops[0]?.element.focus();
  }

  // A new sentence behind the chosen one; the history has it as one step.
  add(text = null) {
    if (!this.draft) return;
    this.commit();
    const after = this.here();
    if (text !== null) {
      const key = this.draft.add(after, text);
      this.changed();
      this.view.select(key);
      return;
    }
    this.adding = { after, text: this.text };
    const key = this.draft.add(after, "");
    this.view.render();
    this.view.edit(key, { fresh: true });
  }

  commitOne(key, text, fresh) {
    let next = key;
    if (fresh) {
      this.draft.undo();
      this.draft.future = [];
      next = text?.trim() ? this.draft.add(this.adding.after, text) : this.adding.after;
      this.adding = null;
    } else if (text !== null) this.draft.edit(key, text);
    this.changed();
    return next;
  }

  // A change to the chosen sentence or to the whole.
  change(what) {
    if (!this.draft) return;
    this.commit();
    if (what()) this.changed();
    if (!this.at("edited").hidden) this.at("edited").value = this.text;
  }

  toggleWhole() {
    const on = this.at("edited").hidden;
    if (on) this.view.commit();
    else this.commit();
    this.at("edited").hidden = !on;
    this.at("text").hidden = on;
    this.at("edit").setAttribute("aria-pressed", String(on));
    this.at("edit").textContent = on ? "Show evidence" : "Edit all";
    this.view.unselect();
    this.evidence.nothing();
    if (on) {
      this.at("edited").value = this.text;
      this.at("edited").focus();
    } else this.view.stops[0]?.element.focus();
  }

  toggleOwn() {
    this.at("own").hidden = !this.at("own").hidden;
    this.view.showOwn = !this.at("own").hidden;
    this.at("own-shown").setAttribute("aria-pressed", String(this.view.showOwn));
    this.view.render();
  }

  toggleMap() {
    this.evidence.wordsFirst = !this.evidence.wordsFirst;
    this.at("map").textContent = this.evidence.wordsFirst ? "Map: word" : "Map: finding";
    this.explain(this.view.at);
  }

  // Whether the study may be left: asks where an edited text would be lost.
  mayLeave() {
    this.commit();
    if (!this.draft?.unsaved) return Promise.resolve(true);
    const dialog = this.at("leave-dialog");
    dialog.returnValue = "stay";
    dialog.showModal();
    return new Promise((resolve) => {
      dialog.addEventListener("close", () => resolve(dialog.returnValue === "leave"), { once: true });
    });
  }

  showMacros() {
    this.commit();
    this.macros.open();
  }

  listen() {
    const { at } = this;
    const clicks = {
      edit: () => this.toggleWhole(), copy: () => this.handover.copy(), "save-json": () => this.handover.saveJson(), "save-sr": () => this.handover.saveSr(),
      "edit-one": () => this.editOne(), add: () => this.add(), sign: () => this.signature.ask(), print: () => this.handover.print(), map: () => this.toggleMap(),
      delete: () => this.deleteOne(), revert: () => this.revertOne(),
      "revert-all": () => this.change(() => this.draft.revertAll()), undo: () => this.change(() => this.draft.undo()), redo: () => this.change(() => this.draft.redo()),
      "own-shown": () => this.toggleOwn(), "use-macro": () => this.showMacros(),
    };
    for (const [id, run] of Object.entries(clicks)) at(id).addEventListener("click", run);
    at("edited").addEventListener("keydown", (event) => {
      if (event.key === "Escape" && !event.isComposing) this.toggleWhole();
    });
    addEventListener("beforeprint", () => {
      if (!this.draft) return;
      this.commit();
      this.refresh();
    });
    addEventListener("beforeunload", (event) => {
      const whole = !at("edited").hidden && at("edited").value !== this.text;
      if (this.draft && (this.draft.unsaved || this.view.editor || whole)) event.preventDefault();
    });
  }

  deleteOne() {
    const key = this.here();
    if (key !== null) this.change(() => this.draft.remove(key));
  }

  revertOne() {
    const key = this.here();
    if (key !== null) this.change(() => this.draft.revert(key));
  }

  addKeys(keys) {
    addDraftKeys(keys, this);
  }

  clearChoice() {
    if (this.view.text.contains(document.activeElement)) document.activeElement.blur();
    this.chooseFinding(null);
    this.checks.restart();
  }
}
