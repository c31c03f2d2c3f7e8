// A draft under a person's hands: its sentences, what was changed, and the way back. The one text that page, clipboard,
// JSON, structured report and print share is `text`. Nothing here knows the page.

// The sentences of a text, each with the white space before it.
export function splitText(text) {
  return [...text.matchAll(/(\s*)(\S[\s\S]*?[.!?]+(?=\s|$)|\S[\s\S]*)/g)].map(([, gap, piece]) => ({ gap, text: piece.trimEnd() }));
}

// Pairs of equal items of two lists, in order and as many as possible.
function commonItems(one, other) {
  const length = Array.from({ length: one.length + 1 }, () => new Array(other.length + 1).fill(0));
  for (let i = one.length - 1; i >= 0; i--) {
    for (let j = other.length - 1; j >= 0; j--) {
      length[i][j] = one[i] === other[j] ? length[i + 1][j + 1] + 1 : Math.max(length[i + 1][j], length[i][j + 1]);
    }
  }
  const pairs = [];
  for (let i = 0, j = 0; i < one.length && j < other.length;) {
    if (one[i] === other[j]) pairs.push([i++, j++]);
    else if (length[i + 1][j] >= length[i][j + 1]) i++;
    else j++;
  }
  return pairs;
}

export class Draft {
  // Sentences as the model wrote them: texts, and the white space before each.
  constructor(pieces) {
    this.keys = 0;
    this.own = pieces.map((piece, number) => ({ key: this.keys++, number, gap: piece.gap, own: piece.text, text: piece.text, deleted: false }));
    this.sentences = this.own;
    this.past = [];
    this.future = [];
    this.saved = this.text;
  }

  get text() {
    const kept = this.sentences.filter((sentence) => !sentence.deleted);
    return kept.map((sentence, place) => (place ? sentence.gap || " " : "") + sentence.text).join("");
  }

  get ownText() {
    return this.own.map((sentence, place) => (place ? sentence.gap || " " : "") + sentence.own).join("");
  }

  get edited() {
    return this.text !== this.ownText;
  }

  // Whether something would be lost by leaving.
  get unsaved() {
    return this.edited && this.text !== this.saved;
  }

  markSaved() {
    this.saved = this.text;
  }

  stateOf(sentence) {
    if (sentence.deleted) return "deleted";
    if (sentence.own === null) return "added";
    return sentence.text === sentence.own ? "kept" : "edited";
  }

  // Every change as a record: what it was and what it is.
  changes() {
    return this.sentences.filter((sentence) => this.stateOf(sentence) !== "kept").map((sentence) => ({
      change: this.stateOf(sentence), from: sentence.own, to: sentence.deleted ? null : sentence.text,
    }));
  }

  find(key) {
    return this.sentences.find((sentence) => sentence.key === key);
  }

  edit(key, text) {
    const wanted = text.trim();
    if (!wanted) return this.remove(key);
    return this.change(this.sentences.map((sentence) => sentence.key === key ? { ...sentence, text: wanted, deleted: false } : sentence));
  }

  // A sentence of the model stays visible, struck through; one that a person added goes.
  remove(key) {
    return this.change(this.sentences.flatMap((sentence) => {
      if (sentence.key !== key) return [sentence];
      return sentence.own === null ? [] : [{ ...sentence, deleted: true }];
    }));
  }

  // Add behind a sentence, or at the end; return the new sentence's key.
  add(after, text) {
    const key = this.keys++;
    const added = { key, number: null, gap: " ", own: null, text: text.trim(), deleted: false };
    const place = this.sentences.findIndex((sentence) => sentence.key === after);
    const next = [...this.sentences];
    next.splice(place < 0 ? next.length : place + 1, 0, added);
    this.change(next);
    return key;
  }

  revert(key) {
    const sentence = this.find(key);
    if (!sentence) return false;
    if (sentence.own === null) return this.remove(key);
    return this.change(this.sentences.map((each) => each.key === key ? { ...each, text: each.own, deleted: false } : each));
  }

  revertAll() {
    return this.change(this.own);
  }

  // Take a whole text: sentences that it still has keep their evidence, others are edited, added or deleted.
  replaceAll(text) {
    const pieces = splitText(text);
    const current = this.sentences.filter((sentence) => !sentence.deleted);
    const pairs = [...commonItems(current.map((sentence) => sentence.text), pieces.map((piece) => piece.text)), [current.length, pieces.length]];
    const next = [];
    let [i, j] = [0, 0];
    for (const [nextOld, nextNew] of pairs) {
      for (; i < nextOld && j < nextNew; i++, j++) next.push({ ...current[i], ...pieces[j] });
      for (; i < nextOld; i++) if (current[i].own !== null) next.push({ ...current[i], deleted: true });
      for (; j < nextNew; j++) next.push({ key: this.keys++, number: null, own: null, deleted: false, ...pieces[j] });
      if (i < current.length) next.push({ ...current[i++], ...pieces[j++] });
    }
    // What was deleted before stays where it can be seen and brought back.
    for (const [place, sentence] of this.sentences.entries()) {
      if (sentence.deleted) next.splice(Math.min(place, next.length), 0, sentence);
    }
    return this.change(next);
  }

  change(next) {
    const same = next.length === this.sentences.length && next.every((sentence, place) => {
      const other = this.sentences[place];
      return sentence.key === other.key && sentence.text === other.text && sentence.deleted === other.deleted && sentence.gap === other.gap;
    });
    if (same) return false;
    this.past.push(this.sentences);
    this.future = [];
    this.sentences = next;
    return true;
  }

  undo() {
    if (!this.past.length) return false;
    this.future.push(this.sentences);
    this.sentences = this.past.pop();
    return true;
  }

  redo() {
    if (!this.future.length) return false;
    this.past.push(this.sentences);
    this.sentences = this.future.pop();
    return true;
  }
}
