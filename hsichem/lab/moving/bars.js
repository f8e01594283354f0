// A pixel's noise, added band by band: each bar is b_j dx_j and stands on the sum of those before it.
// scene: nm, edges of the bands, b, noise (pixels x bands), contrast (bands): what the model should tell apart.

function render({ model, el }) {
  const scene = model.get("scene"), { nm, edges, b } = scene, bands = nm.length, [orange, blue] = scene.colours;
  const parts = cut(floats(scene.noise), bands).map((dx) => Array.from(dx, (value, j) => b[j] * value));
  const kept = floats(scene.contrast).map((value, j) => b[j] * value), count = parts.length;
  const help = "Click or drag over bands to switch them. Keys: left and right choose a band, space switches it, up and " +
    "down move the limit, n takes another pixel, r resets.";
  const ui = frame(el, scene, "Which bands make a pixel noisy, and can they be left out?", help);
  let pixel = 0, on = Array(bands).fill(true), band = bands - 1;
  const limit = ui.slider("last band", [0, bands - 1, 1, bands - 1], ["ArrowDown", "ArrowUp"],
    () => ((on = nm.map((_, j) => j <= limit.value)), draw()), (value) => `${nm[value].toFixed(0)} nm`);
  ui.button("Other pixel", "n", () => ((pixel = (pixel + 1) % count), draw()));
  ui.reset(() => ((pixel = 0), (on = Array(bands).fill(true)), (band = bands - 1), draw()));
  const read = {
    sum: ui.reading("sum", "noise of this pixel"),
    sd: ui.reading("sd", `noise, standard deviation of ${count} pixels`),
    kept: ui.reading("kept", scene.told),
  };
  const place = element("div");
  ui.charts.append(place);

  const added = (values) => values.reduce((sum, value, j) => sum + (on[j] ? value : 0), 0);
  const runs = parts.map((each) => each.map(((sum) => (value) => (sum += value))(0))); // with all bands: a still axis
  const highest = runs.map((run) => Math.max(...run.map(Math.abs)));
  let axis;

  function draw() {
    const sum = added(parts[pixel]), sd = Math.sqrt(mean(parts.map((each) => added(each) ** 2)));
    read.sum(sum, `${sum > 0 ? "+" : ""}${number(sum)} ${scene.unit}`);
    read.sd(sd);
    read.kept(added(kept));
    const span = 1.15 * highest[pixel];
    chart(place, {
      x: [edges[0], edges[bands]], y: [-span, span], height: 230, xlabel: "wavelength (nm); orange adds, blue takes away", ylabel: `noise, added up (${scene.unit})`,
      told: `${on.filter(Boolean).length} of ${bands} bands on; they add up to ${number(sum)} ${scene.unit} in this pixel`,
      marks: ({ x, y, line }) => {
        axis = x;
        let at = 0;
        const bars = parts[pixel].map((value, j) => {
          const from = at, look = { x: x(edges[j]), width: Math.max(x(edges[j + 1]) - x(edges[j]) - 0.4, 0.8), "data-band": j };
          if (!on[j]) return element("rect", { ...look, y: y(at) - 1, height: 2, fill: "#888" });
          at += value;
          const [top, height] = [y(Math.max(from, at)), Math.max(Math.abs(y(at) - y(from)), 1)];
          return element("rect", { ...look, y: top, height, fill: value > 0 ? orange : blue });
        });
        const middle = x((edges[band] + edges[band + 1]) / 2);
        return [
          line([[edges[0], 0], [edges[bands], 0]], "currentColor"), bars,
          line([[edges[0], sum], [edges[bands], sum]], "currentColor", "4 3"),
          element("text", { x: middle, y: y(-span) - 2, "text-anchor": "middle" }, "▲"),
        ];
      },
    });
    ui.say(`${nm[band].toFixed(0)} nm is ${on[band] ? "on" : "off"}.`);
  }

  const move = (step) => () => ((band = Math.max(0, Math.min(bands - 1, band + step))), draw());
  const turn = () => ((on[band] = !on[band]), draw());
  Object.assign(ui.keys, { ArrowLeft: move(-1), ArrowRight: move(1), " ": turn });
  let wanted = null; // while dragging: what the bands become
  const under = (event) => {
    const box = place.firstChild.getBoundingClientRect(), at = ((event.clientX - box.left) / box.width) * 360;
    return nm.findIndex((_, j) => axis(edges[j]) <= at && at < axis(edges[j + 1]));
  };
  place.addEventListener("pointerdown", (event) => {
    if (under(event) < 0) return;
    wanted = !on[(band = under(event))];
    place.setPointerCapture(event.pointerId);
    turn();
  });
  place.addEventListener("pointermove", (event) => {
    const over = under(event);
    if (wanted === null || over < 0 || on[over] === wanted) return;
    on[(band = over)] = wanted;
    draw();
  });
  for (const end of ["pointerup", "pointercancel"]) place.addEventListener(end, () => (wanted = null));
  draw();
}
export default { render };
