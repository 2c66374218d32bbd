// Makes bird-strikes.json from birdstrikes.csv of the npm package vega-datasets:
//   npm pack vega-datasets@3.2.1 && tar xzf vega-datasets-3.2.1.tgz
//   node examples/data/derive.js package/data/birdstrikes.csv > examples/data/bird-strikes.json
import { readFileSync } from 'node:fs';

const [header, ...lines] = readFileSync(process.argv[2], 'utf8').trim().split(/\r?\n/);
const names = header.split(',');
const records = lines.map((line) => Object.fromEntries(line.split(',').map((cell, index) => [names[index], cell])));
const airports = [...new Set(records.map((record) => record['Airport Name']))].sort();
const rows = records.map((record) =>
  JSON.stringify([
    record['Flight Date'],
    airports.indexOf(record['Airport Name']),
    record['Aircraft Airline Operator'],
    record['Phase of flight'],
    record['Wildlife Species'],
    record['Time of day'],
    record['Effect Amount of damage'],
    Number(record['Cost Total $']),
  ]),
);
const columns = ['date', 'airport', 'operator', 'phase', 'species', 'time', 'damage', 'cost'];
console.log(`{"columns":${JSON.stringify(columns)},`);
console.log(`"airports":${JSON.stringify(airports)},`);
console.log(`"rows":[\n${rows.join(',\n')}\n]}`);
