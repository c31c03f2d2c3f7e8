// Drive the reading page in a real browser: node drive.mjs ADDRESS FOLDER SR WRONG FRONTAL LATERAL.
// SR is yes where the server must offer DICOM structured reports, WRONG an image that its gate must warn of.
// Downloads and screenshots go to FOLDER. The first thing that is not as it should be ends it with status 1.
import assert from "node:assert/strict";
import { readFileSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { chromium } from "playwright-core";

const [address, folder, sr, wrong, ...files] = process.argv.slice(2);
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const WAIT = 120_000;
const context = await chromium.launchPersistentContext(join(folder, "profile"), {
  executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
  headless: true,
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  viewport: { width: 1360, height: 900 },
  acceptDownloads: true,
});
context.setDefaultTimeout(WAIT);
const complaints = [];
const asked = [];
context.on("request", (request) => asked.push(request.url()));
const page = context.pages()[0];
page.on("console", (message) => { if (message.type() === "error") complaints.push(message.text()); });
page.on("pageerror", (error) => complaints.push(String(error)));

const step = (name) => console.log(`ok: ${name}`);
const heat = () => page.evaluate(() => [...document.querySelectorAll("canvas.heat")].map((canvas) =>
  canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.reduce((sum, part) => sum + part, 0)));
const pixelSum = () => page.evaluate(() => {
  const canvas = document.querySelector("canvas.picture");
  return canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.reduce((sum, part) => sum + part, 0);
});
const accessible = async (name) => {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => axe.run(document, { resultTypes: ["violations"] }));
  const serious = violations.filter((fault) => ["serious", "critical"].includes(fault.impact));
  assert.deepEqual(serious.map((fault) => [fault.id, fault.nodes.map((node) => node.html)]), [], name);
  step(`${name}: axe finds no serious fault`);
};
const shoot = (name) => page.screenshot({ path: join(folder, `${name}.png`), fullPage: true });

