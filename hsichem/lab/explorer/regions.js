// What a map holds: its value at a place, in a region, beside another map. Numbers only; nothing here draws.
// A map is {name, unit, step, rows, cols, values}: values row by row, NaN where there is nothing; step is the side of its
// pixels in pixels of the image. Corners and places are (row, col) in pixels of the image. The same figures are made in
// Python for print (answers.py); a test compares them.

const BINS = 40;

// Buffers arrive at any byte offset, a Float32Array needs a multiple of four: so copy.
const bytes = (view) => view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength);

function valueAt(map, row, col) {
  const r = Math.floor(row / map.step), c = Math.floor(col / map.step);
  return r >= 0 && c >= 0 && r < map.rows && c < map.cols ? map.values[r * map.cols + c] : NaN;
}

// [row, from, to) of the pixels whose centres lie inside, by the even-odd rule: `polygon_mask` in hsichem.cubes.
function spans({ rows, cols, step }, corners) {
  const found = [];
  for (let r = 0; r < rows; r++) {
    const row = step * (r + 0.5), crossed = [];
    corners.forEach(([r0, c0], i) => {
      const [r1, c1] = corners[(i + 1) % corners.length];
      if (r0 > row !== r1 > row) crossed.push((c0 + ((row - r0) / (r1 - r0)) * (c1 - c0)) / step - 0.5);
    });
    crossed.sort((a, b) => a - b);
    for (let k = 0; k < crossed.length; k += 2) {
      const from = Math.max(0, Math.ceil(crossed[k])), to = Math.min(cols, Math.ceil(crossed[k + 1]));
      if (from < to) found.push([r, from, to]);
    }
  }
  return found;
}

// The finite values in a region, or in all of the map without corners. mask: bits of the sample, for a map that has
// values beside it.
function valuesIn(map, corners, mask) {
  const everywhere = Array.from({ length: map.rows }, (_, r) => [r, 0, map.cols]);
  const found = new Float64Array(map.values.length);
  let count = 0;
  for (const [r, from, to] of corners ? spans(map, corners) : everywhere)
    for (let i = r * map.cols + from; i < r * map.cols + to; i++) {
      const value = map.values[i];
      if (Number.isFinite(value) && (!mask || (mask[i >> 3] >> (7 - (i & 7))) & 1)) found[count++] = value;
    }
  return found.subarray(0, count);
}

function statistics(values) {
  if (!values.length) return { pixels: 0, mean: NaN, SD: NaN, lowest: NaN, highest: NaN };
  let sum = 0, squares = 0, lowest = Infinity, highest = -Infinity;
  for (const value of values) {
    sum += value;
    if (value < lowest) lowest = value;
    if (value > highest) highest = value;
  }
  const mean = sum / values.length;
  for (const value of values) squares += (value - mean) ** 2;
  return { pixels: values.length, mean, SD: Math.sqrt(squares / values.length), lowest, highest };
}

// lines: [{name, values, colour, dash}] -> the plot of their histograms, all with the same bins.
function histogram(lines) {
  const filled = lines.filter((line) => line.values.length), of = filled.map((line) => statistics(line.values));
  const low = Math.min(...of.map((each) => each.lowest)), high = Math.max(...of.map((each) => each.highest), low + 1e-6);
  const x = Array.from({ length: BINS }, (_, k) => low + ((k + 0.5) * (high - low)) / BINS);
  const series = filled.map(({ name, values, colour, dash }) => {
    const y = new Array(BINS).fill(0);
    for (const value of values) y[Math.min(BINS - 1, Math.floor(((value - low) / (high - low)) * BINS))] += 100 / values.length;
    return { name, x, y, colour, dash };
  });
  const told = filled.map((line, i) => `${line.name}: mean ${number(of[i].mean)}, SD ${number(of[i].SD)}`);
  return { title: "Histogram", xlabel: "value (%)", ylabel: "pixels (%)", series, shaded: [],
    summary: `Histogram. ${told.join("; ")}.` };
}

