// The draft half of the reading page, by keyboard: node draft.mjs ADDRESS FOLDER SR STUDIES MACROS.
// SR is yes where the server must offer DICOM structured reports, STUDIES a JSON list of studies, each a list of image
// files; MACROS a file of macros. Downloads and screenshots go to FOLDER, what the text was into text.txt.
// The first thing that is not as it should be ends it with status 1.
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { chromium } from "playwright-core";

const [address, folder, sr, studies, macros] = process.argv.slice(2);
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const SPOKEN = ["Pleural Effusion", "Atelectasis", "Consolidation", "Pneumonia", "Fracture", "Edema", "Cardiomegaly", "Support Devices"]; // names that are words of reports
const step = (name) => console.log(`ok: ${name}`);

// A study whose draft has a doubted sentence, and that has a finding which is seen and not in the text.
async function findStudy(wanted) {
  for (const files of wanted) {
    const body = new FormData();
    for (const file of files) body.append("views", new Blob([readFileSync(file)]), "view");
    const answer = await fetch(`${address}v1/reports`, { method: "POST", body });
    const record = await answer.json();
    const doubted = record.sentences?.filter((sentence) => ["doubtful", "contradicted"].includes(sentence.verdict)) ?? [];
    const missing = record.left_out?.find(({ finding, denied }) => SPOKEN.includes(finding) && !denied);
    if (doubted.length && missing) return { files, record, missing: missing.finding };
  }
  throw new Error("no study has a doubtful sentence and a finding that is left out");
}

const { files, record, missing } = await findStudy(JSON.parse(studies));
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic"],
});
const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, acceptDownloads: true, permissions: ["clipboard-read", "clipboard-write"] });
context.setDefaultTimeout(process.env.XPRONET_WAIT ? Number(process.env.XPRONET_WAIT) : 120_000);
const page = await context.newPage();
const complaints = [];
const asked = [];
page.on("console", (message) => { if (message.type() === "error") complaints.push(message.text()); });
page.on("pageerror", (error) => complaints.push(String(error)));
page.on("filechooser", () => {}); // without a listener the browser would open a window of its own
page.on("request", (request) => asked.push([request.method(), request.url()]));

const press = (...keys) => keys.reduce((before, key) => before.then(() => page.keyboard.press(key)), Promise.resolve());
const focused = (read) => page.evaluate(read);
const shown = () => page.evaluate(() => [...document.querySelectorAll("#text .sentence:not(.deleted)")].map((sentence) => sentence.textContent).join(" "));
const painted = () => page.evaluate(() => [...document.querySelectorAll("canvas.heat")].map((canvas) =>
  canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.reduce((count, part) => count + (part > 0), 0)));
const download = async (key, name) => {
  const [got] = await Promise.all([page.waitForEvent("download"), page.keyboard.press(key)]);
  await got.saveAs(join(folder, name));
  return readFileSync(join(folder, name));
};
const accessible = async (name) => {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => axe.run(document, { resultTypes: ["violations"] }));
  const serious = violations.filter((fault) => ["serious", "critical"].includes(fault.impact));
  assert.deepEqual(serious.map((fault) => [fault.id, fault.nodes.map((node) => node.html)]), [], name);
  step(`${name}: axe finds no serious fault`);
};
const shoot = (name) => page.screenshot({ path: join(folder, `draft-${name}.png`) });
const choose = async (key, chosen) => {
  const [chooser] = await Promise.all([page.waitForEvent("filechooser"), page.keyboard.press(key)]);
  await chooser.setFiles(chosen);
};
const drafted = () => page.waitForFunction(() => !document.querySelector("#save-json").disabled);

