// Every action has a key; `?` lists them all.
import { make } from "./make.js";

const SPOKEN = { " ": "Space", ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓" };
const inField = (target) => target.closest?.("input:not([type=range]):not([type=checkbox]):not([type=file]), textarea, select, [contenteditable], dialog[open]");

export class Keys {
  constructor(dialog, list, single) {
    this.dialog = dialog;
    this.list = list;
    this.single = single;
    this.actions = [];
    addEventListener("keydown", (event) => this.press(event));
  }

  // An action: the group it is listed in, its keys such as "e" or "Ctrl+z", what it does, and the function; without a
  // function the key is only listed, because something else listens for it.
  add(group, keys, label, run = null) {
    this.actions.push({ group, keys, label, run });
    return this;
  }

  press(event) {
    if (event.defaultPrevented || event.isComposing || event.altKey || inField(event.target)) return;
    const pressed = (event.ctrlKey || event.metaKey ? "Ctrl+" : "") + event.key;
    const action = pressed === "Enter" ? null : this.actions.find((each) => each.run && each.keys.includes(pressed));
    // A person who speaks to the computer, or whose hand trembles, can do without single letters.
    if (!action || (pressed.length === 1 && pressed !== "?" && !this.single.checked)) return;
    event.preventDefault();
    action.run();
  }

  help() {
    const groups = Map.groupBy ? Map.groupBy(this.actions, (action) => action.group) : groupBy(this.actions);
    this.list.replaceChildren(...[...groups].map(([group, actions]) => make("section", {}, make("h3", {}, group), make("dl", {},
      ...actions.flatMap(({ keys, label }) => [make("dt", {}, ...keys.flatMap((key, index) => [index ? " " : "", make("kbd", {}, SPOKEN[key] || key)])), make("dd", {}, label)])))));
    this.dialog.showModal();
  }
}

const groupBy = (actions) => actions.reduce((groups, action) => groups.set(action.group, [...(groups.get(action.group) || []), action]), new Map());
