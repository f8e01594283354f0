// The film of a training: the map after each epoch, beside the curves of the loss.
// scene: maps (one an epoch), epochs, curves {name: values}, colours, truth or null.

function render({ model, el }) {
  const scene = model.get("scene"), maps = cut(floats(scene.maps), scene.rows * scene.cols), { epochs } = scene;
  const truth = scene.truth && floats(scene.truth), count = maps.length;
  const help = "Keys: space plays, left and right step by a frame, r resets.";
  const ui = frame(el, scene, "When does the map become right, and does the error of the mean say so?", help);
  const at = ui.player("frame", count, 150, draw, (value) => `epoch ${epochs[value - 1]}`);
  ui.reset(draw);
  const film = ui.map("Map"), right = truth && ui.map("Truth");
  ui.scale();
  const middles = maps.map((map) => mean(inside(map))), contrasts = maps.map((map) => spread(inside(map)));
  const read = { mean: ui.reading("mean", "mean of the map"), contrast: ui.reading("contrast", "spread of its pixels") };
  const curves = { ...scene.curves };
  if (truth) {
    read.error = ui.reading("error", "error of a pixel");
    curves[`error of a pixel (${scene.unit})`] = maps.map((map) => distance(map, truth));
  }
  const errors = Object.values(curves).at(-1);
  const seen = Object.values(curves).flat().filter((value) => value > 0); // a logarithm has no place for 0
  const limits = [Math.min(...seen) / 1.2, Math.max(...seen) * 1.2];
  const place = element("div"), key = element("div", { class: "key" });
  Object.keys(curves).forEach((name, k) => {
    const mark = element("i", { "aria-hidden": "true" });
    mark.style.borderTop = `3px ${k < 3 ? "solid" : "dashed"} ${scene.colours[k]}`;
    key.append(element("span", {}, mark, name));
  });
  ui.charts.append(element("div", {}, place, key));

  function draw() {
    const k = at.value - 1, told = `mean ${number(middles[k])}, pixels spread by ${number(contrasts[k])} ${scene.unit}`;
    film.caption.textContent = `Map after epoch ${epochs[k]}`;
    film.draw(maps[k], told);
    read.mean(middles[k]);
    read.contrast(contrasts[k]);
    if (truth) {
      right.draw(truth, `pixels spread by ${number(spread(inside(truth)))} ${scene.unit}`);
      read.error(errors[k]);
    }
    chart(place, {
      x: [1, Math.max(count, 2)], y: limits, log: true, xlabel: "epoch", ylabel: "error, logarithmic",
      told: `${Object.keys(curves).join(", ")} by epoch; the line is at epoch ${epochs[k]}`,
      marks: ({ x, y, line }) => [
        element("line", { x1: x(epochs[k]), x2: x(epochs[k]), y1: y(limits[0]), y2: y(limits[1]), class: "now", stroke: "currentColor" }),
        ...Object.values(curves).map((values, i) => line(values.map((value, j) => [epochs[j], value]).filter(
          ([, value]) => value > 0), scene.colours[i], i < 3 ? "none" : "5 3")),
      ],
    });
  }
  draw();
  return ui.stop;
}
export default { render };
