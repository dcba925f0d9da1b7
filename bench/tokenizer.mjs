// See bench/tokenizer. Usage: node tokenizer.mjs NPM_DIR BENCH_PROGRAM TEXT ROUNDS
import fs from 'node:fs';
import path from 'node:path';
import readline from 'node:readline';
import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';

const [npm, program, file, rounds] = process.argv.slice(2);
const require = createRequire(path.join(npm, 'package.json'));
const text = fs.readFileSync(file, 'utf8'), megabytes = Buffer.byteLength(text) / 1e6;

const child = spawn(program, [path.join(npm, 'gpt2'), file], { stdio: ['pipe', 'pipe', 'inherit'] });
const lines = readline.createInterface({ input: child.stdout })[Symbol.asyncIterator]();
const gpt2 = require('tiktoken').get_encoding('gpt2');
const { Tokenizer, BPE, byteLevelPreTokenizer } = require('tokenizers');
const hf = new Tokenizer(await BPE.fromFile(path.join(npm, 'gpt2/vocab.json'), path.join(npm, 'gpt2/merges.txt')));
hf.setPreTokenizer(byteLevelPreTokenizer(false));

const timed = async (encode) => {
  const start = process.hrtime.bigint();
  const n = await encode();
  return [Number(process.hrtime.bigint() - start) / 1e9, n];
};
const peers = {
  linnet: async () => {
    child.stdin.write('\n');
    const { value, done } = await lines.next();
    if (done) throw new Error('bench_tokenizer ended');
    const [ns, n] = value.split(' ').map(Number);
    return [ns / 1e9, n];
  },
  tiktoken: () => timed(() => gpt2.encode_ordinary(text).length),
  tokenizers: () => timed(async () => (await hf.encode(text)).getLength()),
};
const seconds = { linnet: [], tiktoken: [], tokenizers: [] }, counts = {};
for (let round = -1; round < Number(rounds); ++round)
  for (const [name, encode] of Object.entries(peers)) {
    if (name === 'tokenizers' && round > 3) continue; // slow: it keeps offsets
    const [s, n] = await encode();
    counts[name] = n;
    if (round >= 0) seconds[name].push(s); // the first round warms up
  }
child.stdin.end();

const sorted = (list) => [...list].sort((a, b) => a - b), median = (list) => sorted(list)[list.length >> 1];
for (const name of Object.keys(peers)) {
  const rate = seconds[name].map((s) => megabytes / s);
  console.log(`${name.padEnd(11)} ${median(rate).toFixed(1).padStart(7)} MB/s  (${sorted(rate)[0].toFixed(1)} to ${sorted(rate).at(-1).toFixed(1)})  ${counts[name]} ids`);
}
for (const name of ['tiktoken', 'tokenizers']) {
  const ratio = seconds[name].map((s, i) => s / seconds.linnet[i]);
  console.log(`linnet / ${name}: ${median(ratio).toFixed(1)} times as fast  (${sorted(ratio)[0].toFixed(1)} to ${sorted(ratio).at(-1).toFixed(1)})`);
}
if (new Set(Object.values(counts)).size !== 1) throw new Error('the numbers of ids differ');
