// The loss painter: paint a map and watch the terms of the loss. They are computed here as hsichem.unet.map_losses does
// (published variant, the whole image is sample). A map has no weights, so its l2 term is 0 whatever is painted.
// scene: truth, visible and hidden (two looks of an unbiased model), noise, losses {name: {term: weight}}.

function losses({ rows, cols, noise }, weights, truth, hidden, map) {
  let [smooth, outside, apart] = [0, 0, 0];
  for (let row = 0; row < rows; row++)
    for (let col = 0; col < cols; col++) {
      const at = row * cols + col, value = map[at];
      if (row + 1 < rows && col + 1 < cols) smooth += (map[at + cols] - value) ** 2 + (map[at + 1] - value) ** 2;
      outside += Math.max(0, -value) ** 2 + Math.max(0, value - 100) ** 2;
      apart += (value - hidden[at]) ** 2;
    }
  const terms = {
    mse: (mean(map) - mean(truth)) ** 2, smoothness: smooth / ((rows - 1) * (cols - 1)), out_of_bounds: outside,
    l2: 0, held_out: apart / (rows * cols) / noise ** 2,
  };
  const found = Object.entries(terms).map(([name, value]) => [name, (weights[name] ?? 0) * value]);
  return Object.fromEntries([...found, ["total", found.reduce((sum, [, value]) => sum + value, 0)]]);
}

const NAMES = {
  mse: "error of the mean", smoothness: "smoothness", out_of_bounds: "out of bounds",
  l2: "size of weights (none)", held_out: "held-out pixels", total: "total",
};

function render({ model, el }) {
  const scene = model.get("scene"), { rows, cols } = scene;
  const [truth, visible, hidden] = ["truth", "visible", "hidden"].map((name) => Array.from(floats(scene[name])));
  const help = "Paint by dragging. Keys: arrows move the brush, space paints, + and − change its value, h takes the " +
    "next loss, f, i, v and t bring a map, r resets.";
  const ui = frame(el, scene, "Can you paint a map that costs less than the truth?", help);
  const names = Object.keys(scene.losses);
  let map = [...truth], chosen = 0, at = [rows >> 1, cols >> 1];
  const told = (value) => `${value} ${scene.unit}`;
  const value = ui.slider("brush value", [-20, 120, 5, 70], ["-", "+"], brush, told);
  const size = ui.slider("brush size", [1, 9, 2, 3], [], brush, (side) => `${side} x ${side}`);
  const bring = (text, key, made) => ui.button(text, key, () => ((map = made()), draw()));
  const middle = mean(truth);
  bring("Flat", "f", () => truth.map(() => middle));
  bring("Inverted", "i", () => truth.map((each) => 2 * middle - each));
  bring("Visible reading", "v", () => [...visible]);
  bring("Truth", "t", () => [...truth]);
  const next = ui.button("", "h", () => ((chosen = (chosen + 1) % names.length), draw()));
  ui.reset(() => ((map = [...truth]), (chosen = 0), (at = [rows >> 1, cols >> 1]), draw()));
  const mine = ui.map("Your map"), right = ui.map("Truth"), secret = ui.map("Reading in the hidden pixels");
  const cursor = element("div", { class: "brush", "aria-hidden": "true" });
  mine.canvas.after(cursor);
  mine.canvas.classList.add("paint");
  ui.panels.classList.add("large"); // a finger paints, too
  ui.scale();

  const cells = {}, table = element("table", {}, element("tr", {}, ...["term of the loss", "weight", "your map", "", "truth"].map(
    (text) => element("th", { scope: "col" }, text))));
  for (const [name, text] of Object.entries(NAMES)) {
    const [own, its] = ["own", "truth"].map((whose) => element("strong", { "data-name": `${whose}-${name}` }));
    const bar = element("meter", { min: 0, max: 5, "aria-label": `${text}, logarithmic` });
    const weight = element("span");
    const row = element("tr", {}, element("th", { scope: "row" }, text),
      ...[weight, own, bar, its].map((each) => element("td", {}, each)));
    cells[name] = { own, its, bar, row, weight };
    table.append(row);
  }
  ui.charts.append(table);

  function brush() {
    const [row, col] = at.map((each) => each - (size.value >> 1)), share = (part, whole) => `${(100 * part) / whole}%`;
    const [top, left] = [Math.max(row, 0), Math.max(col, 0)];
    const { offsetTop, offsetHeight, offsetWidth } = mine.canvas;
    cursor.style.top = `${offsetTop + (top / rows) * offsetHeight}px`;
    cursor.style.left = share(left, cols);
    cursor.style.width = share(Math.min(col + size.value, cols) - left, cols);
    cursor.style.height = `${((Math.min(row + size.value, rows) - top) / rows) * offsetHeight}px`;
  }

  function paint() {
    const half = size.value >> 1;
    for (let row = Math.max(at[0] - half, 0); row <= Math.min(at[0] + half, rows - 1); row++)
      for (let col = Math.max(at[1] - half, 0); col <= Math.min(at[1] + half, cols - 1); col++)
        map[row * cols + col] = value.value;
    draw();
  }

  function draw() {
    const weights = scene.losses[names[chosen]], judged = "held_out" in weights;
    next.textContent = `Loss: ${names[chosen]}`;
    const both = { own: losses(scene, weights, truth, hidden, map), its: losses(scene, weights, truth, hidden, truth) };
    for (const [name, { own, its, bar, row, weight }] of Object.entries(cells)) {
      for (const [output, terms] of [[own, both.own], [its, both.its]]) {
        output.dataset.value = terms[name];
        output.textContent = number(terms[name]);
      }
      bar.value = Math.log10(1 + both.own[name]);
      weight.textContent = weights[name] ?? "";
      row.hidden = name === "held_out" && !judged;
    }
    const [own, its] = [both.own.total, both.its.total], near = Math.abs(own - its) < 1e-6 * its;
    const verdict = near ? "as much as the truth" : own < its ? "less than the truth: you beat it" : "more than the truth";
    ui.say(`Your map costs ${number(own)}, ${verdict}${near ? "" : ` (${number(its)})`}.`);
    secret.canvas.parentElement.hidden = !judged;
    mine.draw(map, `mean ${number(mean(map))}, total loss ${number(own)}`);
    right.draw(truth, `mean ${number(middle)}, total loss ${number(its)}`);
    secret.draw(hidden, `noise ${number(scene.noise)} ${scene.unit}`);
    brush();
  }

  const move = (down, across) => () => {
    at = [Math.max(0, Math.min(rows - 1, at[0] + down)), Math.max(0, Math.min(cols - 1, at[1] + across))];
    brush();
  };
  Object.assign(ui.keys, { ArrowUp: move(-1, 0), ArrowDown: move(1, 0), ArrowLeft: move(0, -1), ArrowRight: move(0, 1), " ": paint });
  const drag = (event) => {
    const { clientWidth, clientHeight } = mine.canvas;
    at = [Math.floor((event.offsetY / clientHeight) * rows), Math.floor((event.offsetX / clientWidth) * cols)];
    move(0, 0)();
    if (event.buttons & 1) paint();
  };
  mine.canvas.addEventListener("pointerdown", (event) => (mine.canvas.setPointerCapture(event.pointerId), drag(event)));
  mine.canvas.addEventListener("pointermove", drag);
  const sizes = new ResizeObserver(brush);
  sizes.observe(mine.canvas);
  draw();
  return () => sizes.disconnect();
}
export default { render };
