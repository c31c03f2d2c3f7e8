// The page: files in, draft out.
import { RequestError, ask, bodyOf, events, setToken } from "./server.js";
import { DraftPanel } from "./draft_panel.js";
import { FilmTools } from "./film_tools.js";
import { Keys } from "./keys.js";
import { Layout } from "./layout.js";
import { make } from "./make.js";
import { printable } from "./print.js";
import { StudyFields } from "./study_fields.js";
import { identity, remarks } from "./study_header.js";
import { Theme } from "./theme.js";
import { Viewer } from "./viewer.js";

let about = null;
let examples = null;
let limits = null;
let files = [];
let running = null;

const at = (id) => document.getElementById(id);
const viewer = new Viewer(at("views"), at("prior-views"));
const layout = new Layout(at("look"), viewer, { buttons: { one: at("one"), two: at("two"), compare: at("compare") }, earlier: at("earlier"), later: at("later"), which: at("which") });
const tools = new FilmTools(at, viewer, layout);
const fields = new StudyFields(at, viewer, layout, { limitExceeded });
const theme = new Theme(at("theme"));
printable(at, viewer, fields);
viewer.addEventListener("say", (event) => { at("said").textContent = event.detail; });
const panel = new DraftPanel({ at, viewer, state: showState, files: () => files, about: () => about, prototype: showExamples });
const keys = new Keys(at("help"), at("help-keys"), at("single-keys"));
panel.addKeys(keys);
for (const { keys: pressed, label, run } of tools.actions) keys.add("Films", pressed, label, run);
keys.add("Study", ["n"], "next study: choose its films", () => at("files").click())
  .add("Study", ["N"], "films of a prior study", () => at("prior-files").click())
  .add("Study", ["y"], "indication", () => at("indication").focus())
  .add("Study", ["b"], "dark or light page", () => theme.toggle())
  .add("Study", ["?"], "all keys", () => keys.help());
at("keys").addEventListener("click", () => keys.help());

function showState(text, bad = false) {
  at("state").textContent = text;
  at("state").classList.toggle("bad", bad);
}

// A study that gets no draft: what was refused, why, and what to do, where nobody overlooks it.
function showRefusal(error) {
  const refused = error.status === 422;
  at("refusal").hidden = !refused;
  at("refusal-why").textContent = refused ? error.message : "";
  showState(refused ? "" : error.message, true);
}

async function findModel() {
  try {
    about = await (await ask("/v1/model")).json();
    limits = about.limits;
    at("model").textContent = `Model ${about.name} · ${about.model} · XProNet ${about.version}`;
    at("limits").textContent = `At most ${limits.files} views, ${Math.floor(limits.bytes / 2 ** 20)} MB together, ${Math.floor(limits.pixels / 1e6)} million pixels each. The model was trained with up to ${about.max_views} views per study.${about.gate ? "" : " It has no gate: images that are not chest X-rays are not recognised."}`;
    at("token-form").hidden = true;
    at("save-sr").hidden = !about.structured_reports;
    at("origin").replaceChildren(...about.origin.lines.map((line) => make("li", {}, line)));
    at("notice").classList.toggle("drawn", about.origin.drawn);
    at("notice").textContent = about.origin.drawn ? `This model learned from drawn X-rays only: worthless on patients. ${about.notice}` : about.notice;
    panel.refresh();
    showState("");
    if (about.examples) await findExamples();
  } catch (error) {
    if (!(error instanceof RequestError)) throw error;
    const asks = error.status === 401;
    at("token-form").hidden = !asks;
    at("model").textContent = asks ? "A token is needed" : "";
    if (asks) at("token").focus();
    showState(asks && at("token").value ? "Wrong token." : asks ? "" : error.message, true);
  }
}

async function findExamples() {
  const record = await (await ask("/v1/prototypes")).json();
  const tiles = await createImageBitmap(await (await ask("/v1/prototypes/tiles")).blob());
  examples = { record, tiles };
}

