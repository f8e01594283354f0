// The map explorer in the browser: maps on canvases with one cursor, one zoom and one colour scale, and beside them what
// they answer. regions.js and plots.js stand before this file in the same module.
//
// The state that Python shares (`model`) is described in explorer.py: it sends layers, their values, spectra and a
// variogram, and hears of shown maps, pins, regions, limits, the band, "at" and "settled". What lives here alone decides
// only how that is drawn: `view` (the middle and the zoom), `cursor`, `mode` of dragging, `press` and `trail` of the drag
// under way, and `spectrum`, the last one that Python sent for the pixel under the cursor. `fresh`: values have come that
// were not drawn yet; SETTLED ms after they are drawn, tables follow and Python is told. Every change ends in `later`,
// which draws once in the next frame.
// All places are in pixels of the image, (row, col), (0, 0) its upper left corner. `page` at the end is the same view in
// a saved page, where the state stands in for the kernel and `alone` is true: what needs Python is switched off, and a
// line of a pin or region that is no longer there is not drawn.

const NEAR = 6; // CSS pixels: a press that moves less is a click, and a click this near a pin removes it
const SINGLE = 12; // CSS pixels of one image pixel, from which a click means that pixel and no other
const SMALLEST = 130, GAP = 10, CAPTION = 42; // CSS pixels: width of a map, space between two, height of its texts
const BESIDE = 760, ROOMY = 940; // CSS pixels: so wide, plots stand beside the maps, in one column or in two
const FULL = 100; // %: above it, and below 0, no concentration exists
const IMPOSSIBLE = 256, DIVERGING = 258; // in the list of colours: below 0 and above 100 %; then those of differences
const SETTLED = 300; // ms without a new map, then plots and tables follow: they must not hold up the next step
const HELP =
  "Arrow keys move the cursor (with Shift ten pixels), Enter pins it, Delete removes the last pin, " +
  "plus and minus zoom (or Ctrl and the wheel), 0 shows all. Drag to move, or draw a lasso or a rectangle.";
const HINT = "row, column; row, column; ...";

const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);

function colour(map, lut, limits) {
  const picture = new ImageData(map.cols, map.rows);
  if (map.photograph) picture.data.set(map.photograph);
  else {
    const out = new Uint32Array(picture.data.buffer), values = map.values, first = map.pair ? DIVERGING : 0;
    const [low, high] = map.scale ?? limits;
    const gain = 255 / Math.max(high - low, 1e-12);
    for (let i = 0; i < out.length; i++) {
      const value = values[i];
      if (value !== value) continue; // NaN stays transparent: the page's own background
      if (!map.scale && value < 0) out[i] = lut[IMPOSSIBLE];
      else if (!map.scale && value > FULL) out[i] = lut[IMPOSSIBLE + 1];
      else out[i] = lut[first + Math.max(0, Math.min(255, ((value - low) * gain) | 0))];
    }
  }
  map.picture.width = map.cols;
  map.picture.height = map.rows;
  map.picture.getContext("2d").putImageData(picture, 0, 0);
  map.coloured = true;
}

