// Drive the reading page in a real browser: node drive.mjs ADDRESS FOLDER WRONG PRIOR OTHER LATERAL FRONTAL PLAIN...
// WRONG is an image that the server's gate must warn of, PRIOR a film of the same patient, OTHER of another one; LATERAL and
// FRONTAL are DICOM films of 12 bits with 0.2 mm between pixels, PLAIN the PNG files of a study. Screenshots go to FOLDER.
// The first thing that is not as it should be ends it with status 1.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { chromium } from "playwright-core";

const [address, folder, wrong, prior, other, lateral, frontal, ...plain] = process.argv.slice(2);
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const WAIT = 120_000;
const context = await chromium.launchPersistentContext(join(folder, "profile"), {
  executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
  headless: true,
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  viewport: { width: 1440, height: 900 },
});
context.setDefaultTimeout(WAIT);
const complaints = [];
const asked = [];
context.on("request", (request) => asked.push(request.url()));
const page = context.pages()[0];
page.on("console", (message) => { if (message.type() === "error") complaints.push(message.text()); });
page.on("pageerror", (error) => complaints.push(String(error)));

const step = (name) => console.log(`ok: ${name}`);
const accessible = async (name) => {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => axe.run(document, { resultTypes: ["violations"] }));
  const serious = violations.filter((fault) => ["serious", "critical"].includes(fault.impact));
  assert.deepEqual(serious.map((fault) => [fault.id, fault.nodes.map((node) => node.html)]), [], name);
  step(`${name}: axe finds no serious fault`);
};
const shoot = (name) => page.screenshot({ path: join(folder, `${name}.png`) });
const frames = () => page.evaluate(() => new Promise((done) => { requestAnimationFrame(() => requestAnimationFrame(done)); }));
const film = (number) => page.locator(".view:not([hidden]) .film").nth(number);
const textOf = (number, part) => film(number).locator(`.${part}`).textContent();
const drawn = () => page.evaluate(() => [...document.querySelectorAll(".view:not([hidden]) canvas.picture")].map((canvas) => {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let sum = 0;
  for (let at = 0; at < data.length; at += 4) sum += data[at];
  return sum;
}));
const boxes = () => page.evaluate(() => [...document.querySelectorAll(".view:not([hidden]) .film")].map((each) => {
  const { left, right, top, bottom, height } = each.getBoundingClientRect();
  return { left, right, top, bottom, share: height / innerHeight };
}));
const apart = (one, two) => one.right <= two.left || two.right <= one.left || one.bottom <= two.top || two.bottom <= one.top;
// Pixel of the image under the pointer and its value, as the page reads them.
const read = async (number) => (await textOf(number, "readout")).match(/^x (\d+), y (\d+): (-?[\d.]+)$/).slice(1).map(Number);
const pointAt = async (number, across, down) => {
  const box = await film(number).boundingBox();
  const point = [Math.round(box.x + across * box.width), Math.round(box.y + down * box.height)];
  await page.mouse.move(...point);
  return point;
};
const open = async (files) => {
  await page.setInputFiles("#files", files);
  await page.waitForFunction(() => !document.querySelector("#save-json").disabled && document.querySelector("#study").getAttribute("aria-busy") === null);
};

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
  await open(plain);
  assert.equal(await page.locator(".view").count(), plain.length);
  const last = await page.textContent("#text");
  const grown = [...new Set((await page.evaluate(() => window.grown)).filter(Boolean))];
  // A report of one sentence is there at once.
  const sentences = last.split(".").filter((part) => part.trim()).length;
  assert.ok(grown.length >= Math.min(2, sentences), `the text grew by sentences: ${JSON.stringify([last, grown])}`);
  assert.ok(grown.every((text) => last.startsWith(text.trimEnd())), `each step begins the text: ${JSON.stringify([last, grown])}`);
  assert.match(await page.textContent("#identity"), /No DICOM header/);
  step(`a study of PNG files gives a draft, in ${grown.length} steps`);

  await open([lateral, frontal]);
  await page.waitForFunction(() => [...document.querySelectorAll(".film")].every((each) => each.dataset.depth === "uint16"));
  assert.deepEqual(await page.locator("figcaption").allTextContents(), ["1PA", "2LL"]);
  assert.match(await page.textContent("#remarks"), /Lateral films were put behind/);
  assert.match(await page.textContent("#identity"), /Invented, Ida.*ID P-1.*2026-01-02/);
  assert.deepEqual(await page.locator(".view").first().locator(".side").allTextContents(), ["R", "L", "H", "F"]);
  step("DICOM films are there in 16 bits, frontal first, with sides and identity");

  for (const [width, height] of [[1440, 900], [2560, 1440], [420, 844]]) {
    await page.setViewportSize({ width, height });
    for (const colorScheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme });
      for (const [layout, least] of [["two", 0.4], ["one", 0.75]]) {
        await page.click(`#${layout}`);
        await frames();
        const found = await boxes();
        assert.equal(found.length, layout === "two" ? 2 : 1);
        for (const { share } of found) assert.ok(share >= least, `${width} ${layout}: a film has ${share} of the height`);
        const others = await page.evaluate(() => ["draft", "findings", "film-tools", "more", "warning"].map((name) => document.querySelector(`.${name}`).getBoundingClientRect().toJSON()));
        for (const box of [...found, ...others]) for (const second of [...found, ...others]) assert.ok(box === second || apart(box, second), `${width} ${layout}: parts overlap`);
        if (width > 420) assert.ok(others.every((box) => box.top >= 0 && box.bottom <= height), "draft and findings are on the first screen");
        assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "nothing sticks out sideways");
        console.log(`   ${width} x ${height} ${colorScheme}, ${layout}: films have ${found.map(({ share }) => `${(100 * share).toFixed(0)} %`).join(" and ")} of the height`);
      }
      await page.click("#two");
      if (width !== 2560) await accessible(`${width} pixels, ${colorScheme}`);
      await page.screenshot({ path: join(folder, `films-${width}-${colorScheme}.png`), fullPage: width === 420 });
    }
  }
  await page.setViewportSize({ width: 1440, height: 900 });
  await page.emulateMedia({ colorScheme: "light" });
  await page.waitForFunction(() => document.documentElement.dataset.theme === "light");
  const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await background();
  await page.click("#theme");
  assert.notEqual(await background(), light);
  await page.click("#theme");
  assert.equal(await background(), light);
  step("light, dark, wide and narrow");

  // The arithmetic of places, at random.
  const worst = await page.evaluate(async () => {
    const { toFilm, toImage, zoomed } = await import("/static/placement.js");
    let seed = 1;
    const random = () => { seed = (seed * 16807) % 2147483647; return seed / 2147483647; };
    let most = 0;
    for (let round = 0; round < 2000; round++) {
      const [image, box] = [{ width: 50 + 3000 * random(), height: 50 + 3000 * random() }, { width: 100 + 900 * random(), height: 100 + 900 * random() }];
      const place = { zoom: 1 + 10 * random(), x: random(), y: random(), turns: round % 4 };
      const [x, y] = [box.width * random(), box.height * random()];
      const point = toImage(place, image, box, x, y);
      const back = toFilm(place, image, box, ...point);
      const closer = zoomed(place, image, box, 1.01 + random(), x, y);
      const stays = toFilm(closer, image, box, ...point);
      for (const [a, b] of [[back[0], x], [back[1], y], [stays[0], x], [stays[1], y]]) most = Math.max(most, Math.abs(a - b));
    }
    return most;
  });
  assert.ok(worst < 1e-6, `a point of the film is off by ${worst}`);

  const before = await drawn();
  await pointAt(0, 0.31, 0.42);
  const under = await read(0);
  for (const turn of [-100, -100, -100, -100, 100, -240, -240]) {
    await page.mouse.wheel(0, turn);
    await frames();
    const now = await read(0);
    assert.ok(Math.abs(now[0] - under[0]) <= 1 && Math.abs(now[1] - under[1]) <= 1, `the pixel under the pointer was ${under}, is ${now}`);
  }
  assert.match(await textOf(0, "values"), / [2-9]\.\d×/);
  assert.match(await textOf(1, "values"), / 1\.0×/);
  step("the pixel under the pointer stays while zooming");

  // What the screen shows is the header's formula (DICOM PS3.3, C.11.2.1.2), at a pixel that fills the pointer's surroundings.
  const shown = async () => {
    const point = await pointAt(0, 0.5, 0.5);
    const [, , value] = await read(0);
    const grey = await page.evaluate(([x, y]) => {
      const canvas = document.querySelector(".view:not([hidden]) canvas.picture");
      const box = canvas.getBoundingClientRect();
      return canvas.getContext("2d").getImageData(Math.floor(x - box.left), Math.floor(y - box.top), 1, 1).data[0];
    }, point);
    const [width, centre] = (await textOf(0, "values")).match(/W ([\d.]+) L (-?[\d.]+)/).slice(1).map(Number);
    return { grey, width, centre, expected: 255 * Math.min(Math.max((value - (centre - 0.5)) / (width - 1) + 0.5, 0), 1) };
  };
  for (let press = 0; press < 12; press++) await page.keyboard.press("+");
  await frames();
  const first = await shown();
  assert.ok(Math.abs(first.grey - first.expected) <= 4, JSON.stringify(first));
  const from = await pointAt(0, 0.5, 0.5);
  await page.mouse.down({ button: "right" });
  await page.mouse.move(from[0] + 60, from[1] + 30, { steps: 4 });
  await page.mouse.up({ button: "right" });
  await frames();
  const second = await shown();
  assert.ok(second.width > first.width && second.centre > first.centre, JSON.stringify([first, second]));
  assert.ok(Math.abs(second.grey - second.expected) <= 4, JSON.stringify(second));
  assert.equal(Number(await page.inputValue("#window")), second.width);
  assert.equal(await page.inputValue("#preset"), "own");
  await page.fill("#window", "1000");
  await page.fill("#level", "1500");
  await page.keyboard.press("Enter");
  await page.locator(".film").first().focus();
  await frames();
  const third = await shown();
  assert.deepEqual([third.width, third.centre], [1000, 1500]);
  assert.ok(Math.abs(third.grey - third.expected) <= 4, JSON.stringify(third));
  assert.deepEqual(await page.locator("#preset option").allTextContents().then((all) => all.filter((name) => name !== "Own")), ["NORMAL", "HARDER", "Lung", "Soft tissue", "Bone", "Full range"]);
  await page.selectOption("#preset", { label: "HARDER" });
  await frames();
  assert.match(await textOf(0, "values"), /^W 2000 L 1800 US/);
  step("window and level: right drag, numbers, presets of the header");

  await page.click("#reset");
  await frames();
  assert.deepEqual(await drawn(), before);
  await page.locator(".film").first().focus();
  for (const key of ["]", ".", "i", "q"]) {
    const [sum] = await drawn();
    await page.keyboard.press(key);
    await frames();
    assert.notEqual((await drawn())[0], sum, `key ${key} changes the film`);
  }
  assert.deepEqual(await page.locator(".view").first().locator(".side").allTextContents(), ["F", "H", "R", "L"]);
  await page.click("#reset");
  await frames();
  assert.deepEqual(await drawn(), before);
  step("window, level, inversion and turning by keys, and back");

  await page.keyboard.press("l");
  await page.keyboard.press("+");
  await frames();
  assert.match(await textOf(1, "values"), / 1\.3×/);
  await page.keyboard.press("l");
  await page.keyboard.press("+");
  await frames();
  assert.match(await textOf(0, "values"), / 1\.6×/);
  assert.match(await textOf(1, "values"), / 1\.3×/);
  step("linked films zoom together, others by themselves");

  await page.keyboard.press("x");
  const start = await pointAt(0, 0.3, 0.4);
  const [x1, y1] = await read(0);
  await page.mouse.down();
  await page.mouse.move(start[0] + 120, start[1] + 90, { steps: 3 });
  const [x2, y2] = await read(0);
  await page.mouse.up();
  const millimetres = Number((await textOf(0, "length")).match(/^([\d.]+) mm at the detector$/)[1]);
  assert.ok(Math.abs(millimetres - 0.2 * Math.hypot(x2 - x1, y2 - y1)) < 0.4, `${millimetres} mm`);
  await shoot("ruler");
  await page.locator(".film").first().focus();
  for (const key of ["Enter", "ArrowRight", "ArrowRight", "ArrowDown"]) await page.keyboard.press(key);
  await page.keyboard.press("Enter");
  assert.match(await page.textContent("#said"), /[\d.]+ mm at the detector/);
  assert.equal(await page.locator(".view").first().locator(".length").count(), 2);
  await page.keyboard.press("Backspace");
  assert.equal(await page.locator(".view").first().locator(".length").count(), 1);
  await page.keyboard.press("x");
  step("the ruler, by pointer and by keys");

  await film(1).dblclick();
  assert.equal((await boxes()).length, 1);
  assert.match(await page.locator(".view:not([hidden]) figcaption").textContent(), /LL/);
  await film(0).dblclick();
  assert.equal((await boxes()).length, 2);
  await page.keyboard.press("1");
  assert.equal((await boxes()).length, 1);
  await page.keyboard.press(">");
  await page.keyboard.press("<");
  await page.keyboard.press("2");
  assert.equal((await boxes()).length, 2);
  step("one film, two films, double click and back");

  await page.keyboard.press("3");
  assert.match(await page.textContent("#prior"), /not used by the model/);
  await accessible("no prior study");
  await page.setInputFiles("#prior-files", [prior]);
  await page.waitForSelector(".view.prior .film[data-depth=uint16]");
  assert.equal((await boxes()).length, 2);
  assert.match(await page.textContent("#prior-identity"), /2024-05-11/);
  assert.equal(await page.textContent("#prior-state"), "");
  await page.fill("#indication", "Cough for three weeks");
  await accessible("a prior study");
  await shoot("prior");
  await page.setInputFiles("#prior-files", [other]);
  await page.waitForFunction(() => /another patient: PatientID differ/.test(document.getElementById("prior-state").textContent));
  step("a prior study beside this one, and one of another patient");

  await page.evaluate(() => dispatchEvent(new Event("beforeprint")));
  assert.equal(await page.locator("#print-films canvas").count(), 3);
  assert.match(await page.textContent("#print-facts"), /Invented, Ida.*Cough for three weeks \(not used by the model\)/);
  await page.emulateMedia({ media: "print" });
  await page.screenshot({ path: join(folder, "print.png"), fullPage: true });
  await page.emulateMedia({ media: null });
  step("print has films, identity and indication");

  await open([plain[0], wrong]);
  const warnings = await page.locator("#warnings li").allTextContents();
  assert.ok(warnings.some((line) => /^view-2\.\w+: this image does not look like/.test(line)), String(warnings));
  assert.equal(await page.inputValue("#indication"), "", "another study, another indication");
  assert.equal(await page.locator(".view.prior").count(), 0, "another study, another prior study");
  await accessible("a warning");
  step("an image that is no chest X-ray is warned of");

  assert.deepEqual(complaints, [], "the console is quiet");
  // Refused uploads are told in words; the browser itself notes their status on the console, so they come last.
  await page.setInputFiles("#files", { name: "<img src=x>.png", mimeType: "image/png", buffer: Buffer.from("no picture") });
  await page.waitForFunction(() => /view 1: neither PNG, JPEG, TIFF nor DICOM/.test(document.querySelector("main").textContent));
  step("a wrong file is told");
  const elsewhere = asked.filter((url) => !url.startsWith(address) && !/^(data|blob):/.test(url));
  assert.deepEqual(elsewhere, [], "no request leaves the machine");
  step(`${asked.length} requests, none to elsewhere`);
} finally {
  await context.close();
}
