// A forged share: white noise, blurred, with the truth's mean and spread. The spatially correlated share rises to 100 %,
// the correlation with the truth does not. Nothing is taken from a table: blur, variogram and fit are computed here, as
// scipy.ndimage.gaussian_filter, hsichem.maps.semivariogram and fit_variogram (spherical) do.
// scene: truth (NaN outside the sample), noises (draws of white noise), maxLag in pixels.

function gaussian(values, rows, cols, sigma) {
  const reach = Math.floor(4 * sigma + 0.5); // scipy's: 4 sigma, edges mirrored with the edge pixel repeated
  if (!reach) return Float64Array.from(values);
  const kernel = Array.from({ length: 2 * reach + 1 }, (_, k) => Math.exp(-0.5 * ((k - reach) / sigma) ** 2));
  const total = kernel.reduce((a, b) => a + b);
  const mirrored = (i, n) => ((i = ((i % (2 * n)) + 2 * n) % (2 * n)), i < n ? i : 2 * n - 1 - i);
  const along = (from, n, step, count, stride) => {
    const to = new Float64Array(from.length);
    const index = Array.from({ length: n + 2 * reach }, (_, i) => mirrored(i - reach, n) * step);
    for (let line = 0; line < count; line++)
      for (let i = 0; i < n; i++) {
        let sum = 0;
        for (let k = 0; k < kernel.length; k++) sum += kernel[k] * from[line * stride + index[i + k]];
        to[line * stride + i * step] = sum / total;
      }
    return to;
  };
  return along(along(values, rows, cols, cols, 1), cols, 1, rows, cols);
}

function variogram(values, rows, cols, maxLag) {
  const pairs = new Float64Array(maxLag), sums = new Float64Array(maxLag);
  for (let down = 0; down <= maxLag; down++)
    for (let across = down ? -maxLag : 1; across <= maxLag; across++) {
      const lag = Math.round(Math.hypot(down, across)) - 1;
      if (lag >= maxLag) continue;
      for (let row = 0; row + down < rows; row++)
        for (let col = Math.max(0, -across); col < Math.min(cols, cols - across); col++) {
          const step = values[(row + down) * cols + col + across] - values[row * cols + col];
          if (step === step) (pairs[lag]++, (sums[lag] += (step * step) / 2));
        }
    }
  const all = Array.from(pairs, (count, k) => ({ lag: k + 1, gamma: sums[k] / count, pairs: count }));
  return all.filter((point) => point.pairs);
}

const spherical = (x) => (x < 1 ? 1.5 * x - 0.5 * x ** 3 : 1);

function fit(points) {
  // Weighted least squares; nugget and sill not negative follow from the range, so only the range is searched.
  const solve = (range) => {
    let [w, wg, wgg, ws, wss, wsg] = [0, 0, 0, 0, 0, 0];
    for (const { lag, gamma, pairs } of points) {
      const s = spherical(lag / range);
      (w += pairs), (wg += pairs * gamma), (wgg += pairs * gamma ** 2);
      (ws += pairs * s), (wss += pairs * s * s), (wsg += pairs * s * gamma);
    }
    const determinant = w * wss - ws * ws;
    let nugget = (wg * wss - wsg * ws) / determinant, sill = (wsg * w - wg * ws) / determinant;
    if (!(nugget >= 0)) [nugget, sill] = [0, wsg / wss];
    else if (!(sill >= 0)) [nugget, sill] = [wg / w, 0];
    const misfit = wgg + nugget ** 2 * w + sill ** 2 * wss + 2 * (nugget * sill * ws - nugget * wg - sill * wsg);
    return { nugget, sill, range, misfit, share: sill / (nugget + sill) };
  };
  const [low, high] = [2 * points[0].lag, points.at(-1).lag], ratio = (Math.sqrt(5) - 1) / 2;
  const grid = Array.from({ length: 20 }, (_, k) => Math.log(low) + (k * Math.log(high / low)) / 19);
  const tried = grid.map((at) => solve(Math.exp(at)).misfit), best = tried.indexOf(Math.min(...tried));
  let [a, b] = [grid[Math.max(best - 1, 0)], grid[Math.min(best + 1, 19)]];
  while (b - a > 1e-7) {
    const [c, d] = [b - ratio * (b - a), a + ratio * (b - a)];
    if (solve(Math.exp(c)).misfit < solve(Math.exp(d)).misfit) b = d;
    else a = c;
  }
  const found = solve(Math.exp((a + b) / 2));
  return found.misfit <= tried[best] ? found : solve(Math.exp(grid[best]));
}

