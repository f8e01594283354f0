// Draws the figures of sweep.html: one metric against one swept parameter, a panel for each combination of the others.
"use strict";
const { labels, places, numbers, metrics, first, quantiles } =
  JSON.parse(document.getElementById("state").textContent);
const SEED = "seed";
const WIDTH = 320, HEIGHT = 240, LEFT = 62, RIGHT = 12, TOP = 10, BOTTOM = 44;
const metric = document.getElementById("metric"), against = document.getElementById("against");

function add(parent, name, attributes = {}, text = "") {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.textContent = text;
  return parent.appendChild(made);
}

/** Five or so round numbers that enclose all values. */
function ticks(values) {
  let low = Math.min(...values), high = Math.max(...values);
  if (low === high) [low, high] = [low - (Math.abs(low) || 1) / 10, high + (Math.abs(high) || 1) / 10];
  const power = 10 ** Math.floor(Math.log10((high - low) / 4));
  const step = power * [1, 2, 5, 10].find(digit => digit * power * 5 >= high - low);
  const found = [];
  for (let k = Math.floor(low / step); k <= Math.ceil(high / step); k++) found.push(Number((k * step).toPrecision(12)));
  return found;
}

/** Mean and half of its interval, NaN below three values. */
function summary(values) {
  const n = values.length, mean = values.reduce((sum, value) => sum + value, 0) / n;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (n - 1);
  return [mean, n < 3 ? NaN : quantiles[n] * Math.sqrt(variance / n)];
}

/** Title of a panel -> place on the axis -> values of its runs. */
function grouped(values, parameter) {
  const panels = new Map(), others = Object.keys(labels).filter(name => name !== parameter && name !== SEED);
  values.forEach((value, run) => {
    if (value === null) return;
    const title = others.map(name => `${name} = ${labels[name][places[name][run]]}`).join(", ");
    if (!panels.has(title)) panels.set(title, new Map());
    const panel = panels.get(title), place = places[parameter][run];
    panel.set(place, [...(panel.get(place) ?? []), value]);
  });
  return panels;
}

function drawPanel(title, groups, parameter, marks) {
  const figure = document.createElement("figure"), caption = document.createElement("figcaption");
  caption.textContent = title;
  const svg = add(figure, "svg", { width: WIDTH, height: HEIGHT, viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img" });
  svg.setAttribute("aria-label", `${metric.value} against ${parameter} ${title}`);
  const names = labels[parameter], wide = (WIDTH - LEFT - RIGHT) / names.length;
  const x = place => LEFT + wide * (place + 0.5);
  const y = value => HEIGHT - BOTTOM - (value - marks[0]) / (marks.at(-1) - marks[0]) * (HEIGHT - TOP - BOTTOM);
  for (const mark of marks) {
    add(svg, "line", { x1: LEFT, x2: WIDTH - RIGHT, y1: y(mark), y2: y(mark), class: "grid" });
    add(svg, "text", { x: LEFT - 6, y: y(mark) + 4, "text-anchor": "end" }, String(mark));
  }
  add(svg, "path", { d: `M${LEFT} ${TOP} V${HEIGHT - BOTTOM} H${WIDTH - RIGHT}`, class: "axis" });
  const every = Math.ceil(Math.max(...names.map(name => name.length)) * 7 / wide);  // labels must not overlap
  names.forEach((name, place) => {
    if (place % every === 0) {
      add(svg, "text", { x: x(place), y: HEIGHT - BOTTOM + 16, "text-anchor": "middle" }, name);
    }
  });
  add(svg, "text", { x: (LEFT + WIDTH) / 2, y: HEIGHT - 8, "text-anchor": "middle" }, parameter);
  const means = [];
  for (const place of [...groups.keys()].sort((a, b) => a - b)) {
    const [mean, half] = summary(groups.get(place));
    for (const value of groups.get(place)) {
      add(svg, "circle", { cx: x(place) - 5, cy: y(value), r: 3, class: "run" });
    }
    if (parameter === SEED) continue;
    if (half) add(svg, "path", { d: `M${x(place) + 5} ${y(mean - half)} V${y(mean + half)}`, class: "mean" });
    add(svg, "circle", { cx: x(place) + 5, cy: y(mean), r: 3, class: "mean" });
    means.push(`${x(place) + 5} ${y(mean)}`);
  }
  // a line says that something lies between two values
  if (numbers[parameter] && means.length) add(svg, "path", { d: `M${means.join(" L")}`, class: "mean" });
  figure.prepend(caption);
  return figure;
}

function draw() {
  const values = metrics[metric.value], parameter = against.value, panels = grouped(values, parameter);
  const all = [...panels.values()].flatMap(groups => [...groups.values()]);
  const ends = parameter === SEED ? [] : all.map(summary).filter(([, half]) => half >= 0)
    .flatMap(([mean, half]) => [mean - half, mean + half]);
  const marks = ticks([...all.flat(), ...ends]);
  document.getElementById("panels").replaceChildren(
    ...[...panels].map(([title, groups]) => drawPanel(title, groups, parameter, marks)));
  document.getElementById("shown").textContent = metric.value;
  document.querySelectorAll("td.figure").forEach((cell, run) => {
    cell.textContent = values[run] === null ? "-" : Number(values[run].toPrecision(5));
  });
}

function fill(select, names, chosen) {
  select.replaceChildren(...names.map(name => new Option(name, name, false, name === chosen)));
  select.addEventListener("change", draw);
}

if (metric) {
  fill(metric, Object.keys(metrics), first);
  fill(against, Object.keys(labels), Object.keys(labels).find(name => name !== SEED));
  draw();
}
