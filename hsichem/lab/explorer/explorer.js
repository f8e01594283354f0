// The map explorer in the browser: maps on canvases with one cursor, one zoom and one colour scale.
//
// The state that Python shares (`model`) is described in explorer.py: it sends layers, their values and the answers, and
// hears of pins, polygon, limits and "settled". What lives here alone decides only how that is drawn: `view` (the middle
// and the zoom), `cursor`, `hidden` maps, `mode` of dragging, and `press` and `trail` of the drag under way. `fresh`:
// values have come that were not drawn yet; SETTLED ms after they are drawn, Python is told. Every change ends in
// `later`, which draws once in the next frame.
// All places are in pixels of the image, (row, col), (0, 0) its upper left corner. `page` at the end is the same view in
// a saved page, where the state stands in for the kernel.

const NEAR = 4; // CSS pixels: a press that moves less is a click, and a click this near a pin removes it
const TALLEST = 420; // CSS pixels of one map
const FULL = 100; // %: above it, and below 0, no concentration exists
const SETTLED = 300; // ms without a new map, then plots and tables follow: they must not hold up the next step
const HELP =
  "Arrow keys move the cursor (with Shift ten pixels), Enter pins it, Delete removes the last pin, " +
  "plus and minus zoom, 0 shows all. Drag to move, or draw a lasso or a rectangle.";

const element = (name, attributes = {}, ...children) => {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
};

const drawing = (name, attributes = {}, text = "") => {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.textContent = text;
  return made;
};

const number = (value) => {
  if (!Number.isFinite(value)) return "–";
  return Math.abs(value) >= 10 ? value.toFixed(1) : Math.abs(value) >= 0.1 ? value.toFixed(2) : value.toPrecision(2);
};

// ---- maps: values, colours, places

// Buffers arrive at any byte offset, a Float32Array needs a multiple of four: so copy.
const bytes = (view) => view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength);

function valueAt(map, row, col) {
  const r = Math.floor(row / map.step), c = Math.floor(col / map.step);
  return r >= 0 && c >= 0 && r < map.rows && c < map.cols ? map.values[r * map.cols + c] : NaN;
}

function colour(map, lut, limits) {
  const picture = new ImageData(map.cols, map.rows);
  if (map.photograph) picture.data.set(map.photograph);
  else {
    const out = new Uint32Array(picture.data.buffer), values = map.values;
    const [low, high] = map.scale ?? limits;
    const gain = 255 / Math.max(high - low, 1e-12);
    for (let i = 0; i < out.length; i++) {
      const value = values[i];
      if (value !== value) continue; // NaN stays transparent: the page's own background
      if (!map.scale && value < 0) out[i] = lut[256];
      else if (!map.scale && value > FULL) out[i] = lut[257];
      else out[i] = lut[Math.max(0, Math.min(255, ((value - low) * gain) | 0))];
    }
  }
  map.picture.width = map.cols;
  map.picture.height = map.rows;
  map.picture.getContext("2d").putImageData(picture, 0, 0);
}

// The largest of 1, 2, 5 times a power of ten that is not above `most`.
function roundLength(most) {
  const power = 10 ** Math.floor(Math.log10(most));
  return power * [5, 2, 1].find((n) => n * power <= most);
}

// ---- line plots, as SVG

function ticks(low, high, count = 4) {
  const step = roundLength((high - low) / count) || 1, found = [];
  for (let at = Math.ceil(low / step) * step; at <= high + step * 1e-6; at += step) found.push(at);
  const digits = Math.max(0, -Math.floor(Math.log10(step)));
  return found.map((at) => [at, at.toFixed(digits)]);
}

