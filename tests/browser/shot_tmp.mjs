import { chromium } from "playwright-core";
const [address, out, width, height, scheme, action, ...files] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu"] });
const page = await browser.newPage({ viewport: { width: Number(width), height: Number(height) }, colorScheme: scheme });
page.on("console", (m) => console.log("console", m.type(), m.text()));
page.on("pageerror", (e) => console.log("pageerror", String(e)));
await page.goto(address);
await page.waitForFunction(() => document.getElementById("model").textContent.startsWith("Model "), null, { timeout: 100000 });
await page.setInputFiles("#files", files);
await page.waitForFunction(() => !document.querySelector("#save-json").disabled, null, { timeout: 100000 });
for (const key of action.split(",").filter(Boolean)) { if (key.startsWith("'")) await page.keyboard.type(key.slice(1)); else await page.keyboard.press(key); await page.waitForTimeout(250); }
await page.waitForTimeout(400);
await page.screenshot({ path: out });
console.log("focus", await page.evaluate(() => document.activeElement.outerHTML.slice(0, 160)));
await browser.close();
