// What the moving pictures share: a frame with its question, controls with keys, maps on canvases, charts, readings.
// Python puts this text before that of each picture. Every number on screen is in an element's data-value, unrounded.

const element = (name, attributes = {}, ...children) => {
  const svg = ["svg", "line", "rect", "text", "circle", "polyline"].includes(name);
  const made = svg ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
};
// Buffers arrive at any byte offset, a Float32Array needs a multiple of four: so copy.
const floats = (view) => new Float32Array(view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength));
const cut = (all, count) => Array.from({ length: all.length / count }, (_, k) => all.subarray(k * count, (k + 1) * count));
const number = (value) => {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value), text = size >= 100 ? value.toFixed(0) : size >= 10 ? value.toFixed(1) : value.toFixed(2);
  return Number(text) === 0 ? text.replace("-", "") : text.replace("-", "−");
};
// Of what lies in the sample: NaN is outside.
const inside = (values) => values.filter((value) => value === value);
const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
const spread = (values, middle = mean(values)) => Math.sqrt(mean(Array.from(values, (value) => (value - middle) ** 2)));
const distance = (one, other) => Math.sqrt(mean(inside(Array.from(one, (value, i) => (value - other[i]) ** 2))));

function frame(el, scene, question, help) {
  const part = (name, attributes = {}) => element("div", { class: name, ...attributes });
  const root = part("hsichem-moving", {
    tabindex: "0", role: "group", "aria-label": `${question} ${help}`,
    "data-lm-suppress-shortcuts": "true", // else JupyterLab takes the arrow keys
  });
  const [tools, panels, readings, charts] = ["tools", "panels", "readings", "charts"].map((name) => part(name));
  const said = part("said", { role: "status" }), keys = {}, starts = [];
  const lut = new Uint32Array(floats(scene.lut).buffer), [low, high] = scene.limits ?? []; // of bars there is no map
  root.append(element("b", {}, question), tools, panels, readings, charts, said, element("small", {}, help));
  el.append(root);
  root.addEventListener("keydown", (event) => {
    const own = event.target !== root && (event.target.type === "range" ? event.key.startsWith("Arrow") :
      event.target.type === "button" && [" ", "Enter"].includes(event.key));
    if (own || event.ctrlKey || event.metaKey || event.altKey || !keys[event.key]) return;
    keys[event.key]();
    event.preventDefault();
  });

  const ui = { root, tools, panels, readings, charts, keys, say: (text) => (said.textContent = text) };
  ui.button = (text, key, action) => {
    const made = element("button", { type: "button" }, text);
    made.addEventListener("click", action);
    keys[key] = action;
    tools.append(made);
    return made;
  };
  // A slider that keeps its value; [less, more] are the keys that move it. Reset brings it back to where it began.
  ui.slider = (label, [least, most, step, start], [less, more], changed, told = String) => {
    const range = element("input", { type: "range", min: least, max: most, step, "aria-label": label });
    const output = element("strong");
    const slider = {
      set(value) {
        range.value = Math.max(least, Math.min(most, value));
        slider.value = Number(range.value);
        output.textContent = told(slider.value);
        range.setAttribute("aria-valuetext", output.textContent);
      },
    };
    const go = (value) => (slider.set(value), changed());
    range.addEventListener("input", () => go(Number(range.value)));
    if (less) keys[less] = () => go(slider.value - step);
    if (more) keys[more] = () => go(slider.value + step);
    starts.push(() => slider.set(start));
    slider.set(start);
    tools.append(element("label", {}, label, range, output));
    return slider;
  };
  // Frames 0 to count - 1 in a loop while playing; on_frame() draws the one at slider.value - 1.
  ui.player = (label, count, pause, changed, told) => {
    let timer = 0;
    const stop = () => (clearInterval(timer), (timer = 0), (play.textContent = "Play"));
    const play = ui.button("Play", " ", () => {
      if (timer) return stop();
      timer = setInterval(() => (slider.set((slider.value % count) + 1), changed()), pause);
      play.textContent = "Pause";
    });
    const slider = ui.slider(label, [1, count, 1, 1], ["ArrowLeft", "ArrowRight"], () => (stop(), changed()), told);
    starts.push(stop);
    ui.stop = stop;
    return slider;
  };
  ui.reset = (changed) => ui.button("Reset", "r", () => (starts.forEach((start) => start()), changed()));
  ui.map = (title) => {
    const canvas = element("canvas", { role: "img", width: scene.cols, height: scene.rows });
    const caption = element("figcaption", {}, title);
    panels.append(element("figure", {}, caption, canvas));
    return { canvas, caption, draw(values, told) {
      const picture = new ImageData(scene.cols, scene.rows), out = new Uint32Array(picture.data.buffer);
      values.forEach((value, i) => {
        if (value !== value) return; // transparent: the page's own background
        const step = Math.max(0, Math.min(255, ((value - low) * (255 / (high - low))) | 0));
        out[i] = lut[value < low ? 256 : value > high ? 257 : step];
      });
      canvas.getContext("2d").putImageData(picture, 0, 0);
      canvas.setAttribute("aria-label", `${caption.textContent}: ${told}`);
    } };
  };
  ui.scale = () => { // the colour bar: below, 256 steps, above
    const ramp = element("canvas", { width: 288, height: 1, "aria-hidden": "true" }), picture = new ImageData(288, 1);
    new Uint32Array(picture.data.buffer).forEach((_, i, out) => (out[i] = lut[i < 16 ? 256 : i > 271 ? 257 : i - 16]));
    ramp.getContext("2d").putImageData(picture, 0, 0);
    const ends = element("div", { class: "ends" }, ...[low, (low + high) / 2, high].map((at) => element("span", {}, at)));
    const text = `${scene.label} (${scene.unit}); sky blue: below ${low}, orange-red: above ${high}`;
    panels.after(element("div", { class: "scale" }, ramp, ends, element("small", {}, text)));
  };
  ui.reading = (name, label, unit = scene.unit) => {
    const output = element("strong", { "data-name": name }); // an <output> would be read aloud at each frame
    readings.append(element("div", {}, label, output));
    return (value, text = `${number(value)} ${unit}`) => {
      output.textContent = text;
      output.dataset.value = value;
    };
  };
  return ui;
}

