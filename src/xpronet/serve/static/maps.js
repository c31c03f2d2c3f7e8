// What is painted over the films: the regions of a finding, or the attention of a word. One scale holds for all words of
// a report, and one for all its findings, so that two maps can be compared. Levels are 0 (nothing is painted) to 1.

// Words that say nothing about an image; their attention is no evidence.
const FUNCTION_WORDS = new Set(("a an the and or but nor with without within of in on at to for from by as than that this these those there here it its "
  + "is are was were be been being has have had do does did may might can could should would will no not any some all both each other also which "
  + "who again still only very more most").split(" "));
const CLEARLY_ABOVE = 1.02; // shares are rounded
const LEAST_TOP = 4; // the brightest colour stands for at least four times even attention
const SINK_LIFT = 3;
const LEAST_WORDS = 8;
const LEAST_ADDED = 2; // of log-odds, for the brightest colour
const MOST_SEEN = 0.98; // of a side
const SHOWN_FROM = 0.1; // of the brightest

const median = (values) => values.toSorted((one, other) => one - other)[Math.floor(values.length / 2)];
const mapGrids = (grids, change) => grids.map((grid, view) => grid.map((row, y) => row.map((part, x) => change(part, view, y, x))));
const sum = (values) => values.reduce((total, part) => total + part, 0);

export const isFunctionWord = (text) => !/\p{L}|\d/u.test(text) || FUNCTION_WORDS.has(text.toLowerCase());

// Regions that get the attention of nearly every word, whatever it says: the most of it in more than half of the words,
// or three times even attention in the median word.
export function attentionSinks(words) {
  if (words.length < LEAST_WORDS) return new Set();
  const flat = words.map((word) => word.attention.flat(2));
  const even = 1 / flat[0].length;
  const most = new Map();
  for (const shares of flat) {
    const first = shares.indexOf(Math.max(...shares));
    most.set(first, (most.get(first) || 0) + 1);
  }
  return new Set(flat[0].map((_, cell) => cell).filter((cell) =>
    most.get(cell) > words.length / 2 || median(flat.map((shares) => shares[cell])) >= SINK_LIFT * even));
}

export class Maps {
  constructor(record) {
    this.empty = record.empty || [];
    // Films of which the network saw only the middle: nothing can be painted outside its square.
    this.cut = (record.seen || []).flatMap(([, , width, height], view) => Math.min(width, height) < MOST_SEEN
      ? [`View ${view + 1}: the network saw the middle ${percentOf(Math.min(width, 1))} of its width and ${percentOf(Math.min(height, 1))} of its height, and nothing outside.`] : []);
    this.words = record.words || [];
    if (this.words.length) {
      const cells = this.words.map((word) => word.attention.flat(2));
      this.even = 1 / cells[0].length;
      this.sinks = attentionSinks(this.words);
      const highest = cells.flatMap((shares, word) => isFunctionWord(this.words[word].text) ? [] : shares.filter((_, cell) => !this.sinks.has(cell)));
      this.top = Math.max(LEAST_TOP * this.even, ...highest);
    }
    this.mostAdded = Math.max(LEAST_ADDED, ...record.findings.flatMap((finding) => (finding.regions || []).flat(2)));
  }

  // The attention of a word above even attention, and what must be said of it.
  word(index) {
    const { text, attention } = this.words[index];
    if (isFunctionWord(text)) return { levels: null, says: [/\p{L}|\d/u.test(text) ? "A function word: its attention is no evidence, no map." : "Punctuation: no map."] };
    let cell = -1;
    let sunk = 0;
    const levels = mapGrids(attention, (share) => {
      cell += 1;
      if (this.sinks.has(cell)) {
        sunk += share;
        return 0;
      }
      return share > CLEARLY_ABOVE * this.even ? Math.min((share - this.even) / (this.top - this.even), 1) : 0;
    });
    const says = [];
    if (sunk > 0) says.push(`${percentOf(sunk)} of its attention lies on ${this.sinks.size === 1 ? "a region that gets it" : `${this.sinks.size} regions that get it`} for nearly every word: left out.`);
    const away = this.outside(attention);
    if (away >= 0.01) says.push(`${percentOf(away)} of it lies outside the patient, on empty background.`);
    const painted = levels.flat(2).some((level) => level > 0);
    if (!painted) says.unshift("No region has more than even attention: no map.");
    return { levels: painted ? levels : null, shares: attention, says, from: this.even, to: this.top };
  }

  // What each region adds to a finding's log-odds.
  finding(finding) {
    if (!finding.regions?.length) return { levels: null, says: [] };
    const levels = mapGrids(finding.regions, (added) => {
      const level = added / this.mostAdded;
      return level > SHOWN_FROM ? (level - SHOWN_FROM) / (1 - SHOWN_FROM) : 0;
    });
    const added = mapGrids(finding.regions, (part) => Math.max(part, 0));
    const whole = sum(added.flat(2));
    const shares = whole > 0 ? mapGrids(added, (part) => part / whole) : null;
    const painted = levels.flat(2).some((level) => level > 0);
    const away = shares ? this.outside(shares) : 0;
    const says = painted ? [] : ["No region adds to it noticeably: no map."];
    if (painted && away >= 0.01) says.push(`${percentOf(away)} of what speaks for it lies outside the patient, on empty background.`);
    return { levels: painted ? levels : null, shares, says, from: SHOWN_FROM * this.mostAdded, to: this.mostAdded };
  }

  outside(shares) {
    return sum(shares.flatMap((grid, view) => grid.flatMap((row, y) => row.filter((_, x) => this.empty[view]?.[y]?.[x]))));
  }
}

const percentOf = (share) => `${(100 * share).toFixed(0)} %`;