function plot(spec) {
  const [width, height, left, bottom, top, right] = [340, 190, 52, 36, 8, 10];
  const finite = (axis) => spec.series.flatMap((line) => line[axis]).filter(Number.isFinite);
  const range = (values, pad) => {
    let low = Math.min(...values), high = Math.max(...values);
    if (!(low < high)) [low, high] = values.length ? [low - 0.5, low + 0.5] : [0, 1];
    return [low - pad * (high - low), high + pad * (high - low)];
  };
  const [x0, x1] = range(finite("x"), 0), [y0, y1] = range(finite("y"), 0.05);
  const x = (value) => left + ((value - x0) / (x1 - x0)) * (width - left - right);
  const y = (value) => height - bottom - ((value - y0) / (y1 - y0)) * (height - bottom - top);
  const middle = (top + height - bottom) / 2, tall = height - bottom - top;
  const svg = drawing("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": spec.summary });
  for (const [from, to] of spec.shaded) {
    const box = { x: x(from), y: top, width: x(to) - x(from), height: tall, class: "shaded" };
    svg.append(drawing("rect", box));
  }
  for (const [at, text] of ticks(x0, x1)) {
    svg.append(drawing("line", { x1: x(at), x2: x(at), y1: top, y2: height - bottom, class: "grid" }));
    svg.append(drawing("text", { x: x(at), y: height - bottom + 13, "text-anchor": "middle" }, text));
  }
  for (const [at, text] of ticks(y0, y1, 3)) {
    svg.append(drawing("line", { x1: left, x2: width - right, y1: y(at), y2: y(at), class: "grid" }));
    svg.append(drawing("text", { x: left - 4, y: y(at) + 4, "text-anchor": "end" }, text));
  }
  svg.append(drawing("text", { x: (left + width - right) / 2, y: height - 4, "text-anchor": "middle" }, spec.xlabel));
  const upright = { x: 11, y: middle, "text-anchor": "middle", transform: `rotate(-90 11 ${middle})` };
  svg.append(drawing("text", upright, spec.ylabel));
  for (const line of spec.series) {
    const stroke = line.colour ?? "currentColor";
    const points = line.x.map((at, i) => [at, line.y[i]]).filter(([, value]) => Number.isFinite(value));
    if (line.dots)
      for (const [a, b] of points) svg.append(drawing("circle", { cx: x(a), cy: y(b), r: 2.2, fill: stroke }));
    else {
      const path = points.map(([a, b]) => `${x(a).toFixed(1)},${y(b).toFixed(1)}`).join(" ");
      svg.append(drawing("polyline", { points: path, stroke, "stroke-dasharray": line.dash ?? "none" }));
    }
  }
  const key = element("figcaption", {}, element("b", {}, spec.title), ` ${spec.note ?? ""}`);
  for (const line of spec.series) {
    const mark = element("i", { "aria-hidden": "true" });
    const kind = line.dots || line.dash === "1 2" ? "dotted" : line.dash ? "dashed" : "solid";
    mark.style.borderTop = `3px ${kind} ${line.colour ?? "currentColor"}`;
    key.append(element("span", {}, mark, line.name));
  }
  return element("figure", { "data-plot": spec.title }, key, svg);
}

// ---- the view

