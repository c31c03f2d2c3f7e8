// The draft on the page: words and sentences to choose with pointer and arrows, sentences to edit in place.
import { isFunctionWord } from "./maps.js";
import { make } from "./make.js";

const LOW = 0.5; // a content word below this probability is shaded
const LOWER = 0.25;
const VERDICTS = { supported: "supported", doubtful: "doubtful", contradicted: "contradicted by the findings", untestable: "nothing testable" };
const CHANGES = { edited: "edited by you", added: "added by you", deleted: "deleted by you" };

export const wordProbability = (word) => Math.exp(word.log_probability);
export const isWeak = (word) => !isFunctionWord(word.text) && wordProbability(word) < LOW;

export class DraftView {
  // `chosen` is called with what the arrows or a click chose, `pointed` with what the pointer is over (null: nothing),
  // `committed` when a sentence was edited in place.
  constructor({ text, reason, said, chosen, pointed, committed }) {
    Object.assign(this, { text, reason, said, chosen, pointed, committed });
    this.clear();
    text.addEventListener("pointerover", (event) => {
      const stop = event.pointerType === "mouse" && this.stopOf(event.target);
      if (stop) {
        this.pointed(stop);
        this.explain(stop);
      }
    });
    text.addEventListener("pointerleave", () => {
      this.pointed(null);
      this.explain(this.at);
    });
    text.addEventListener("focusin", (event) => {
      const stop = this.stopOf(event.target);
      if (stop) this.keep(stop);
    });
    text.addEventListener("dblclick", (event) => {
      const stop = this.stopOf(event.target);
      if (stop) this.edit(stop.key);
    });
    text.addEventListener("keydown", (event) => this.move(event));
  }

  clear() {
    this.draft = this.record = this.editor = null;
    this.stops = [];
    this.at = null;
    this.reason.textContent = "";
    this.text.replaceChildren();
  }

  addSentence(sentence) {
    this.text.append(this.text.textContent ? ` ${sentence}` : sentence);
  }

  // `words` has, for each sentence of the model, the words in it: { index, start, end } relative to the sentence.
  show(draft, record, words) {
    Object.assign(this, { draft, record, wordsOf: words });
    this.render();
  }

  // Draw everything anew; the place of the focus is kept.
  render() {
    const focused = this.text.contains(document.activeElement);
    const before = this.at;
    this.stops = [];
    this.editor = null;
    const elements = this.draft.sentences.flatMap((sentence, place) => [place ? sentence.gap || " " : "", this.sentence(sentence)]);
    this.text.replaceChildren(...elements);
    this.mark(this.marked || []);
    const again = before && (this.stops.find((stop) => stop.key === before.key && stop.word === before.word) || this.stops.find((stop) => stop.key === before.key));
    this.at = null;
    this.setAt(again || null);
    if (focused && this.stops.length) (again || this.stops[0]).element.focus({ preventScroll: true });
  }

  sentence(sentence) {
    const state = this.draft.stateOf(sentence);
    const checked = this.checked(sentence);
    const verdict = checked?.doubted ? checked.verdict : "";
    const element = make("span", { class: `sentence ${state} ${verdict}`, role: "group", "aria-label": this.describe(sentence) });
    element.dataset.key = sentence.key;
    if (state === "kept") element.append(...this.words(sentence));
    else {
      const whole = make(state === "deleted" ? "del" : state === "added" ? "ins" : "span", { class: "stop whole", role: "button", tabindex: "-1" }, sentence.text);
      this.stops.push({ key: sentence.key, word: null, element: whole });
      element.append(whole);
      if (state === "edited" && this.showOwn) element.append(" ", make("del", { class: "own" }, sentence.own));
    }
    if (this.stops.length && this.stops.every((stop) => stop.element.tabIndex !== 0)) this.stops[0].element.tabIndex = 0;
    return element;
  }

  words(sentence) {
    const pieces = [];
    let end = 0;
    for (const { index, start, end: stop } of this.wordsOf[sentence.number]) {
      if (start > end) pieces.push(sentence.text.slice(end, start));
      end = stop;
      const word = this.record.words[index];
      const weak = !isWeak(word) ? "" : wordProbability(word) < LOWER ? " weak weaker" : " weak";
      const element = make("span", { class: `stop word${weak}`, role: "button", tabindex: "-1" }, sentence.text.slice(start, stop));
      element.dataset.word = index;
      if (weak) element.setAttribute("aria-description", `probability ${wordProbability(word).toFixed(2)}`);
      this.stops.push({ key: sentence.key, word: index, element });
      pieces.push(element);
    }
    if (!pieces.length) {
      const whole = make("span", { class: "stop whole", role: "button", tabindex: "-1" }, sentence.text);
      this.stops.push({ key: sentence.key, word: null, element: whole });
      return [whole];
    }
    if (end < sentence.text.length) pieces.push(sentence.text.slice(end));
    return pieces;
  }

  // What the model says of a sentence that still is its own.
  checked(sentence) {
    if (!sentence || this.draft.stateOf(sentence) !== "kept") return null;
    const checked = this.record.sentences?.[sentence.number];
    if (!checked) return null;
    const doubted = checked.vouched === undefined ? ["doubtful", "contradicted"].includes(checked.verdict) : !checked.vouched;
    return { ...checked, doubted, reason: reasonOf(checked) };
  }

  describe(sentence) {
    const place = `Sentence ${this.draft.sentences.indexOf(sentence) + 1} of ${this.draft.sentences.length}`;
    const state = this.draft.stateOf(sentence);
    if (state !== "kept") return `${place}, ${CHANGES[state]}`;
    const checked = this.checked(sentence);
    return checked ? `${place}, ${VERDICTS[checked.verdict]}${checked.doubted ? `: ${checked.reason}` : ""}` : place;
  }

