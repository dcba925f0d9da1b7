// Hugging Face's own tokenizers read what Linnet saved, give the same ids, and learn the same merges.
// Usage: node hf.mjs NPM_DIR SAVED_DIR
import fs from 'node:fs';
import path from 'node:path';
import assert from 'node:assert';
import { createRequire } from 'node:module';

const dir = path.resolve(process.argv[2]), saved = path.resolve(process.argv[3]);
const hf = createRequire(path.join(dir, 'package.json'))('tokenizers');

// GPT-2, on the cases whose ids tiktoken gave (those with a special token in them are read differently).
const gpt2 = hf.Tokenizer.fromFile(path.join(saved, 'saved-gpt2/tokenizer.json'));
const data = fs.readFileSync(path.join(dir, 'cases.bin'));
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
let compared = 0;
for (let at = 0, i = 0; at < data.length; ++i) {
  const n = data.readUInt32LE(at), bytes = data.subarray(at + 4, at + 4 + n);
  const n_ids = data.readUInt32LE(at + 4 + n);
  at += 8 + n;
  const ids = Array.from({ length: n_ids }, (_, k) => data.readUInt32LE(at + 4 * k));
  at += 4 * n_ids;
  if (i % 5) continue;
  const text = decoder.decode(bytes);
  if (text.includes('<|endoftext|>')) continue;
  const found = (await gpt2.encode(text)).getIds();
  assert.deepStrictEqual(Array.from(found), ids, `case ${i}: ${JSON.stringify(text)}`);
  ++compared;
}
assert.ok(compared > 20000);
assert.deepStrictEqual(Array.from((await gpt2.encode('a<|endoftext|>b')).getIds()), [64, 50256, 65]);

// Added tokens: white space swallowed, parts of words left alone; then with a template and a prefix space.
let with_added = 0;
for (const name of ['saved-added', 'saved-prefix']) {
  const tokenizer = hf.Tokenizer.fromFile(path.join(saved, name, 'tokenizer.json'));
  for (const { text, ids } of JSON.parse(fs.readFileSync(path.join(saved, name, 'expected.json')))) {
    assert.deepStrictEqual(Array.from((await tokenizer.encode(text)).getIds()), ids, `${name}: ${JSON.stringify(text)}`);
    ++with_added;
  }
}
assert.ok(with_added >= 6000);

// The same training: tokenizers' BpeTrainer learns until no pair is left, and so did Linnet.
const trained = new hf.Tokenizer(hf.BPE.empty());
trained.setPreTokenizer(hf.byteLevelPreTokenizer(false));
trained.train([path.join(dir, 'train.txt')]);
trained.save(path.join(saved, 'theirs.json'));
const theirs = JSON.parse(fs.readFileSync(path.join(saved, 'theirs.json'))).model.merges.map((m) => (Array.isArray(m) ? m.join(' ') : m));
const ours = JSON.parse(fs.readFileSync(path.join(saved, 'saved-trained/tokenizer.json'))).model.merges;
let same = 0;
while (same < theirs.length && theirs[same] === ours[same]) ++same;
assert.strictEqual(same, theirs.length, `merge ${same}: tokenizers "${theirs[same]}", Linnet "${ours[same]}"`);
assert.strictEqual(ours.length, theirs.length);
console.log(`${compared} cases, ${with_added} with added tokens and ${theirs.length} merges equal`);