// A map on a coarser grid: means of whole blocks, NaN where one of their pixels is.
function coarser(map, step) {
  const side = step / map.step, rows = Math.floor(map.rows / side), cols = Math.floor(map.cols / side);
  const values = new Float32Array(rows * cols);
  for (let r = 0; r < rows * side; r++)
    for (let c = 0; c < cols * side; c++)
      values[Math.floor(r / side) * cols + Math.floor(c / side)] += map.values[r * map.cols + c] / side ** 2;
  return { rows, cols, values };
}

// One map minus another, on the finest grid that holds both; `pair` keeps the two as they were compared.
function difference(one, other) {
  let step = one.step;
  while (step % other.step) step += one.step;
  const pair = [one, other].map((map) => coarser(map, step));
  const rows = Math.min(...pair.map((map) => map.rows)), cols = Math.min(...pair.map((map) => map.cols));
  const values = new Float32Array(rows * cols), [a, b] = pair;
  for (let r = 0; r < rows; r++)
    for (let c = 0; c < cols; c++) values[r * cols + c] = a.values[r * a.cols + c] - b.values[r * b.cols + c];
  const sizes = values.filter(Number.isFinite).map(Math.abs).sort();
  const most = sizes.length ? sizes[Math.floor(0.99 * (sizes.length - 1))] || 1 : 1;
  return { name: `${one.name} − ${other.name}`, kind: "difference", unit: "%", step, rows, cols, values, note: "",
    scale: [-most, most], pair };
}

// At most `most` of the pixels that both maps have, evenly spread: [x, y].
function pairs({ pair: [one, other], rows, cols }, most = 3000) {
  const x = [], y = [], stride = Math.max(1, Math.floor((rows * cols) / most));
  for (let i = 0; i < rows * cols; i += stride) {
    const r = Math.floor(i / cols), c = i % cols, [a, b] = [one, other].map((map) => map.values[r * map.cols + c]);
    if (Number.isFinite(a - b)) {
      x.push(b);
      y.push(a);
    }
  }
  return [x, y];
}

// What somebody typed -> [[row, col], ...]. Throws what is wrong with it, in words for the person who typed.
function readPlaces(text) {
  return text.split(";").filter((part) => part.trim()).map((part) => {
    const numbers = part.split(",").map((word) => (word.trim() ? Number(word) : NaN));
    if (numbers.length !== 2 || !numbers.every(Number.isFinite))
      throw new Error(`“${part.trim()}” is not a place: write row, column; row, column`);
    return numbers;
  });
}

function readPins(text, { rows, cols }) {
  const pins = readPlaces(text).map((place) => place.map(Math.floor));
  for (const [row, col] of pins)
    if (row < 0 || col < 0 || row >= rows || col >= cols)
      throw new Error(`${row}, ${col} is outside: rows go from 0 to ${rows - 1}, columns from 0 to ${cols - 1}`);
  return pins;
}

function readCorners(text, { rows, cols }) {
  const corners = readPlaces(text);
  if (corners.length < 3) throw new Error("a region needs three corners or more");
  if (!spans({ rows, cols, step: 1 }, corners).length) throw new Error("no pixel of the image lies in this region");
  return corners;
}

const asText = (places) => places.map((place) => place.join(", ")).join("; ");

// The table that is saved: quantity, region, of, at, value, unit. inside: region -> [[map, values]].
function asCsv(regions, inside, spectra) {
  const rows = [["quantity", "region", "of", "at", "value", "unit"]];
  for (const [region, maps] of inside) {
    for (const corner of regions[region] ?? [])
      rows.push(["corner", region, "row, column", "", corner.join(", "), "pixels"]);
    for (const [map, values] of maps)
      for (const [quantity, value] of Object.entries(statistics(values))) {
        const unit = quantity === "pixels" ? "" : map.unit;
        rows.push([quantity, region, map.name, "", Number.isFinite(value) ? value : "", unit]);
      }
  }
  for (const line of spectra) line.x.forEach((at, i) => rows.push(["reflectance", "", line.name, at, line.y[i], ""]));
  const cell = (value) => (/[",\n]/.test(value) ? `"${String(value).replaceAll('"', '""')}"` : value);
  return rows.map((row) => `${row.map(cell).join(",")}\n`).join("");
}
