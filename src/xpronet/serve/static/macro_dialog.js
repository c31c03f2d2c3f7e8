// Choose a macro: a file of the person's own, a search, a list.
import { parseMacros } from "./macros.js";
import { make } from "./make.js";

export class MacroDialog {
  // `use` is called with the text of the macro that was chosen.
  constructor(at, use) {
    Object.assign(this, { at, use, macros: [], shown: [] });
    at("macro-file").addEventListener("change", () => {
      const [file] = at("macro-file").files;
      if (file) this.read(file);
    });
    at("macro-filter").addEventListener("input", () => this.list());
    at("macro-filter").addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault();
      if (this.shown.length) this.take(this.shown[0]);
    });
  }

  open() {
    this.at("macro-filter").value = "";
    this.list();
    this.at("macro-dialog").showModal();
    (this.macros.length ? this.at("macro-filter") : this.at("macro-file")).focus();
  }

  async read(file) {
    const problem = this.at("macro-problem");
    problem.textContent = "";
    try {
      this.macros = parseMacros(await file.text(), file.name);
    } catch (error) {
      problem.textContent = error.message;
    }
    this.list();
    this.at("macro-filter").focus();
  }

  list() {
    const wanted = this.at("macro-filter").value.toLowerCase();
    this.shown = this.macros.filter(({ name, text }) => `${name} ${text}`.toLowerCase().includes(wanted));
    this.at("macro-list").replaceChildren(...this.shown.map((macro) => {
      const button = make("button", { type: "button" }, make("b", {}, macro.name), ` ${macro.text}`);
      button.addEventListener("click", () => this.take(macro));
      return make("li", {}, button);
    }));
  }

  take(macro) {
    this.at("macro-dialog").close();
    this.use(macro.text);
  }
}
