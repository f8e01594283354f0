// One belly exposed again and again: what changes from one exposure to the next is noise, what stays is not.
// scene: maps of `count` exposures, truth or null, and the noise, which is in a figure of its own.

function render({ model, el }) {
  const scene = model.get("scene"), maps = cut(floats(scene.maps), scene.rows * scene.cols);
  const truth = scene.truth && floats(scene.truth), count = maps.length;
  const help = "Keys: space plays, left and right choose the exposure, up and down how many are averaged, r resets.";
  const ui = frame(el, scene, "What in this map is noise?", help);

  const shot = ui.player("exposure", count, 250, draw, (value) => `${value} of ${count}`);
  const averaged = ui.slider("averaged", [1, count, 1, count], ["ArrowDown", "ArrowUp"], draw, (value) => `${value}`);
  ui.reset(draw);
  const one = ui.map(""), many = ui.map(""), right = truth && ui.map("Truth");
  ui.scale();
  const read = {
    noise: ui.reading("noise", "noise of one exposure"),
    left: ui.reading("left", "noise left in the mean"),
    spread: ui.reading("spread", "spread of the mean's pixels"),
  };
  if (truth) {
    read.one = ui.reading("error-one", "error of this exposure");
    read.many = ui.reading("error-mean", "error of the mean");
    read.stays = ui.reading("stays", "error that stays, however many");
  }

  // The variance between the exposures, n - 1 below, mean over the pixels.
  const middle = average(count);
  const between = mean(maps.map((map) => distance(map, middle) ** 2)) * (count / (count - 1));
  const noise = Math.sqrt(between);
  const errors = truth ? maps.map((map) => distance(map, truth)) : [];

  function average(first) {
    return maps[0].map((_, i) => mean(maps.slice(0, first).map((map) => map[i])));
  }

  function draw() {
    const shown = maps[shot.value - 1], mixed = average(averaged.value);
    many.caption.textContent = averaged.value === 1 ? "Exposure 1" : `Mean of 1 to ${averaged.value}`;
    one.caption.textContent = `Exposure ${shot.value}`;
    one.draw(shown, `pixels spread by ${number(spread(inside(shown)))} ${scene.unit}`);
    many.draw(mixed, `pixels spread by ${number(spread(inside(mixed)))} ${scene.unit}`);
    read.noise(noise);
    read.left(noise / Math.sqrt(averaged.value));
    read.spread(spread(inside(mixed)));
    if (!truth) return;
    right.draw(truth, `pixels spread by ${number(spread(inside(truth)))} ${scene.unit}`);
    read.one(errors[shot.value - 1]);
    read.many(distance(mixed, truth));
    read.stays(Math.sqrt(Math.max(0, mean(errors.map((error) => error ** 2)) - between)));
  }
  draw();
  return ui.stop;
}
export default { render };