try {
  await page.goto(address);
  await page.waitForFunction(() => document.getElementById("model").textContent.startsWith("Model "));
  const about = await (await fetch(`${address}v1/model`)).json();
  assert.deepEqual(await page.locator("#origin li").allTextContents(), about.origin.lines);
  assert.equal(about.origin.drawn, true, "the phantom's run knows that it learned from drawings");
  assert.match(await page.textContent("#notice"), /drawn X-rays only: worthless on patients/);
  assert.deepEqual(record.origin, about.origin, "the report's JSON says it, too");
  step("what the model learned from is on the page and in its JSON");

  // 1. Open.
  await choose("n", files);
  await drafted();
  const own = await shown();
  assert.equal(own, record.report);
  await page.waitForFunction(() => document.activeElement.classList.contains("stop"));
  await page.evaluate(() => {
    document.body.tabIndex = -1;
    document.body.focus(); // the keyboard begins at the top again
    document.body.removeAttribute("tabindex");
  });
  await press("Tab", "Tab");
  assert.ok(await focused(() => document.activeElement.classList.contains("stop")), "two Tab stops lead to the text");
  step("1 open; two Tab stops lead to the text");
  await accessible("a draft");
  await shoot("open");

  // 2. Window: the control is that of the films.
  // 3. Check the doubtful sentence.
  await press("k");
  const doubted = record.sentences.findIndex((sentence) => ["doubtful", "contradicted"].includes(sentence.verdict));
  const at = await focused(() => document.querySelector("#text .sentence.current")?.textContent);
  assert.equal(at, record.report.slice(record.sentences[doubted].start, record.sentences[doubted].end));
  const reason = record.sentences[doubted].claims[0];
  assert.match(await page.textContent("#reason"), new RegExp(`${reason.finding}.*seen with probability ${reason.head.toFixed(2)}`));
  assert.match(await page.textContent("#said"), /Sentence \d+ of \d+, (doubtful|contradicted by the findings): /);
  const line = await page.locator("#text .sentence.current").evaluate((sentence) => getComputedStyle(sentence).textDecorationLine);
  assert.equal(line, "underline");
  step("3 the doubtful sentence: underlined, its reason shown and said");

  // Pointing and findings draw maps, and take them away again.
  await page.evaluate(() => document.activeElement.blur());
  await press("Escape");
  assert.deepEqual(await painted(), files.map(() => 0));
  const findings = page.locator("#findings button");
  assert.equal(await findings.count(), 14);
  let [marked, located] = [0, 0];
  for (let index = 0; index < 14; index++) {
    await findings.nth(index).click();
    assert.equal(await findings.nth(index).getAttribute("aria-pressed"), "true");
    marked += await page.locator(".word.affirmed, .word.denied").count();
    const drawn = (await painted()).some((count) => count > 0);
    assert.equal(/added to its log-odds/.test(await page.textContent("#why")), drawn);
    located += drawn;
    await findings.nth(index).click();
    assert.deepEqual(await painted(), files.map(() => 0));
  }
  assert.ok(marked > 0 && located > 0);
  await press("h");
  let drawn = 0;
  for (let index = 0; index < Math.min(12, record.words.length); index++) {
    await page.locator(".word").nth(index).hover();
    const paints = (await painted()).some((count) => count > 0);
    assert.equal(paints, /Attention of .* above even/.test(await page.textContent("#why")));
    drawn += paints;
  }
  await page.locator("#draft-title").hover();
  assert.deepEqual(await painted(), files.map(() => 0));
  await press("h");
  await press("Escape");
  step(`findings mark ${marked} words, ${located} have regions; ${drawn} of 12 words have a map`);
  await press("k");

  // An edit of the whole text keeps the evidence of what it leaves alone.
  const everyWord = await page.locator(".word").count();
  assert.ok(everyWord > 0);
  await press("w", "Control+End");
  await page.keyboard.type(" Seen by hand.");
  await press("Escape");
  assert.equal(await shown(), `${own} Seen by hand.`);
  assert.equal(await page.locator(".word").count(), everyWord);
  await press("u");
  assert.equal(await shown(), own);
  await press("Escape", "k");

  // 4. Correct it, sentence by sentence; undo, redo and revert.
  await press("e");
  await accessible("a sentence that is edited");
  await press("Control+a");
  await page.keyboard.type("Corrected by hand.");
  await press("Enter");
  const corrected = await shown();
  assert.equal(corrected, own.replace(at, "Corrected by hand."));
  assert.match(await page.textContent("#reason"), new RegExp(`The model wrote: ${at.replace(/[.()]/g, "\\$&")}`));
  await press("u");
  assert.equal(await shown(), own);
  await press("U");
  assert.equal(await shown(), corrected);
  await press("r");
  assert.equal(await shown(), own);
  await press("u");
  assert.equal(await shown(), corrected);
  await press("o");
  assert.equal(await page.textContent("#own-text"), own, "the model's own text is kept");
  await press("o");
  const words = await page.locator(".word").count();
  const keptWords = record.words.length - record.words.filter((_, index) => wordSentence(index) === doubted).length;
  assert.equal(words, keptWords, "sentences that were not edited keep their evidence");
  step("4 corrected, undone, redone, reverted; other sentences keep their evidence");

  // 5. Add a missing finding: the list loses its entry once the text says it.
  const entry = page.locator("#checks li", { hasText: `${missing}, probability` });
  assert.match(await entry.first().textContent(), /Seen/);
  await press("End", "a");
  await page.keyboard.type(`There is ${missing.toLowerCase()}.`);
  await press("Enter");
  await page.waitForFunction((name) => ![...document.querySelectorAll("#checks li")].some((item) => /^Seen/.test(item.textContent) && item.textContent.includes(`${name}, `)), missing);
  step(`5 added ${missing}: nothing is missing any more`);

  // Delete, macros and the whole text.
  await press("a");
  await page.keyboard.type("Nonsense.");
  await press("Enter", "d");
  assert.ok(!(await shown()).includes("Nonsense"));
  await press("m");
  await page.setInputFiles("#macro-file", macros);
  await page.locator("#macro-list button").first().waitFor();
  await accessible("macros");
  await page.keyboard.type("follow");
  await press("Enter");
  assert.ok((await shown()).includes("Follow-up in six weeks."));
  await press("w");
  await press("Control+End");
  await page.keyboard.type(" Whole text.");
  await press("Escape");
  const text = await shown();
  assert.ok(text.endsWith("Whole text."));
  assert.equal(await page.locator(".word").count(), keptWords, "after an edit of the whole text, too");
  await shoot("edited");
  await accessible("an edited draft");
  step("macros from a file, a deletion, an edit of the whole text");

  // Another study would lose the text: it asks.
  await choose("n", files);
  await page.waitForSelector("#leave-dialog[open]");
  await press("Enter");
  assert.equal(await shown(), text);
  step("another study asks before it takes the text away");

  // 6. Sign.
  await press("s");
  await page.waitForSelector("#sign-dialog[open]");
  await accessible("signing");
  await page.keyboard.type("Reader");
  await press("Tab");
  await page.keyboard.type("Ada");
  await press("Enter");
  assert.match(await page.textContent("#signed"), /Reader\^Ada/);
  step("6 signed");

  // One text everywhere.
  await press("c");
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), text);
  const saved = JSON.parse((await download("j", "draft.json")).toString());
  assert.equal(saved.edited, text);
  assert.equal(saved.report, record.report, "the model's own text is kept");
  assert.equal(saved.person, "Reader^Ada");
  assert.ok(saved.changes.some((change) => change.from === at && change.to === "Corrected by hand."));
  await page.emulateMedia({ media: "print" });
  assert.ok((await page.evaluate(() => document.body.innerText)).includes(text), "print has the text");
  assert.equal(await page.locator("#text").isVisible(), false, "and not twice");
  assert.ok((await page.evaluate(() => document.body.innerText)).includes(record.model));
  await page.emulateMedia({ media: "screen" });
  // 7. Save the structured report.
  if (sr === "yes") {
    assert.equal((await download("S", "draft.dcm")).subarray(128, 132).toString(), "DICM");
    step("7 saved as a structured report");
  }
  writeFileSync(join(folder, "text.txt"), text);
  step("page, clipboard, JSON, structured report and print have one text");

  // 8. Print.
  await page.evaluate(() => { window.print = () => { window.printed = true; }; });
  await press("p");
  assert.ok(await page.evaluate(() => window.printed));
  step("8 print");

  // Heat: even attention paints nothing, function words and sinks have none, and all words share a scale.
  const maps = await page.evaluate(async () => {
    const { Maps, attentionSinks } = await import("/static/maps.js");
    const { FINE, clearHeat, drawHeat } = await import("/static/heat.js");
    const canvas = Object.assign(document.createElement("canvas"), { width: FINE, height: FINE });
    const count = (levels) => {
      clearHeat(canvas);
      if (levels) drawHeat(canvas, levels[0]);
      return canvas.getContext("2d").getImageData(0, 0, FINE, FINE).data.filter((part) => part > 0).length;
    };
    const grid = (change) => [Array.from({ length: 4 }, (_, y) => Array.from({ length: 4 }, (_, x) => change(4 * y + x)))];
    const one = (cell, share) => grid((each) => (each === cell ? share : (1 - share) / 15));
    const word = (text, attention) => ({ text, attention, log_probability: -0.1, prototypes: [] });
    const even = word("effusion", grid(() => 1 / 16));
    const words = [even, word("the", one(5, 0.9)), word("mass", one(5, 0.5)), word("large", one(6, 0.125)), word(".", one(3, 0.4))];
    const all = new Maps({ words, findings: [], empty: [grid((cell) => cell === 6)[0]] });
    const sunk = [...Array(10)].map((_, index) => word(`word${index}`, one(9, 0.3)));
    const withSink = new Maps({ words: [...sunk, word("mass", one(2, 0.5))], findings: [], empty: [] });
    return {
      even: count(all.word(0).levels), the: all.word(1).levels, mass: count(all.word(2).levels), stop: all.word(4).levels,
      brightest: all.word(2).levels.flat(2).reduce((most, level) => Math.max(most, level)), faint: all.word(3).levels.flat(2).reduce((most, level) => Math.max(most, level)),
      outside: all.word(3).says.join(" "), sinks: [...attentionSinks(sunk)], sink: withSink.word(0).levels, other: count(withSink.word(10).levels),
      report: [...attentionSinks([even])],
    };
  });
  assert.equal(maps.even, 0, "a word with even attention paints no pixel");
  assert.deepEqual([maps.the, maps.stop, maps.sink], [null, null, null]);
  assert.ok(maps.mass > 0 && maps.other > 0);
  assert.equal(maps.brightest, 1);
  assert.ok(maps.faint < 0.2, "one scale for all words");
  assert.match(maps.outside, /outside the patient/);
  assert.deepEqual([maps.sinks, maps.report], [[9], []]);
  await press("t", "Home");
  await page.evaluate(() => document.activeElement.blur());
  await press("Escape");
  assert.deepEqual(await painted(), files.map(() => 0));
  step("heat: nothing for even attention, function words and sinks; one scale; what lies outside is said");

  // The model of the text: whatever is done to it, undo leads back and redo forth.
  const model = await page.evaluate(async () => {
    const { Draft, splitText } = await import("/static/draft.js");
    const { parseMacros } = await import("/static/macros.js");
    let seed = 7;
    const random = (count) => (seed = (seed * 48271) % 2147483647) % count;
    const wrong = [];
    for (let round = 0; round < 200; round++) {
      const written = ["One.", "Two is 3.7 cm.", "Three.", "One."].slice(0, 1 + random(4)).join(random(2) ? " " : "\n\n");
      const draft = new Draft(splitText(written));
      if (draft.text !== written || draft.edited) wrong.push(["text", written]);
      const seen = [draft.text];
      for (let move = 0; move < 12; move++) {
        const { key } = draft.sentences[random(draft.sentences.length)] ?? { key: -1 };
        const changed = [() => draft.edit(key, `Edit ${move}.`), () => draft.remove(key), () => draft.add(key, `New ${move}.`) >= 0, () => draft.revert(key),
          () => draft.replaceAll(draft.text.replace("One.", "Uno. Due.")), () => draft.revertAll()][random(6)]();
        if (changed) seen.push(draft.text);
      }
      const last = draft.text;
      while (draft.undo());
      if (draft.text !== written) wrong.push(["undo", draft.text, written]);
      while (draft.redo());
      if (draft.text !== last) wrong.push(["redo", draft.text, last]);
      const whole = `${written} More.`;
      draft.replaceAll(whole);
      if (draft.text !== whole) wrong.push(["whole", draft.text, whole]);
      draft.revertAll();
      if (draft.text !== written || draft.edited) wrong.push(["revert", draft.text, written]);
    }
    const refused = ["{}", "[1]", "{\"a\": 1}", "", "{"].filter((content) => { try { parseMacros(content, "m.json"); return true; } catch { return false; } });
    return { wrong, refused, lines: parseMacros("# mine\nnone: No effusion.\n\nPlain sentence.", "m.txt") };
  });
  assert.deepEqual(model.wrong, []);
  assert.deepEqual(model.refused, []);
  assert.deepEqual(model.lines, [{ name: "none", text: "No effusion." }, { name: "Plain sentence.", text: "Plain sentence." }]);
  step("undo, redo, revert and edits of the whole text lead where they should, 200 times");

  // Every action has a key; a person can do without single letters.
  await press("?");
  await page.waitForSelector("#help[open]");
  await accessible("the keys");
  assert.ok(await page.locator("#help dt").count() > 20);
  await page.locator("#single-keys").focus();
  await press("Space", "Escape");
  await press("s");
  assert.equal(await page.locator("#sign-dialog").evaluate((each) => each.open), false);
  await press("?");
  await page.locator("#single-keys").focus();
  await press("Space", "Escape");
  step("the keys are listed, and single letters can be turned off");

  // 9. Next study: nothing is lost, so that nothing asks. 10. Its text is the model's.
  await choose("n", files.slice(0, 1));
  await page.waitForFunction(() => document.querySelectorAll(".view").length === 1);
  await drafted();
  assert.equal(await page.textContent("#edits"), "");
  assert.ok(!(await shown()).includes("Corrected by hand."));
  step("9 next study");

  await page.setViewportSize({ width: 420, height: 860 });
  await accessible("narrow");
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "nothing sticks out sideways");
  await shoot("narrow");
  await page.emulateMedia({ colorScheme: "dark" });
  await accessible("narrow and dark");

  // So does a reload. (After it the browser no longer tells of file choosers, so it comes last.)
  await press("t", "d");
  const [dialog] = await Promise.all([page.waitForEvent("dialog"), page.evaluate(() => { setTimeout(() => location.reload()); })]);
  assert.equal(dialog.type(), "beforeunload");
  await dialog.dismiss();
  assert.equal(await page.locator("#text .sentence.deleted").count(), 1);
  step("a reload asks");

  assert.deepEqual(complaints, [], "the console is quiet");
  const sent = new Set(asked.filter(([method]) => method === "POST").map(([, url]) => new URL(url).pathname));
  assert.deepEqual([...sent].sort(), ["/v1/mentions", "/v1/reports/stream", ...(sr === "yes" ? ["/v1/structured-reports"] : [])]);
  const elsewhere = asked.filter(([, url]) => !url.startsWith(address) && !/^(data|blob):/.test(url));
  assert.deepEqual(elsewhere, [], "no request leaves the machine");
  step(`${asked.length} requests, none to elsewhere`);
} finally {
  await browser.close();
}

// Which sentence a word of the record is in: full stops end them.
function wordSentence(index) {
  const stops = record.words.slice(0, index).filter((word) => word.text === ".").length;
  return stops;
}
