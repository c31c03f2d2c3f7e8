// Light or dark: as the system has it, or as chosen here. The choice lasts as long as the page.
export class Theme {
  constructor(button) {
    this.button = button;
    this.system = matchMedia("(prefers-color-scheme: dark)");
    this.chosen = null;
    button.addEventListener("click", () => this.toggle());
    this.system.addEventListener("change", () => this.show());
    this.show();
  }

  get dark() {
    return this.chosen ?? this.system.matches;
  }

  toggle() {
    this.chosen = !this.dark;
    this.show();
  }

  show() {
    document.documentElement.style.colorScheme = this.dark ? "dark" : "light";
    document.documentElement.dataset.theme = this.dark ? "dark" : "light";
    this.button.setAttribute("aria-pressed", String(this.dark));
  }
}
