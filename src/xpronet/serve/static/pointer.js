// Mouse, pen and touch on a film: wheel zooms, left drag moves or measures, right drag (or Shift and drag) is window and
// level.
const DRAG = 400; // CSS pixels for the whole range of a film's first window

export function listen(film, viewer) {
  const element = film.film;
  let doing = null;
  const place = (event) => {
    const box = element.getBoundingClientRect();
    return [event.clientX - box.left - element.clientLeft, event.clientY - box.top - element.clientTop];
  };
  element.addEventListener("wheel", (event) => {
    event.preventDefault();
    const lines = event.deltaMode === 0 ? event.deltaY : event.deltaY * 33;
    const [x, y] = place(event);
    viewer.change(film, () => film.zoom(Math.exp(-Math.min(Math.max(lines, -240), 240) * 0.0015), x, y));
    film.read(x, y);
  }, { passive: false });
  element.addEventListener("contextmenu", (event) => event.preventDefault());
  element.addEventListener("pointerdown", (event) => {
    viewer.activate(film);
    element.setPointerCapture(event.pointerId);
    const windows = event.button === 2 || event.shiftKey;
    doing = windows ? "window" : viewer.measuring && event.button === 0 ? "measure" : "move";
    if (doing === "measure") film.ruler.begin(film.toImage(...place(event)));
    element.classList.toggle("moving", doing === "move");
  });
  element.addEventListener("pointermove", (event) => {
    const [x, y] = place(event);
    film.read(x, y);
    if (!doing || !element.hasPointerCapture(event.pointerId)) return;
    if (doing === "measure") film.ruler.extend(film.toImage(x, y));
    else if (doing === "window") viewer.change(film, () => film.adjust(-event.movementY / DRAG, event.movementX / DRAG));
    else viewer.change(film, () => film.move(event.movementX, event.movementY));
  });
  const finish = () => {
    if (doing === "measure") {
      const length = film.ruler.end();
      if (length) viewer.say(`Measured: ${length}.`);
    }
    doing = null;
    element.classList.remove("moving");
  };
  element.addEventListener("pointerup", finish);
  element.addEventListener("pointercancel", finish);
  element.addEventListener("pointerleave", () => { film.readout.textContent = ""; });
  element.addEventListener("dblclick", () => viewer.dispatchEvent(new CustomEvent("alone", { detail: film })));
  element.addEventListener("keydown", (event) => pressed(event, film, viewer));
}

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

// Keys of a focused film; those of all films are in film_tools.js.
function pressed(event, film, viewer) {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  const arrow = ARROWS[event.key];
  if (arrow && film.measuring) {
    const step = event.shiftKey ? 2 : 20;
    film.ruler.step(arrow[0] * step, arrow[1] * step);
  } else if (arrow) viewer.change(film, () => film.move(-arrow[0] * 40, -arrow[1] * 40));
  else if (event.key === "Enter" && film.measuring) viewer.say(film.ruler.press());
  else if (event.key === "Enter") viewer.dispatchEvent(new CustomEvent("alone", { detail: film }));
  else if (["Backspace", "Delete"].includes(event.key)) film.ruler.undo();
  else return;
  event.preventDefault();
}