  stopOf(target) {
    const element = target.closest?.(".stop");
    return element ? this.stops.find((stop) => stop.element === element) || null : null;
  }

  setAt(stop) {
    if (this.at) this.at.element.tabIndex = -1;
    this.at = stop;
    for (const element of this.text.querySelectorAll(".current, .shown")) element.classList.remove("current", "shown");
    for (const other of this.stops) other.element.tabIndex = -1;
    const open = stop || this.stops[0];
    if (open) open.element.tabIndex = 0;
    if (!stop) return;
    stop.element.classList.add("shown");
    stop.element.parentElement.classList.add("current");
  }

  // One word at a time is in the tab order; the arrows move on from it.
  keep(stop) {
    const moved = this.at?.key !== stop.key;
    this.setAt(stop);
    this.chosen(stop);
    this.explain(stop);
    // The sentence's group has the same name, but not every screen reader says it when the focus enters it.
    if (moved) this.said.textContent = this.describe(this.draft.find(stop.key));
  }

  // The reason of a doubt, in the line under the text; and what the model wrote where a person changed it.
  explain(stop) {
    const sentence = stop && this.draft?.find(stop.key);
    const checked = this.checked(sentence);
    const changed = sentence?.own && this.draft.stateOf(sentence) === "edited";
    const says = changed ? `The model wrote: ${sentence.own}`
      : checked?.doubted ? `${checked.vouched === false ? "Not vouched for" : checked.verdict === "contradicted" ? "Contradicted" : "Doubtful"}: ${checked.reason}` : "";
    this.reason.className = `reason ${!changed && checked?.doubted ? checked.verdict : ""}`;
    this.reason.textContent = says;
  }

  select(key, word = null) {
    const stop = this.stops.find((each) => each.key === key && (word === null || each.word === word)) || this.stops.find((each) => each.key === key);
    stop?.element.focus();
    return Boolean(stop);
  }

  unselect() {
    this.setAt(null);
    this.explain(null);
  }

  // Words that mention a finding: spans of the draft's own text.
  mark(mentions) {
    this.marked = mentions;
    for (const element of this.text.querySelectorAll(".affirmed, .denied")) element.classList.remove("affirmed", "denied");
    for (const { words, state } of mentions) {
      for (const stop of this.stops) {
        if (stop.word !== null && words.includes(stop.word)) stop.element.classList.add(state === "negative" ? "denied" : "affirmed");
      }
    }
  }

  // Edit a sentence where it stands; `fresh` is one that was added for it and goes again if nothing is written.
  edit(key, { fresh = false } = {}) {
    const sentence = this.draft?.find(key);
    const element = this.text.querySelector(`[data-key="${key}"]`);
    if (!sentence || !element || this.editor) return;
    const field = make("textarea", { class: "line", rows: "1", "aria-label": fresh ? "The new sentence; Enter takes it, Escape leaves it" : "The sentence; Enter takes it, Escape leaves it", spellcheck: "true" });
    field.value = fresh ? "" : sentence.text;
    this.editor = field;
    const grow = () => {
      field.style.height = "auto";
      field.style.height = `${field.scrollHeight + 2}px`;
    };
    let over = false;
    const end = (take) => {
      if (over) return;
      over = true;
      this.editor = null;
      const next = this.committed(key, take ? field.value : null, fresh);
      if (next === null || !this.select(next)) this.stops[0]?.element.focus();
    };
    field.addEventListener("input", grow);
    field.addEventListener("keydown", (event) => {
      event.stopPropagation();
      if (event.isComposing || (event.key !== "Enter" && event.key !== "Escape") || (event.key === "Enter" && event.shiftKey)) return;
      event.preventDefault();
      end(event.key === "Enter");
    });
    field.addEventListener("blur", () => {
      if (!over && document.hasFocus()) end(true);
    });
    element.replaceChildren(field);
    grow();
    field.focus();
    field.setSelectionRange(field.value.length, field.value.length);
  }

  // Take what is being written, so that no text differs from what is seen.
  commit() {
    this.editor?.blur();
  }

  move(event) {
    if (!this.stops.length || event.ctrlKey || event.altKey || event.metaKey || !this.stopOf(event.target)) return;
    const here = this.stops.indexOf(this.stopOf(event.target));
    const keys = [...new Set(this.stops.map((stop) => stop.key))];
    const line = keys.indexOf(this.stops[here].key);
    const firstOf = (place) => this.stops.findIndex((stop) => stop.key === keys[Math.min(Math.max(place, 0), keys.length - 1)]);
    const next = {
      ArrowRight: here + 1, ArrowLeft: here - 1, Home: 0, End: this.stops.length - 1, ArrowDown: firstOf(line + 1), ArrowUp: firstOf(line - 1),
    }[event.key];
    if (event.key === "Enter" || event.key === " ") this.edit(this.stops[here].key);
    else if (next !== undefined) this.stops[Math.min(Math.max(next, 0), this.stops.length - 1)].element.focus();
    else return;
    event.preventDefault();
  }
}

// The claims of a sentence beside what the findings head sees, as the terminal says it.
export function reasonOf(checked) {
  return checked.claims.map((claim) => `${claim.finding} ${claim.affirmed ? "affirmed" : "denied"}; seen with probability ${claim.head.toFixed(2)}`).join("; ")
    || "claims nothing about a finding";
}

export const VERDICT_NAMES = VERDICTS;
