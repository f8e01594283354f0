// What is drawn beside the maps: line plots as SVG, and tables.

const WIDTH = 300, HEIGHT = 172, LEFT = 56, BOTTOM = 36, TOP = 8, RIGHT = 15; // of a plot, in its own units

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
  const size = Math.abs(value);
  return size >= 10 ? value.toFixed(1) : size >= 0.1 ? value.toFixed(2) : value ? value.toPrecision(2) : "0";
};

// The largest of 1, 2, 5 times a power of ten that is not above `most`.
function roundLength(most) {
  const power = 10 ** Math.floor(Math.log10(most));
  return power * [5, 2, 1].find((n) => n * power <= most);
}

function ticks(low, high, count = 4) {
  const step = roundLength((high - low) / count) || 1, found = [];
  for (let at = Math.ceil(low / step) * step; at <= high + step * 1e-6; at += step) found.push(at);
  const digits = Math.max(0, -Math.floor(Math.log10(step)));
  return found.map((at) => [at, at.toFixed(digits)]);
}

function extent(values, pad) {
  let low = Infinity, high = -Infinity;
  for (const value of values)
    if (Number.isFinite(value)) [low, high] = [Math.min(low, value), Math.max(high, value)];
  if (!(low < high)) [low, high] = low === high ? [low - 0.5, low + 0.5] : [0, 1];
  return [low - pad * (high - low), high + pad * (high - low)];
}

// spec: see answers.py; key: what the key names, where that is not the series. marker: where a line stands upright; hull: [low, high] that the y axis holds in any case;
// choose: called with the value of x under a click.
function plot(spec, { marker, hull = [], choose } = {}) {
  const [x0, x1] = extent(spec.series.flatMap((line) => line.x), 0);
  const [y0, y1] = extent([...spec.series.flatMap((line) => line.y), ...hull], 0.05);
  const x = (value) => LEFT + ((value - x0) / (x1 - x0)) * (WIDTH - LEFT - RIGHT);
  const y = (value) => HEIGHT - BOTTOM - ((value - y0) / (y1 - y0)) * (HEIGHT - BOTTOM - TOP);
  const middle = (TOP + HEIGHT - BOTTOM) / 2, tall = HEIGHT - BOTTOM - TOP;
  const svg = drawing("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": spec.summary });
  const upright = (at, look) => drawing("line", { x1: x(at), x2: x(at), y1: TOP, y2: HEIGHT - BOTTOM, class: look });
  for (const [from, to] of spec.shaded)
    svg.append(drawing("rect", { x: x(from), y: TOP, width: x(to) - x(from), height: tall, class: "shaded" }));
  for (const [at, text] of ticks(x0, x1)) {
    svg.append(upright(at, "grid"));
    svg.append(drawing("text", { x: x(at), y: HEIGHT - BOTTOM + 13, "text-anchor": "middle" }, text));
  }
  for (const [at, text] of ticks(y0, y1, 3)) {
    svg.append(drawing("line", { x1: LEFT, x2: WIDTH - RIGHT, y1: y(at), y2: y(at), class: "grid" }));
    svg.append(drawing("text", { x: LEFT - 4, y: y(at) + 4, "text-anchor": "end" }, text));
  }
  svg.append(drawing("text", { x: (LEFT + WIDTH - RIGHT) / 2, y: HEIGHT - 4, "text-anchor": "middle" }, spec.xlabel));
  const turned = { x: 11, y: middle, "text-anchor": "middle", transform: `rotate(-90 11 ${middle})` };
  svg.append(drawing("text", turned, spec.ylabel));
  if (marker !== undefined) svg.append(upright(marker, "marker"));
  for (const line of spec.series) {
    const stroke = line.colour ?? "currentColor";
    const points = line.x.map((at, i) => [at, line.y[i]]).filter(([, value]) => Number.isFinite(value));
    const path = points.map(([a, b]) => `${x(a).toFixed(1)},${y(b).toFixed(1)}`);
    const round = { "stroke-width": points.length > 500 ? 1.5 : 4.4, "stroke-linecap": "round" };
    // dots are strokes of no length: one element, however many there are
    if (line.dots) svg.append(drawing("path", { d: path.map((at) => `M${at}h0`).join(""), stroke, ...round }));
    else svg.append(drawing("polyline", { points: path.join(" "), stroke, "stroke-dasharray": line.dash ?? "none" }));
  }
  if (choose) {
    svg.classList.add("choose");
    svg.append(drawing("title", {}, "Click to choose the band"));
    svg.addEventListener("click", (event) => {
      const box = svg.getBoundingClientRect(), at = ((event.clientX - box.left) / box.width) * WIDTH;
      choose(x0 + ((at - LEFT) / (WIDTH - LEFT - RIGHT)) * (x1 - x0));
    });
  }
  const key = element("figcaption", {}, element("b", {}, spec.title), ` ${spec.note ?? ""}`);
  for (const line of spec.key ?? spec.series) key.append(element("span", {}, swatch(line), line.name));
  return element("figure", { "data-plot": spec.title }, key, svg);
}

// How a line looks, for a key.
function swatch({ dots, dash, colour }) {
  const svg = drawing("svg", { viewBox: "0 0 24 6", class: "swatch", "aria-hidden": "true" });
  const look = dots ? { "stroke-dasharray": "0 7", "stroke-linecap": "round", "stroke-width": 4 } : { "stroke-dasharray": dash ?? "none" };
  svg.append(drawing("polyline", { points: "2,3 24,3", stroke: colour ?? "currentColor", ...look }));
  return svg;
}

function table(caption, head, rows) {
  const line = ([first, ...others]) =>
    element("tr", {}, element("th", { scope: "row" }, first), ...others.map((cell) => element("td", {}, cell)));
  const top = element("tr", {}, ...head.map((cell) => element("th", { scope: "col" }, cell)));
  return element("table", {}, element("caption", {}, caption), element("thead", {}, top),
    element("tbody", {}, ...rows.map(line)));
}