function render({ model, el }) {
  const scene = model.get("scene"), { rows, cols, maxLag } = scene, truth = floats(scene.truth);
  const noises = cut(floats(scene.noises), rows * cols), known = inside(truth);
  const [middle, wanted] = [mean(known), spread(known)];
  const help = "Keys: left and right change the blur, n takes other noise, r resets.";
  const ui = frame(el, scene, "Does a high correlated share mean that a map is right?", help);
  const blur = ui.slider("blur", [0, 4, 0.1, 0], ["ArrowLeft", "ArrowRight"], draw, (value) => `${value} pixels`);
  let draws = 0;
  ui.button("Other noise", "n", () => ((draws = (draws + 1) % noises.length), draw()));
  ui.reset(() => ((draws = 0), draw()));
  const forged = ui.map("Forged"), right = ui.map("Truth");
  ui.scale();
  const read = {
    share: ui.reading("share", "correlated share (spherical model)"),
    truth: ui.reading("truth-share", "share of the truth"),
    r: ui.reading("correlation", "correlation with the truth"),
    all: ui.reading("correlation-mean", `mean of ${noises.length} draws`),
  };
  const [curve, strip] = [element("div"), element("div")];
  ui.charts.append(curve, strip);
  const points = { truth: variogram(truth, rows, cols, maxLag) }, ofTruth = fit(points.truth);
  right.draw(truth, `mean ${number(middle)}, spread ${number(wanted)} ${scene.unit}`);
  read.truth(ofTruth.share, `${(100 * ofTruth.share).toFixed(1)} %`);

  function forge(noise) { // (map, correlation with the truth)
    const made = gaussian(noise, rows, cols, blur.value).map((value, i) => (truth[i] === truth[i] ? value : NaN));
    const seen = inside(made), m = mean(seen), s = spread(seen, m);
    const r = mean(seen.map((value, i) => ((value - m) / s) * ((known[i] - middle) / wanted)));
    return [made.map((value) => middle + ((value - m) * wanted) / s), r];
  }

  function draw() {
    const made = noises.map(forge), [map, r] = made[draws], all = made.map(([, each]) => each);
    const found = variogram(map, rows, cols, maxLag), fitted = fit(found), share = `${(100 * fitted.share).toFixed(1)} %`;
    forged.caption.textContent = blur.value ? `Noise, blurred by ${blur.value} pixels` : "White noise";
    forged.draw(map, `correlated share ${share}, correlation with the truth ${number(r)}`);
    read.share(fitted.share, share);
    read.r(r, number(r));
    read.all(mean(all), `${number(mean(all))} (${number(Math.min(...all))} to ${number(Math.max(...all))})`);
    ui.say(`Share ${share}, correlation with the truth ${number(r)}.`);
    const gammas = [...found, ...points.truth].map((point) => point.gamma), { nugget, sill, range } = fitted;
    const [orange, blue] = scene.colours;
    chart(curve, {
      x: [0, maxLag], y: [0, 1.1 * Math.max(...gammas, nugget + sill)], xlabel: "distance (pixels); blue: forged, with the fit; grey: truth",
      ylabel: `semivariance ((${scene.unit})²)`, told: `Variogram of the forged map, nugget ${number(nugget)}, sill ${number(nugget + sill)}`,
      marks: ({ line, dot }) => [
        points.truth.map((p) => dot([p.lag, p.gamma], "#888")), found.map((p) => dot([p.lag, p.gamma], blue)),
        line(Array.from({ length: 101 }, (_, k) => [(k * maxLag) / 100, nugget + sill * spherical((k * maxLag) / 100 / range)]), orange),
      ],
    });
    chart(strip, {
      x: [-1, 1], y: [0, 1], height: 80, xlabel: `correlation with the truth, ${noises.length} draws of noise`,
      told: `Correlations from ${number(Math.min(...all))} to ${number(Math.max(...all))}`,
      marks: ({ dot }) => [...all.map((each) => dot([each, 0.5], blue)), dot([r, 0.5], orange, 5)],
    });
  }
  draw();
}
export default { render };
