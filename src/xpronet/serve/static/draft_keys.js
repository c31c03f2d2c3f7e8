// Every action on the draft by its key.
export function addDraftKeys(keys, panel) {
  const withDraft = (run) => () => { if (panel.draft) run(); };
  const text = "Text";
  keys.add(text, ["t"], "to the text", withDraft(() => (panel.view.at || panel.view.stops[0])?.element.focus()))
    .add(text, ["ArrowLeft", "ArrowRight"], "word before, after").add(text, ["ArrowUp", "ArrowDown"], "sentence before, after")
    .add(text, ["e", "Enter"], "edit the sentence (Enter takes it, Escape leaves it)", withDraft(() => panel.editOne()))
    .add(text, ["a"], "add a sentence behind it", withDraft(() => panel.add()))
    .add(text, ["d", "Delete"], "delete it", withDraft(() => panel.deleteOne()))
    .add(text, ["r"], "back to the model’s sentence", withDraft(() => panel.revertOne()))
    .add(text, ["R"], "back to the model’s whole text", withDraft(() => panel.change(() => panel.draft.revertAll())))
    .add(text, ["u", "Ctrl+z"], "undo", withDraft(() => panel.change(() => panel.draft.undo())))
    .add(text, ["U", "Ctrl+y", "Ctrl+Z"], "redo", withDraft(() => panel.change(() => panel.draft.redo())))
    .add(text, ["w"], "edit the whole text (Escape shows its evidence)", withDraft(() => panel.toggleWhole()))
    .add(text, ["o"], "show the model’s own text", withDraft(() => panel.toggleOwn()))
    .add(text, ["m"], "macros from a file of yours", withDraft(() => panel.showMacros()));
  keys.add("Check", ["k"], "next of “check these”", withDraft(() => panel.checks.next(1)))
    .add("Check", ["K"], "the one before", withDraft(() => panel.checks.next(-1)))
    .add("Check", ["f"], "to the findings", withDraft(() => panel.at("findings").querySelector("button")?.focus()))
    .add("Check", ["h"], "map of the finding, or of the word", withDraft(() => panel.toggleMap()))
    .add("Check", ["Escape"], "clear the choice", withDraft(() => panel.clearChoice()));
  keys.add("Study", ["c"], "copy the text", withDraft(() => panel.handover.copy()))
    .add("Study", ["j"], "save as JSON", withDraft(() => panel.handover.saveJson()))
    .add("Study", ["s"], "sign the edits", withDraft(() => panel.signature.ask()))
    .add("Study", ["S"], "save as DICOM structured report", withDraft(() => { if (!panel.at("save-sr").hidden) panel.handover.saveSr(); }))
    .add("Study", ["p"], "print", withDraft(() => panel.handover.print()));
}