// Draw the train regions nearest to a prototype, and list the words nearest to it.
function showExamples(use, container) {
  const finding = examples?.record.findings.find((each) => each.name === use.finding);
  const prototype = finding?.prototypes[use.index];
  if (!prototype) return;
  const { tile } = examples.record;
  const near = prototype.words.slice(0, 6).map((word) => word.text).join(", ");
  container.append(make("p", { class: "facts" }, `Nearest to ${use.finding} prototype ${use.index}: these train regions${near ? `, the words ${near}` : ""}`));
  for (const region of prototype.regions.slice(0, 6)) {
    const canvas = make("canvas", { width: String(tile), height: String(tile), role: "img", "aria-label": `A train region${region.view ? `, ${region.view} view` : ""}` });
    const context = canvas.getContext("2d");
    context.drawImage(examples.tiles, ...region.at, tile, tile, 0, 0, tile, tile);
    context.strokeStyle = "#ffd23f";
    context.strokeRect(...region.box.map((part, index) => part + (index < 2 ? 0.5 : -1)));
    container.append(canvas);
  }
}

at("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  setToken(at("token").value.trim());
  findModel();
});

function limitExceeded(chosen) {
  if (!limits) return "The model has not been loaded yet: reload the page.";
  if (chosen.length > limits.files) return `${chosen.length} files are more than the ${limits.files} views allowed.`;
  const size = chosen.reduce((sum, file) => sum + file.size, 0);
  if (size > limits.bytes - 65536) return `These files have ${Math.ceil(size / 2 ** 20)} MB; at most ${Math.floor(limits.bytes / 2 ** 20)} MB are allowed.`;
  return "";
}

async function read(chosen) {
  const problem = limitExceeded(chosen);
  if (problem) return showState(problem, true);
  if (!(await panel.mayLeave())) return showState("The study before is still open, with its edited text.");
  running?.abort();
  const own = (running = new AbortController());
  files = chosen;
  panel.clear();
  viewer.clear();
  fields.clearAll();
  at("identity").replaceChildren();
  at("remarks").textContent = "";
  at("refusal").hidden = true;
  at("warnings").hidden = true;
  at("study").hidden = false;
  at("drop").hidden = true;
  layout.start(chosen.length);
  at("study").setAttribute("aria-busy", "true");
  showState(`Reading ${chosen.length === 1 ? "one image" : `${chosen.length} images`}…`);
  try {
    const answer = await ask("/v1/reports/stream?pixels=full", { method: "POST", body: bodyOf(chosen), signal: own.signal });
    const drawn = [];
    for await (const [event, value] of events(answer)) {
      if (own.signal.aborted) return;
      if (event === "view") {
        drawn.push(viewer.add(value));
        if (viewer.views.length === chosen.length) showHeaders();
      } else if (event === "pixels") viewer.receive(value);
      else if (event === "sentence") {
        panel.addSentence(value.text);
        await new Promise(requestAnimationFrame);
      } else if (event === "error") throw new RequestError(value.status, value.detail);
      else if (event === "report") {
        await Promise.all(drawn);
        finish(value);
      }
    }
  } catch (error) {
    if (error.name === "AbortError") return;
    if (!(error instanceof RequestError)) throw error;
    at("study").hidden = !viewer.views.length;
    at("drop").hidden = !at("study").hidden;
    showRefusal(error);
    if (error.status === 401) findModel();
  } finally {
    if (running === own) at("study").removeAttribute("aria-busy");
  }
}

function showHeaders() {
  at("identity").replaceChildren(...identity(viewer.views));
  at("remarks").textContent = remarks(viewer.views).join(" ");
}

function finish(record) {
  panel.finish(record);
  at("warnings").replaceChildren(...(record.warnings || []).map((warning) => make("li", {}, warning)));
  at("warnings").hidden = !record.warnings?.length;
  showState("The draft is ready. Check every word against the images.");
}

at("files").addEventListener("change", () => {
  const chosen = [...at("files").files];
  at("files").value = "";
  if (chosen.length) read(chosen);
});

// A file dropped outside the box must not make the browser leave the page.
for (const name of ["dragover", "drop"]) addEventListener(name, (event) => event.preventDefault());
addEventListener("dragover", () => document.body.classList.add("over"));
for (const name of ["dragleave", "drop"]) addEventListener(name, () => document.body.classList.remove("over"));
addEventListener("drop", (event) => {
  const chosen = [...event.dataTransfer.files];
  if (chosen.length) read(chosen);
});

findModel();