// An SVG with axes. x, y: [from, to]; log: y is logarithmic; marks: elements made with the chart's own x() and y().
function chart(place, { x: [x0, x1], y: [y0, y1], log, xlabel, ylabel, told, marks, height = 190 }) {
  const [width, left, bottom, top, right] = [360, 50, 36, 8, 10], level = (value) => (log ? Math.log10(value) : value);
  const x = (value) => left + ((value - x0) / (x1 - x0)) * (width - left - right);
  const y = (value) => height - bottom - ((level(value) - level(y0)) / (level(y1) - level(y0))) * (height - bottom - top);
  const svg = element("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": told });
  const steps = (low, high, count) => {
    const size = (high - low) / count, power = 10 ** Math.floor(Math.log10(size));
    const step = power * [1, 2, 5, 10].find((n) => n * power >= size), first = Math.ceil(low / step - 1e-9) * step;
    return Array.from({ length: Math.floor((high - first) / step + 1e-9) + 1 }, (_, i) => Number((first + i * step).toFixed(9)));
  };
  const digits = [1, 2, 5].flatMap((digit) => [-3, -2, -1, 0, 1, 2, 3, 4].map((power) => Number(`${digit}e${power}`)));
  const decades = digits.filter((at) => at >= y0 && at <= y1 && (y1 / y0 < 50 || /^0?[.0]*1/.test(at)));
  for (const at of ylabel ? (log ? decades : steps(y0, y1, 4)) : [])
    svg.append(element("line", { x1: left, x2: width - right, y1: y(at), y2: y(at), class: "grid" }),
      element("text", { x: left - 4, y: y(at) + 4, "text-anchor": "end" }, at));
  for (const at of steps(x0, x1, 5))
    svg.append(element("line", { x1: x(at), x2: x(at), y1: top, y2: height - bottom, class: "grid" }),
      element("text", { x: x(at), y: height - bottom + 13, "text-anchor": "middle" }, at));
  const middle = (top + height - bottom) / 2, turned = `rotate(-90 11 ${middle})`;
  svg.append(element("text", { x: (left + width - right) / 2, y: height - 4, "text-anchor": "middle" }, xlabel),
    element("text", { x: 11, y: middle, "text-anchor": "middle", transform: turned }, ylabel ?? ""));
  const line = (points, stroke, dash = "none") => element("polyline", {
    points: points.map(([a, b]) => `${x(a).toFixed(1)},${y(b).toFixed(1)}`).join(" "), stroke, "stroke-dasharray": dash,
  });
  const dot = ([a, b], fill, r = 2.5) => element("circle", { cx: x(a), cy: y(b), r, fill });
  svg.append(...marks({ x, y, line, dot }).flat());
  place.replaceChildren(svg);
}