try {
  await page.goto(address);
  await page.waitForFunction(() => document.getElementById("model").textContent.startsWith("Model "));
  assert.match(await page.textContent(".warning"), /never a diagnosis/);
  await accessible("an empty page");

  // The text as it grows, sentence after sentence.
  await page.evaluate(() => {
    window.grown = [];
    const text = document.getElementById("text");
    new MutationObserver(() => window.grown.push(text.textContent)).observe(text, { childList: true });
  });
  await page.setInputFiles("#files", files);
  await page.waitForSelector(".word", { timeout: WAIT });
  assert.equal(await page.locator(".view").count(), files.length);
  await page.waitForFunction(() => !document.querySelector("#save-json").disabled);
  const texts = [...new Set((await page.evaluate(() => window.grown)).filter(Boolean))];
  const sentences = (await page.textContent("#text")).split(/(?<=\.)\s/);
  assert.equal(texts.length, sentences.length, "the text grew by sentences");
  texts.forEach((text, index) => assert.equal(text, sentences.slice(0, index + 1).join(" ")));
  assert.ok(await page.locator("#warnings").isHidden(), "images like those of the training are not warned of");
  step(`two views give a draft, in ${sentences.length} sentences one after the other`);

  assert.deepEqual(await heat(), files.map(() => 0));
  await page.locator(".word").nth(1).hover();
  const first = await heat();
  assert.ok(first.some((sum) => sum > 0), "a word's heat is drawn");
  await page.locator("#draft-title").hover();
  assert.deepEqual(await heat(), files.map(() => 0));
  step("pointing at a word draws its heat");

  await page.locator(".word").first().focus();
  await page.keyboard.press("ArrowRight");
  assert.deepEqual(await heat(), first);
  assert.match(await page.textContent("#why"), /Prototypes behind it/);
  assert.match(await page.textContent("#why .legend"), /if uniform/);
  await accessible("a word's evidence");
  await shoot("light");
  await page.keyboard.press("Escape");
  assert.deepEqual(await heat(), files.map(() => 0));
  step("the keyboard does what the pointer does");

  const before = await pixelSum();
  await page.locator("#level").focus();
  for (let press = 0; press < 20; press++) await page.keyboard.press("ArrowRight");
  assert.notEqual(await pixelSum(), before);
  await page.locator(".film").first().focus();
  await page.keyboard.press("+");
  assert.match(await page.locator(".stack").first().getAttribute("style"), /scale\(1\.25\)/);
  await page.click("#reset");
  assert.equal(await pixelSum(), before);
  step("window, level and zoom");

  const findings = page.locator("#findings button");
  assert.equal(await findings.count(), 14);
  let marked = 0;
  let located = 0;
  for (let index = 0; index < 14; index++) {
    await findings.nth(index).click();
    marked += await page.locator(".word.affirmed, .word.denied").count();
    assert.equal(await findings.nth(index).getAttribute("aria-pressed"), "true");
    const drawn = (await heat()).some((sum) => sum > 0);
    assert.equal(/Evidence for it/.test(await page.textContent("#why")), drawn);
    located += drawn;
    if (index === 0) {
      await accessible("a finding's regions");
      await shoot("finding");
    }
    await findings.nth(index).click();
    assert.deepEqual(await heat(), files.map(() => 0));
  }
  assert.ok(located > 0, "findings have regions");
  step(`findings mark ${marked} words and ${located} have regions with evidence`);

  await page.click("#edit");
  await page.fill("#edited", "The heart is normal. Edited by hand.");
  await accessible("editing");
  const download = async (button, name) => {
    const [got] = await Promise.all([page.waitForEvent("download"), page.click(button)]);
    const path = join(folder, name);
    await got.saveAs(path);
    return path;
  };
  const record = JSON.parse(readFileSync(await download("#save-json", "draft.json"), "utf8"));
  assert.equal(record.edited, "The heart is normal. Edited by hand.");
  assert.equal(record.findings.length, 14);
  assert.equal(record.words[0].attention.length, files.length);
  step("edited and saved as JSON");
  assert.equal(await page.locator("#save-sr").isVisible(), sr === "yes", "structured reports are offered where they can be made");
  if (sr === "yes") {
    const saved = await download("#save-sr", "draft.dcm");
    assert.ok(statSync(saved).size > 500);
    assert.equal(readFileSync(saved).subarray(128, 132).toString(), "DICM");
    step("saved as a DICOM structured report");
  }

  await page.click("#edit");
  await page.emulateMedia({ colorScheme: "dark" });
  await page.locator(".word").nth(1).focus();
  await accessible("dark");
  await shoot("dark");
  await page.setViewportSize({ width: 390, height: 844 });
  await page.emulateMedia({ colorScheme: "light" });
  await accessible("narrow");
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "nothing sticks out sideways");
  await shoot("narrow");
  step("dark and narrow");

  await page.setViewportSize({ width: 1360, height: 900 });
  await page.setInputFiles("#files", [files[0], wrong]);
  await page.waitForFunction(() => !document.querySelector("#save-json").disabled && !document.querySelector("#warnings").hidden);
  const warnings = await page.locator("#warnings li").allTextContents();
  assert.equal(warnings.length, 1);
  assert.match(warnings[0], /^view-2\.\w+: this image does not look like a chest X-ray the model was trained on$/);
  await accessible("a warning");
  await shoot("warned");
  step("an image that is no chest X-ray is warned of");

  assert.deepEqual(complaints, [], "the console is quiet");
  // Refused uploads are told in words; the browser itself notes their status on the console, so they come last.
  await page.setInputFiles("#files", { name: "<img src=x>.png", mimeType: "image/png", buffer: Buffer.from("no picture") });
  await page.waitForSelector("#state.bad");
  assert.match(await page.textContent("#state"), /view 1: neither PNG, JPEG, TIFF nor DICOM/);
  step("a wrong file is told");
  const elsewhere = asked.filter((url) => !url.startsWith(address) && !/^(data|blob):/.test(url));
  assert.deepEqual(elsewhere, [], "no request leaves the machine");
  step(`${asked.length} requests, none to elsewhere`);
} finally {
  await context.close();
}