function render({ model, el, alone = false }) {
  const root = element("div", { class: "hsichem-explorer" });
  const said = element("div", { class: "unseen", "aria-live": "polite" });
  const status = element("div", { class: "status", role: "status" });
  const tools = element("div", { class: "tools", role: "toolbar", "aria-label": "Tools" });
  const panels = element("div", { class: "maps", tabindex: "0", role: "application", "aria-label": `Maps. ${HELP}` });
  const pinned = element("div", { class: "scroll" }), compared = element("div", { class: "scroll" });
  const fields = element("div", { class: "fields" });
  const plots = [0, 1].map(() => element("div", { class: "plots" })); // before and after the tables
  const dock = element("div", { class: "dock", role: "group", "aria-label": "Plots and tables" });
  dock.append(plots[0], element("div", { class: "answers" }, fields, compared, pinned), plots[1]);
  root.append(tools, element("div", { class: "body" }, panels, dock), status, said);
  el.append(root);

  let maps = [], view, cursor = null, mode = "move", trail = null, waiting = false, drawn = 0, fresh = true;
  let spectrum = null, asked = null, hull = [];
  const lut = new Uint32Array(bytes(model.get("lut")));
  const grid = () => model.get("grid"), regions = () => model.get("regions");
  const dash = (k) => model.get("dashes")[k % model.get("dashes").length];
  const hue = (k) => model.get("colours")[k % model.get("colours").length];
  const seen = () => maps.filter((map) => map.pair || model.get("shown").includes(map.name));
  const within = ([row, col]) => row >= 0 && col >= 0 && row < grid().rows && col < grid().cols;
  const send = (name, value) => {
    model.set(name, value);
    model.save_changes();
  };

  // -- what Python sends

  function take(map, layer, buffer) {
    Object.assign(map, layer, { photograph: null, values: null, coloured: false });
    if (layer.photo) map.photograph = new Uint8ClampedArray(bytes(buffer));
    else map.values = new Float32Array(bytes(buffer));
  }

  function panel(map) {
    map.picture = element("canvas");
    map.canvas = element("canvas", { role: "img", "aria-label": map.name });
    map.remark = element("span", { class: "note" });
    map.output = element("output", { "data-map": map.name });
    map.bar = element("small", { class: "note" });
    const caption = element("figcaption", { title: map.name }, element("b", {}, map.name), " ", map.remark);
    const reading = element("div", { class: "reading" }, map.output, map.bar);
    map.figure = element("figure", { "data-map": map.name }, caption, map.canvas, reading);
    return map;
  }

  function build() {
    maps = model.get("layers").map((layer, i) => {
      const map = {};
      take(map, layer, model.get("images")[i]);
      return panel(map);
    });
    view = { row: grid().rows / 2, col: grid().cols / 2, zoom: 1 };
    cursor = spectrum = asked = null;
    subtract();
  }

  // The difference of two maps is a map like the others, made anew from what they are now.
  function subtract() {
    maps = maps.filter((map) => !map.pair);
    const [one, other] = model.get("difference").map((name) => maps.find((map) => map.name === name));
    if (one && other && one !== other) maps.push(panel(difference(one, other)));
    choices();
    arrange();
  }

  function arrange() {
    panels.replaceChildren(...seen().map((map) => map.figure));
    measure();
    if (fresh) root.dataset.stale = true; // maps first
    else answer();
  }

  // -- drawing

  function later() {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(draw);
  }

  // The columns that make the maps largest in the space beside the plots and above the fold.
  function measure() {
    if (!root.clientWidth) return; // not on the page, or in a hidden tab: the observer calls again
    const count = Math.max(1, seen().length), beside = root.clientWidth >= BESIDE;
    const pane = el.closest(".jp-WindowedPanel-outer")?.clientHeight ?? window.innerHeight;
    const top = (el.closest(".widget-vbox") ?? document.body).getBoundingClientRect().top;
    const tall = Math.max(360, Math.min(1000, pane - (panels.getBoundingClientRect().top - top) - 50));
    const dock = root.clientWidth < ROOMY ? 320 : 540;
    const across = (beside ? root.clientWidth - dock - GAP : root.clientWidth) - 8;
    let width = 0, columns = 1;
    for (let n = 1; n <= count; n++) {
      const high = tall / Math.ceil(count / n) - CAPTION - GAP;
      const wide = Math.min((across - GAP * (n - 1)) / n, (high * grid().cols) / grid().rows);
      if (beside && wide > width) [width, columns] = [wide, n];
    }
    if (!beside) { // the page may be as long as it likes
      columns = Math.min(count, Math.max(1, Math.round(across / 180)));
      width = Math.min((across - GAP * (columns - 1)) / columns, (tall * grid().cols) / grid().rows);
    }
    if (width < SMALLEST) {
      width = Math.min(SMALLEST, across);
      columns = Math.max(1, Math.floor((across + GAP) / (width + GAP)));
    }
    root.classList.toggle("beside", beside);
    root.style.setProperty("--tall", `${tall}px`);
    panels.style.gridTemplateColumns = `repeat(${columns}, ${width}px)`;
    const ratio = window.devicePixelRatio || 1;
    for (const map of seen()) {
      map.width = width;
      map.height = (width * grid().rows) / grid().cols;
      map.canvas.width = Math.round(width * ratio);
      map.canvas.height = Math.round(map.height * ratio);
      map.canvas.style.width = `${width}px`;
      map.canvas.style.height = `${map.height}px`;
    }
    later();
  }

  const size = (map) => (view.zoom * map.width) / grid().cols; // CSS pixels of one image pixel
  const place = (map, row, col) => [
    (col - view.col) * size(map) + map.width / 2,
    (row - view.row) * size(map) + map.height / 2,
  ];

  function write(context, text, x, y) {
    context.font = "bold 12px sans-serif";
    context.lineWidth = 3;
    context.strokeStyle = "#000";
    context.fillStyle = "#fff";
    context.strokeText(text, x, y);
    context.fillText(text, x, y);
  }

  // A ring, and a number at one of four corners: neighbours' numbers do not cover each other.
  function mark(context, map, pin, k) {
    const [x, y] = place(map, pin[0] + 0.5, pin[1] + 0.5);
    for (const [width, style] of [[4, "#000"], [2, hue(k)]]) {
      context.lineWidth = width;
      context.strokeStyle = style;
      context.beginPath();
      context.arc(x, y, 5, 0, 7);
      context.stroke();
    }
    const crowd = model.get("pins").slice(0, k).filter(([row, col]) =>
      Math.hypot(row - pin[0], col - pin[1]) * size(map) < 4 * NEAR).length;
    const [right, down] = [[1, -1], [-1, 1], [1, 1], [-1, -1]][crowd % 4];
    context.textAlign = right > 0 ? "left" : "right";
    write(context, k + 1, x + 7 * right, y + (down > 0 ? 14 : -5));
    context.textAlign = "left";
  }

  function outline(context, map, corners, { closed = true, dash: pattern = "none" } = {}) {
    context.beginPath();
    corners.forEach(([row, col]) => context.lineTo(...place(map, row, col)));
    if (closed) context.closePath();
    for (const [width, style, dashes] of [[3.5, "#000", []], [1.5, "#fff", pattern.split(" ").map(Number)]]) {
      context.lineWidth = width;
      context.strokeStyle = style;
      context.setLineDash(dashes.every(Number.isFinite) ? dashes : []);
      context.stroke();
    }
    context.setLineDash([]);
  }

  function scaleBar(context, map) {
    const pitch = grid().pitch, mm = roundLength(((map.width / size(map)) * pitch) / 3);
    const length = (mm / pitch) * size(map), y = map.height - 8;
    context.fillStyle = "#fff";
    context.strokeStyle = "#000";
    context.lineWidth = 3;
    context.strokeRect(8, y - 4, length, 4);
    context.fillRect(8, y - 4, length, 4);
    write(context, `${mm} mm`, 8, y - 9);
  }

  function draw() {
    waiting = false;
    if (!root.clientWidth) return;
    const ratio = window.devicePixelRatio || 1;
    seen().forEach((map, i) => {
      if (!map.coloured) colour(map, lut, model.get("limits"));
      const context = map.canvas.getContext("2d"), pixel = size(map) * map.step;
      context.setTransform(ratio, 0, 0, ratio, 0, 0);
      context.clearRect(0, 0, map.width, map.height);
      context.imageSmoothingEnabled = false; // smoothing would hide the pixels the map is judged by
      context.drawImage(map.picture, ...place(map, 0, 0), map.cols * pixel, map.rows * pixel);
      Object.entries(regions()).forEach(([name, corners], k) => {
        outline(context, map, corners, { dash: dash(k) });
        const [row, col] = corners.reduce((one, other) => (other[0] < one[0] ? other : one));
        const [x, y] = place(map, row, col);
        write(context, name, x, Math.max(12, y - 4));
      });
      if (trail) outline(context, map, trail, { closed: false });
      model.get("pins").forEach((pin, k) => mark(context, map, pin, k));
      if (cursor) {
        const [row, col] = cursor, [x, y] = place(map, row, col), side = Math.max(size(map), 3);
        outline(context, map, [cursor, [row, col + 1], [row + 1, col + 1], [row + 1, col]]);
        context.fillStyle = "#fff";
        context.fillRect(x + size(map) / 2, y - side - 5, 1, 5);
      }
      if (grid().pitch && i === 0) scaleBar(context, map);
      const blocks = map.step > 1 ? `${map.step} × ${map.step} pixels` : "";
      map.remark.textContent = [map.note, blocks].filter(Boolean).join(", ");
      map.figure.firstChild.title = `${map.name} ${map.remark.textContent}`;
      const [low, high] = (map.scale ?? []).map(number);
      if (map.pair) map.bar.textContent = `purple ${low}, orange ${high} ${map.unit}`;
      else if (map.scale) map.bar.textContent = `${low} to ${high} ${map.unit}`;
      map.output.textContent = cursor && map.values ? `${number(valueAt(map, ...cursor))} ${map.unit}` : "\u00a0";
    });
    panels.dataset.holds = mode !== "move" || view.zoom > 1; // else a finger scrolls the page
    status.textContent = cursor && within(cursor) ? `row ${cursor[0]}, column ${cursor[1]}` : "\u00a0";
    ask();
    if (fresh) {
      fresh = false;
      root.dataset.drawn = ++drawn; // tests and benchmark wait for it
      clearTimeout(draw.settle);
      draw.settle = setTimeout(() => {
        answer();
        model.send({ kind: "settled" });
      }, SETTLED);
    }
  }

  // -- answers

  // The values of maps in every region, or in the whole sample: name of the region -> [[map, values], ...].
  function inRegions(chosen) {
    const mask = new Uint8Array(bytes(model.get("mask"))), found = Object.entries(regions());
    return (found.length ? found : [["whole sample", null]]).map(([name, corners]) =>
      [name, chosen.map((map) => [map, valuesIn(map, corners, map.name === "band" && mask)])]);
  }

  function answer() {
    const shared = seen().filter((map) => map.values && !map.scale).map((map) => map.name);
    const inside = inRegions(seen().filter((map) => map.values)), several = inside.length > 1;
    const head = ["map", ...(several ? ["region"] : []), "pixels", "mean", "SD", "lowest", "highest"];
    const rows = seen().filter((map) => map.values).flatMap((map, i) => inside.map(([region, of], j) => {
      const { pixels, ...numbers } = statistics(of[i][1]), name = map.unit ? `${map.name} (${map.unit})` : map.name;
      return [several && j ? "" : name, ...(several ? [region] : []), `${pixels}`, ...Object.values(numbers).map(number)];
    }));
    compared.replaceChildren(table(several ? "Regions compared" : inside[0][0], head, rows));
    const lines = inside.flatMap(([region, of], j) => of.filter(([map]) => shared.includes(map.name)).map(([map, values]) =>
      ({ name: several ? `${map.name}, ${region}` : map.name, values, colour: hue(shared.indexOf(map.name)), dash: dash(j) })));
    const key = [...shared.map((name, k) => ({ name, colour: hue(k) })),
      ...(several ? inside.map(([name], j) => ({ name, dash: dash(j) })) : [])];
    const minus = maps.find((map) => map.pair), scatters = [];
    if (minus) {
      const [one, other] = model.get("difference"), [x, y] = pairs(minus), [low, high] = extent([...x, ...y], 0);
      const title = `${one} against ${other}`, series = [
        { name: "pixels", x, y, dots: true, colour: hue(1) },
        { name: "equal", x: [low, high], y: [low, high], colour: hue(0) },
      ];
      scatters.push(plot({ title, xlabel: `${other} (%)`, ylabel: `${one} (%)`, series, shaded: [], summary: title }));
    }
    delete root.dataset.stale;
    answer.plots = [lines.length ? [plot({ ...histogram(lines), key })] : [], scatters];
    showPlots();
    showPins();
  }

  function showPins() {
    const pins = model.get("pins"), read = seen().filter((map) => map.values);
    pinned.replaceChildren();
    if (!pins.length) return;
    const head = ["pin", "row", "column", ...read.map((map) => (map.unit ? `${map.name} (${map.unit})` : map.name))];
    const rows = pins.map(([row, col], i) =>
      [i + 1, row, col, ...read.map((map) => number(valueAt(map, row, col)))].map(String));
    pinned.append(table("Pinned pixels", head, rows));
  }

  // A plot of spectra as far as it is true now: lines by their places, which may have another number or be gone.
  function current(spec) {
    const pins = model.get("pins"), entries = Object.entries(regions());
    const series = spec.series.flatMap((line) => {
      if (line.pin) {
        const k = pins.findIndex((pin) => same(pin, line.pin));
        return k < 0 ? [] : [{ ...line, name: `pin ${k + 1}`, colour: hue(k) }];
      }
      const k = line.corners ? entries.findIndex(([, corners]) => same(corners, line.corners)) : 0;
      return k < 0 ? [] : [line.corners ? { ...line, name: entries[k][0], dash: dash(k) } : line];
    });
    const shaded = spec.shaded_for && !same(spec.shaded_for, pins.at(-1)) ? [] : spec.shaded;
    if (same(series, spec.series) && same(shaded, spec.shaded)) return spec;
    return { ...spec, series, shaded, summary: `${spec.title}: ${series.map((line) => line.name).join(", ")}` };
  }

  function spectra(spec) {
    const found = current(spec), nm = spec.series[0].x, band = model.get("band");
    const look = { marker: nm[band] ?? undefined };
    if (!alone && band !== null) look.choose = (at) => {
      const away = nm.map((each) => Math.abs(each - at));
      send("band", away.indexOf(Math.min(...away)));
    };
    if (spec.title !== "Spectra") return plot(found, look);
    const marked = model.get("pins").length + Object.keys(regions()).length;
    const missing = alone && found.series.length - 1 < marked;
    const note = missing ? "of what was marked when this page was saved; the others need Python" : found.note;
    const live = spectrum && same(spectrum.place, cursor);
    if (live) hull = extent([...hull, ...spectrum.values], 0); // the axis grows, it does not jump
    const series = [...found.series, ...(live ? [{ name: "cursor", x: nm, y: spectrum.values }] : [])];
    return plot({ ...found, series, note }, { ...look, hull });
  }

  // What follows the cursor, pins and regions stands first, beside the tables; the rest fills the gaps.
  function showPlots() {
    const made = model.get("plots").map((spec) => (spec.xlabel.startsWith("wavelength") ? spectra(spec) : plot(spec)));
    const [histograms, scatters] = answer.plots ?? [[], []], first = made.filter((each) => each.dataset.plot === "Spectra");
    plots[0].replaceChildren(...first, ...histograms);
    plots[1].replaceChildren(...made.filter((each) => !first.includes(each)), ...scatters);
  }

  // The spectrum under the cursor: asked for one at a time, drawn only while the cursor is still there.
  function ask() {
    const spec = model.get("plots").find((each) => each.title === "Spectra"), here = cursor && within(cursor);
    if (alone || !spec) return;
    if (!here) asked = null; // an answer that never came holds up no other
    if (here && !asked && !same(spectrum?.place, cursor)) model.send({ kind: "at", place: (asked = cursor) });
    const wanted = here && same(spectrum?.place, cursor) ? String(cursor) : "";
    if (wanted === ask.shown) return;
    ask.shown = wanted;
    plots[0].querySelector("[data-plot='Spectra']")?.replaceWith(spectra(spec));
  }

  function save() {
    const link = element("a", { download: `${model.get("title")}-regions.csv` });
    const lines = model.get("plots").filter((each) => each.title === "Spectra").flatMap((each) => current(each).series);
    const text = asCsv(regions(), inRegions(maps.filter((map) => map.values)), lines);
    link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
    link.click();
    URL.revokeObjectURL(link.href);
  }

  // -- pins and regions as text, each with what is wrong with it beside it

  function field(label, hint, action) {
    const input = element("input", { type: "text", "aria-label": label, placeholder: hint, spellcheck: "false" });
    const wrong = element("small", { class: "wrong", role: "alert", id: `w${Math.random().toString(36).slice(2)}` });
    input.setAttribute("aria-describedby", wrong.id);
    const tell = (message) => {
      wrong.textContent = message;
      input.setAttribute("aria-invalid", String(Boolean(message)));
    };
    input.addEventListener("change", () => {
      try {
        tell("");
        action(input.value);
      } catch (error) {
        tell(error.message);
      }
    });
    return { input, wrong, tell };
  }

  const ofPins = field("pinned pixels", HINT, (text) => pin(readPins(text, grid())));
  fields.append(element("label", {}, "pins", ofPins.input), ofPins.wrong);
  const rows = []; // of the regions, and one more for the next

  const nextName = () => [..."ABCDEFGHIJKLMNOPQRSTUVWXYZ"].find((letter) => !(letter in regions())) ?? "next";

  function keep(k, name, corners) {
    const entries = Object.entries(regions());
    if (entries.some(([other], i) => other === name && i !== k)) throw new Error(`there is a region ${name} already`);
    entries[k] = [name, corners];
    send("regions", Object.fromEntries(entries));
  }

  function addRow() {
    const k = rows.length, known = () => Object.entries(regions())[k];
    const corners = field("corners of the region", HINT, (text) => {
      if (!text.trim()) return drop();
      keep(k, name.input.value.trim() || nextName(), readCorners(text, grid()));
    });
    const name = field("name of the region", "name", (text) => known() && keep(k, text.trim() || known()[0], known()[1]));
    const drop = () => send("regions", Object.fromEntries(Object.entries(regions()).filter((_, i) => i !== k)));
    const remove = element("button", { type: "button", "aria-label": "Remove the region", title: "Remove the region" }, "×");
    remove.addEventListener("click", () => {
      drop();
      rows.at(-1).corners.input.focus(); // the button is gone, and a lost focus would be the notebook's
    });
    const box = element("div", { class: "row" }, name.input, corners.input, remove);
    rows.push({ name, corners, remove, box, wrongs: [name.wrong, corners.wrong] });
  }

  function showFields() {
    ofPins.input.value = asText(model.get("pins"));
    ofPins.tell("");
    const entries = Object.entries(regions());
    while (rows.length <= entries.length) addRow();
    while (rows.length > entries.length + 1) {
      const { box, wrongs } = rows.pop();
      [box, ...wrongs].forEach((each) => each.remove());
    }
    rows.forEach(({ name, corners, remove, box, wrongs }, k) => {
      [name.input.value, corners.input.value] = entries[k] ? [entries[k][0], asText(entries[k][1])] : ["", ""];
      name.input.placeholder = entries[k] ? "name" : `region ${nextName()}`;
      remove.hidden = !entries[k];
      [name, corners].forEach((each) => each.tell(""));
      if (!box.isConnected) fields.append(box, ...wrongs);
    });
  }

  // -- tools

  function button(text, label, action) {
    const made = element("button", { type: "button", "aria-label": label, title: label }, text);
    made.addEventListener("click", action);
    tools.append(made);
    return made;
  }

  const modes = ["move", "lasso", "rectangle"].map((name) => {
    const made = button(name, `Drag: ${name}`, () => {
      mode = name;
      modes.forEach((each) => each.setAttribute("aria-pressed", String(each === made)));
      later();
    });
    made.setAttribute("aria-pressed", String(name === mode));
    return made;
  });
  button("+", "Zoom in", () => zoom(1.5));
  button("−", "Zoom out", () => zoom(1 / 1.5));
  button("all", "Show all", () => zoom(0));
  button("clear pins", "Clear pins", () => pin([]));
  button("clear regions", "Clear regions", () => send("regions", {}));
  button("save CSV", "Save the regions as CSV", save);

  const choice = element("details", { class: "choice" }, element("summary", {}, "maps shown"));
  const list = element("div", { class: "list" });
  choice.append(list);
  choice.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    choice.open = false;
    choice.firstChild.focus();
  });
  root.addEventListener("pointerdown", (event) => choice.contains(event.target) || (choice.open = false));
  const minus = [0, 1].map((i) => {
    const made = element("select", { "aria-label": ["Difference: this map", "Difference: minus this map"][i] });
    made.addEventListener("change", () => send("difference", minus.map((each) => each.value)));
    return made;
  });
  tools.append(choice, element("span", { class: "minus" }, "difference ", minus[0], " − ", minus[1]));

  function choices() {
    const layers = maps.filter((map) => !map.pair), kinds = [...new Set(layers.map((map) => map.kind))];
    const state = JSON.stringify(layers.map((map) => map.name));
    if (state !== choices.state) list.replaceChildren(...kinds.map((kind) => {
      const group = element("fieldset", {}, element("legend", {}, kind));
      for (const map of layers.filter((each) => each.kind === kind)) {
        const box = element("input", { type: "checkbox", value: map.name });
        box.addEventListener("change", () => {
          const others = model.get("shown").filter((name) => name !== map.name);
          send("shown", box.checked ? [...others, map.name] : others);
        });
        group.append(element("label", {}, box, map.name));
      }
      return group;
    }));
    choices.state = state;
    for (const box of list.querySelectorAll("input")) box.checked = model.get("shown").includes(box.value);
    const names = ["", ...layers.filter((map) => map.values && !map.scale).map((map) => map.name)];
    minus.forEach((made, i) => {
      made.replaceChildren(...names.map((name) => element("option", { value: name }, name || "none")));
      made.value = model.get("difference")[i];
    });
  }

  const ramp = element("canvas", { width: 300, height: 14, "aria-hidden": "true" });
  const edges = [0, 1].map((i) => {
    const label = `${["Lower", "Upper"][i]} limit of the colour scale`;
    const range = element("input", { type: "range", min: 0, max: FULL, step: 1, "aria-label": label });
    range.addEventListener("input", () => {
      const limits = [...model.get("limits")];
      limits[i] = i ? Math.max(+range.value, limits[0] + 1) : Math.min(+range.value, limits[1] - 1);
      send("limits", limits);
    });
    return range;
  });
  const told = element("span", { class: "note" });
  const scale = element("div", { class: "scale", role: "group", "aria-label": "Colour scale" });
  scale.append(edges[0], ramp, edges[1], told);
  tools.append(scale);

  function showScale() {
    const limits = model.get("limits"), context = ramp.getContext("2d"), picture = new ImageData(300, 14);
    const pixels = new Uint32Array(picture.data.buffer);
    for (let i = 0; i < pixels.length; i++) {
      const x = i % 300; // 20 pixels below 0, 260 for 0 to 100, 20 above
      const value = ((x - 20) / 260) * FULL, share = (value - limits[0]) / (limits[1] - limits[0]);
      const inside = Math.max(0, Math.min(255, (share * 255) | 0));
      pixels[i] = lut[x < 20 ? IMPOSSIBLE : x >= 280 ? IMPOSSIBLE + 1 : inside];
    }
    context.putImageData(picture, 0, 0);
    edges.forEach((edge, i) => (edge.value = limits[i]));
    told.textContent = `${limits[0]} to ${limits[1]} %; outer colours: below 0, above ${FULL} %`;
    maps.filter((map) => !map.scale).forEach((map) => (map.coloured = false));
    later();
  }

  // -- mouse, fingers and keys

  function pin(pins) {
    send("pins", pins);
  }

  // From the mouse, a pin counts as met where its ring is, unless pixels are so large that each can be met.
  function toggle([row, col], map) {
    const pins = model.get("pins"), reach = map && size(map) < SINGLE ? NEAR / size(map) : 0;
    const place = [Math.floor(row), Math.floor(col)];
    const away = pins.map((each) => (same(each, place) ? 0 : Math.hypot(each[0] + 0.5 - row, each[1] + 0.5 - col)));
    const met = away.indexOf(Math.min(...away));
    if (met >= 0 && away[met] <= reach) pin(pins.filter((_, k) => k !== met));
    else if (within(place)) pin([...pins, place]);
  }

  // Never beside the image: at the least zoom it fills its frame.
  function look({ row, col, zoom }) {
    const held = (at, count) => Math.max(count / 2 / zoom, Math.min(count - count / 2 / zoom, at));
    view = { row: held(row, grid().rows), col: held(col, grid().cols), zoom };
    later();
  }

  function zoom(factor, [row, col] = cursor ?? [view.row, view.col]) {
    const next = factor ? Math.max(1, Math.min(64, view.zoom * factor)) : 1, kept = view.zoom / next;
    look({ row: row + (view.row - row) * kept, col: col + (view.col - col) * kept, zoom: next });
  }

  function at(event) {
    const map = seen().find((each) => each.canvas === event.target);
    if (!map) return null;
    const [x, y] = [event.offsetX - map.width / 2, event.offsetY - map.height / 2];
    return { map, row: view.row + y / size(map), col: view.col + x / size(map) };
  }

  let press = null;
  panels.addEventListener("pointerdown", (event) => {
    const found = at(event);
    if (!found || event.button) return;
    press = { ...found, x: event.offsetX, y: event.offsetY, view, moved: false };
    event.target.setPointerCapture(event.pointerId);
  });
  panels.addEventListener("pointermove", (event) => {
    const found = at(event);
    if (!found) return;
    cursor = [Math.floor(found.row), Math.floor(found.col)];
    if (press) {
      const [x, y] = [event.offsetX - press.x, event.offsetY - press.y], { row, col } = press;
      press.moved ||= Math.hypot(x, y) >= NEAR;
      if (press.moved && mode === "move")
        look({ ...view, row: press.view.row - y / size(press.map), col: press.view.col - x / size(press.map) });
      else if (press.moved && mode === "rectangle")
        trail = [[row, col], [row, found.col], [found.row, found.col], [found.row, col], [row, col]];
      else if (press.moved) trail = [...(trail ?? [[row, col]]), [found.row, found.col]];
    }
    later();
  });
  panels.addEventListener("pointerup", (event) => {
    if (press && !press.moved) {
      cursor = [Math.floor(press.row), Math.floor(press.col)]; // a finger has not hovered before
      toggle([press.row, press.col], press.map);
    } else if (trail && trail.length > 2) {
      const drawn = mode === "rectangle" ? trail.slice(0, 4) : trail, next = rows.at(-1).corners;
      const text = asText(drawn.map((corner) => corner.map((value) => Math.round(value * 10) / 10)));
      next.input.value = text;
      next.input.dispatchEvent(new Event("change")); // as if it were typed: with the same words where it is wrong
    }
    press = trail = null;
    later();
  });
  panels.addEventListener("pointercancel", () => { // the finger scrolls the page
    press = trail = cursor = null;
    later();
  });
  for (const left of ["pointerleave", "blur"])
    panels.addEventListener(left, (event) => {
      if (press || event.pointerType === "touch") return;
      cursor = null;
      later();
    });
  panels.addEventListener("wheel", (event) => {
    const found = at(event);
    if (!found || !(event.ctrlKey || event.metaKey)) return; // the wheel alone scrolls the page; a pinch comes as Ctrl
    event.preventDefault();
    zoom(event.deltaY < 0 ? 1.2 : 1 / 1.2, [found.row, found.col]);
  }, { passive: false });

  panels.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const far = event.shiftKey ? 10 : 1, pins = model.get("pins");
    const steps = { ArrowUp: [-far, 0], ArrowDown: [far, 0], ArrowLeft: [0, -far], ArrowRight: [0, far] };
    const actions = {
      Enter: () => cursor && toggle(cursor), " ": () => cursor && toggle(cursor),
      Delete: () => pin(pins.slice(0, -1)), Backspace: () => pin(pins.slice(0, -1)),
      "+": () => zoom(1.5), "=": () => zoom(1.5), "-": () => zoom(1 / 1.5), 0: () => zoom(0),
    };
    const step = steps[event.key];
    if (step) {
      const [row, col] = cursor ?? [Math.floor(view.row), Math.floor(view.col)];
      const held = (value, count) => Math.max(0, Math.min(count - 1, value));
      cursor = [held(row + step[0], grid().rows), held(col + step[1], grid().cols)];
      const read = seen().filter((map) => map.values);
      const values = read.map((map) => `${map.name} ${number(valueAt(map, ...cursor))} ${map.unit}`);
      said.textContent = `row ${cursor[0]}, column ${cursor[1]}: ${values.join(", ")}`;
    } else if (actions[event.key]) actions[event.key]();
    else return;
    event.preventDefault();
    later();
  });

  // -- listen, and begin

  // JupyterLab takes arrow keys and letters from every element that does not say this of itself.
  const keepKeys = (event) => event.target.setAttribute("data-lm-suppress-shortcuts", "true");

  const renew = () => {
    fresh = true;
    build();
  };
  const hear = (message, buffers) => {
    if (message.kind === "spectrum") {
      [spectrum, asked] = [{ place: message.place, values: [...new Float32Array(bytes(buffers[0]))] }, null];
      return later();
    }
    model.get("layers")[message.index] = message.layer; // a view made later shows the same
    model.get("images")[message.index] = buffers[0];
    take(maps[message.index], message.layer, buffers[0]);
    fresh = true;
    root.dataset.stale = true; // until `answer`
    if (maps.some((map) => map.pair) && model.get("difference").includes(message.layer.name)) subtract();
    later();
  };
  const reshow = () => ((spectrum = asked = null), choices(), arrange()); // of blocks or of pixels, as maps shown are
  const repin = () => (showFields(), showPins(), showPlots(), later());
  const redraw = () => (showFields(), answer(), later());
  const replot = () => ((hull = []), showPlots());
  const heard = {
    "change:images": renew, "change:shown": reshow, "change:difference": subtract, "change:limits": showScale,
    "change:pins": repin, "change:regions": redraw, "change:plots": replot, "change:band": showPlots, "msg:custom": hear,
  };
  for (const [name, action] of Object.entries(heard)) model.on(name, action);
  const sizes = new ResizeObserver(() => {
    measure();
    const box = el.closest(".widget-vbox");
    box?.addEventListener("focusin", keepKeys); // of the sliders above, too
    // ipywidgets leaves the handles of its sliders without a name
    for (const slider of box?.querySelectorAll(".widget-slider") ?? [])
      for (const handle of slider.querySelectorAll("[role=slider]"))
        handle.setAttribute("aria-label", slider.querySelector(".widget-label").textContent);
  });
  showFields();
  renew();
  showScale();
  sizes.observe(root);
  window.addEventListener("resize", measure);
  return () => {
    sizes.disconnect();
    window.removeEventListener("resize", measure);
    for (const [name, action] of Object.entries(heard)) model.off(name, action);
  };
}

// ---- a saved page: the state stands in for the kernel

function page(state, el) {
  const binary = (text) => {
    const letters = atob(text), made = new Uint8Array(letters.length);
    for (let i = 0; i < made.length; i++) made[i] = letters.charCodeAt(i); // Uint8Array.from takes ten times as long
    return new DataView(made.buffer);
  };
  const kept = { ...state, lut: binary(state.lut), mask: binary(state.mask), images: state.images.map(binary) };
  const actions = {};
  render({
    el,
    alone: true,
    model: {
      get: (name) => kept[name],
      set(name, value) {
        kept[name] = value;
        actions[name]?.();
      },
      on: (name, action) => (actions[name.replace("change:", "")] = action),
      off() {},
      save_changes() {},
      send() {},
    },
  });
}

export default { render };
export { page };