function render({ model, el }) {
  const root = element("div", { class: "hsichem-explorer" });
  const said = element("div", { class: "unseen", "aria-live": "polite" });
  const status = element("div", { class: "status", role: "status" });
  const tools = element("div", { class: "tools", role: "toolbar", "aria-label": "Tools" });
  const panels = element("div", {
    class: "maps", tabindex: "0", role: "application", "aria-label": `Maps. ${HELP}`, title: HELP,
    "data-lm-suppress-shortcuts": "true", // else JupyterLab takes the arrow keys and Enter
  });
  const pinned = element("div", { class: "scroll" });
  const region = element("div", { class: "scroll" });
  const plots = element("div", { class: "plots" });
  root.append(tools, panels, said, pinned, plots, region, status);
  el.append(root);

  let maps = [], view, cursor = null, mode = "move", trail = null, waiting = false, drawn = 0, fresh = true;
  const hidden = new Set();
  const lut = new Uint32Array(bytes(model.get("lut")));
  const grid = () => model.get("grid");
  const send = (name, value) => {
    model.set(name, value);
    model.save_changes();
  };

  // -- what Python sends

  function take(index, layer, buffer) {
    const map = maps[index] ?? (maps[index] = { picture: document.createElement("canvas") });
    Object.assign(map, layer, { photograph: null, values: null });
    if (layer.photo) map.photograph = new Uint8ClampedArray(bytes(buffer));
    else map.values = new Float32Array(bytes(buffer));
    colour(map, lut, model.get("limits"));
  }

  function build() {
    maps = [];
    model.get("layers").forEach((layer, i) => take(i, layer, model.get("images")[i]));
    view = { row: grid().rows / 2, col: grid().cols / 2, zoom: 1 };
    cursor = null;
    panels.replaceChildren();
    maps.forEach((map) => {
      map.canvas = element("canvas", { role: "img", "aria-label": map.name });
      map.note_ = element("span", { class: "note" });
      map.output = element("output", { "data-map": map.name });
      map.bar = map.scale ? element("small", { class: "own" }) : "";
      const caption = element("figcaption", { title: map.name }, element("b", {}, map.name), " ", map.note_);
      map.figure = element("figure", { "data-map": map.name }, caption, map.canvas, map.bar, map.output);
      map.figure.hidden = hidden.has(map.name);
      panels.append(map.figure);
    });
    shown();
    measure();
  }

  // -- drawing

  function later() {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(draw);
  }

  function measure() {
    for (const map of maps) {
      const width = Math.min(map.canvas.parentElement.clientWidth || 200, (TALLEST * grid().cols) / grid().rows);
      const ratio = window.devicePixelRatio || 1;
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

  function mark(context, map, row, col, text, stroke) {
    const [x, y] = place(map, row + 0.5, col + 0.5);
    for (const [width, style] of [[4, "#000"], [2, stroke]]) {
      context.lineWidth = width;
      context.strokeStyle = style;
      context.beginPath();
      context.arc(x, y, 5, 0, 7);
      context.stroke();
    }
    context.font = "bold 12px sans-serif";
    context.lineWidth = 3;
    context.strokeStyle = "#000";
    context.fillStyle = "#fff";
    context.strokeText(text, x + 7, y - 5);
    context.fillText(text, x + 7, y - 5);
  }

  function outline(context, map, corners, closed) {
    context.beginPath();
    corners.forEach(([row, col]) => context.lineTo(...place(map, row, col)));
    if (closed) context.closePath();
    for (const [width, style] of [[3.5, "#000"], [1.5, "#fff"]]) {
      context.lineWidth = width;
      context.strokeStyle = style;
      context.stroke();
    }
  }

  function scaleBar(context, map) {
    const pitch = grid().pitch, mm = roundLength((map.width / size(map)) * pitch / 3);
    const length = (mm / pitch) * size(map), y = map.height - 8;
    context.fillStyle = "#fff";
    context.strokeStyle = "#000";
    context.lineWidth = 3;
    context.strokeRect(8, y - 4, length, 4);
    context.fillRect(8, y - 4, length, 4);
    context.font = "bold 12px sans-serif";
    context.strokeText(`${mm} mm`, 8, y - 9);
    context.fillText(`${mm} mm`, 8, y - 9);
  }

  function draw() {
    waiting = false;
    const ratio = window.devicePixelRatio || 1, colours = model.get("colours"), polygon = model.get("polygon");
    for (const map of maps) {
      if (map.figure.hidden) continue;
      const context = map.canvas.getContext("2d"), pixel = size(map) * map.step;
      context.setTransform(ratio, 0, 0, ratio, 0, 0);
      context.clearRect(0, 0, map.width, map.height);
      context.imageSmoothingEnabled = false; // smoothing would hide the pixels the map is judged by
      context.drawImage(map.picture, ...place(map, 0, 0), map.cols * pixel, map.rows * pixel);
      if (polygon.length) outline(context, map, polygon, true);
      if (trail) outline(context, map, trail, false);
      model.get("pins").forEach(([row, col], i) => mark(context, map, row, col, i + 1, colours[i % colours.length]));
      if (cursor) {
        const [x, y] = place(map, cursor[0], cursor[1]), side = Math.max(size(map), 3);
        const [row, col] = cursor;
        outline(context, map, [cursor, [row, col + 1], [row + 1, col + 1], [row + 1, col]], true);
        context.fillStyle = "#fff";
        context.fillRect(x + size(map) / 2, y - side - 5, 1, 5);
      }
      if (grid().pitch && map === maps.find((each) => !each.figure.hidden)) scaleBar(context, map);
      map.note_.textContent = map.note_.title = map.note;
      if (map.scale) map.bar.textContent = `${number(map.scale[0])} to ${number(map.scale[1])} ${map.unit}`;
      map.output.textContent = cursor && map.values ? `${number(valueAt(map, ...cursor))} ${map.unit}` : "\u00a0";
    }
    const where = cursor ? `row ${cursor[0]}, column ${cursor[1]}` : "";
    status.textContent = [where, model.get("status")].filter(Boolean).join(" · ");
    if (fresh) {
      fresh = false;
      root.dataset.drawn = ++drawn; // tests and benchmark wait for it
      clearTimeout(draw.settle);
      draw.settle = setTimeout(() => model.send({ kind: "settled" }), SETTLED);
    }
  }

  // -- tables and plots

  function table(caption, head, rows) {
    const line = ([first, ...others]) =>
      element("tr", {}, element("th", { scope: "row" }, first), ...others.map((cell) => element("td", {}, cell)));
    const top = element("tr", {}, ...head.map((cell) => element("th", { scope: "col" }, cell)));
    return element("table", {}, element("caption", {}, caption), element("thead", {}, top),
      element("tbody", {}, ...rows.map(line)));
  }

  function showPins() {
    const pins = model.get("pins"), seen = maps.filter((map) => map.values);
    pinned.replaceChildren();
    if (!pins.length) return;
    const head = ["pin", "row", "column", ...seen.map((map) => map.name)];
    const rows = pins.map(([row, col], i) =>
      [i + 1, row, col, ...seen.map((map) => number(valueAt(map, row, col)))].map(String));
    pinned.append(table("Pinned pixels", head, rows));
  }

  function showRegion() {
    const found = model.get("region");
    region.replaceChildren();
    if (!found.rows) return;
    const head = ["map", "unit", "pixels", "mean", "SD", "lowest", "highest"];
    const rows = found.rows.map(([name, unit, pixels, ...rest]) => [name, unit, `${pixels}`, ...rest.map(number)]);
    region.append(table(found.title, head, rows));
  }

  const showPlots = () => plots.replaceChildren(...model.get("plots").map(plot));

  function save() {
    const link = element("a", { download: `${model.get("title")}-region.csv` });
    link.href = URL.createObjectURL(new Blob([model.get("region").csv], { type: "text/csv" }));
    link.click();
    URL.revokeObjectURL(link.href);
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
    });
    made.setAttribute("aria-pressed", String(name === mode));
    return made;
  });
  button("+", "Zoom in", () => zoom(1.5));
  button("−", "Zoom out", () => zoom(1 / 1.5));
  button("all", "Show all", () => zoom(0));
  button("clear pins", "Clear pins", () => pin([]));
  button("clear region", "Clear region", () => send("polygon", []));
  button("region as CSV", "Save the region as CSV", save);

  const choice = element("details", { class: "choice" }, element("summary", {}, "maps shown"));
  tools.append(choice);
  function shown() {
    choice.replaceChildren(choice.firstChild);
    for (const map of maps) {
      const box = element("input", { type: "checkbox" });
      box.checked = !map.figure.hidden;
      box.addEventListener("change", () => {
        map.figure.hidden = !box.checked;
        hidden[box.checked ? "delete" : "add"](map.name);
        measure();
      });
      choice.append(element("label", {}, box, map.name));
    }
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
  const told = element("span", { class: "told" });
  const scale = element("div", { class: "scale", role: "group", "aria-label": "Colour scale" });
  scale.append(edges[0], ramp, edges[1], told);
  tools.append(scale);

  function showScale() {
    const limits = model.get("limits"), context = ramp.getContext("2d"), picture = new ImageData(300, 14);
    const pixels = new Uint32Array(picture.data.buffer);
    for (let i = 0; i < pixels.length; i++) {
      const x = i % 300; // 20 pixels below 0, 260 for 0 to 100, 20 above
      const value = ((x - 20) / 260) * FULL, share = (value - limits[0]) / (limits[1] - limits[0]);
      pixels[i] = x < 20 ? lut[256] : x >= 280 ? lut[257] : lut[Math.max(0, Math.min(255, (share * 255) | 0))];
    }
    context.putImageData(picture, 0, 0);
    edges.forEach((edge, i) => (edge.value = limits[i]));
    told.textContent = `${limits[0]} to ${limits[1]} %; the outer colours are below 0 and above ${FULL}`;
    maps.filter((map) => !map.scale && map.values).forEach((map) => colour(map, lut, limits));
    later();
  }

  // -- mouse and keys

  function pin(pins) {
    send("pins", pins);
  }

  function toggle([row, col]) {
    const pins = model.get("pins"), near = pins.filter(([r, c]) => r !== row || c !== col);
    const inside = row >= 0 && col >= 0 && row < grid().rows && col < grid().cols;
    if (near.length < pins.length) pin(near);
    else if (inside) pin([...pins, [row, col]]);
  }

  function zoom(factor, [row, col] = cursor ?? [view.row, view.col]) {
    const next = factor ? Math.max(1, Math.min(64, view.zoom * factor)) : 1, kept = view.zoom / next;
    view = { row: row + (view.row - row) * kept, col: col + (view.col - col) * kept, zoom: next };
    if (next === 1) view = { row: grid().rows / 2, col: grid().cols / 2, zoom: 1 };
    later();
  }

  function at(event) {
    const map = maps.find((each) => each.canvas === event.target);
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
        view = { ...view, row: press.view.row - y / size(press.map), col: press.view.col - x / size(press.map) };
      else if (press.moved && mode === "rectangle")
        trail = [[row, col], [row, found.col], [found.row, found.col], [found.row, col], [row, col]];
      else if (press.moved) trail = [...(trail ?? [[row, col]]), [found.row, found.col]];
    }
    later();
  });
  panels.addEventListener("pointerup", () => {
    if (press && !press.moved) toggle([Math.floor(press.row), Math.floor(press.col)]);
    else if (trail && trail.length > 2) {
      const corners = mode === "rectangle" ? trail.slice(0, 4) : trail;
      send("polygon", corners.map((corner) => corner.map((value) => Math.round(value * 10) / 10)));
    }
    press = trail = null;
    later();
  });
  for (const left of ["pointerleave", "blur"])
    panels.addEventListener(left, () => {
      if (press) return;
      cursor = null;
      later();
    });
  panels.addEventListener("wheel", (event) => {
    const found = at(event);
    if (!found || !panels.contains(document.activeElement)) return; // the page scrolls until the maps are in use
    event.preventDefault();
    zoom(event.deltaY < 0 ? 1.2 : 1 / 1.2, [found.row, found.col]);
  }, { passive: false });

  panels.addEventListener("keydown", (event) => {
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
      const within = (value, count) => Math.max(0, Math.min(count - 1, value));
      cursor = [within(row + step[0], grid().rows), within(col + step[1], grid().cols)];
      const seen = maps.filter((map) => map.values && !map.figure.hidden);
      const values = seen.map((map) => `${map.name} ${number(valueAt(map, ...cursor))}`);
      said.textContent = `row ${cursor[0]}, column ${cursor[1]}: ${values.join(", ")}`;
    } else if (actions[event.key]) actions[event.key]();
    else return;
    event.preventDefault();
    later();
  });

  // -- listen, and begin

  const renew = () => {
    fresh = true;
    build();
    showPins();
  };
  const patch = (message, buffers) => {
    if (message.kind !== "layer") return;
    model.get("layers")[message.index] = message.layer; // a view made later shows the same
    model.get("images")[message.index] = buffers[0];
    take(message.index, message.layer, buffers[0]);
    fresh = true;
    showPins();
    later();
  };
  const repin = () => (showPins(), later());
  const heard = {
    "change:images": renew, "change:limits": showScale, "change:pins": repin, "change:polygon": later,
    "change:plots": showPlots, "change:region": showRegion, "change:status": later, "msg:custom": patch,
  };
  for (const [name, action] of Object.entries(heard)) model.on(name, action);
  const sizes = new ResizeObserver(() => {
    measure();
    // ipywidgets leaves the handles of its sliders without a name
    for (const slider of el.closest(".widget-vbox")?.querySelectorAll(".widget-slider") ?? [])
      for (const handle of slider.querySelectorAll("[role=slider]"))
        handle.setAttribute("aria-label", slider.querySelector(".widget-label").textContent);
  });
  renew();
  showScale();
  showRegion();
  showPlots();
  sizes.observe(panels);
  return () => {
    sizes.disconnect();
    for (const [name, action] of Object.entries(heard)) model.off(name, action);
  };
}

// ---- a saved page: the state stands in for the kernel

function page(state, el) {
  const binary = (text) => new DataView(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
  const kept = { ...state, lut: binary(state.lut), images: state.images.map(binary) }, actions = {};
  render({
    el,
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
