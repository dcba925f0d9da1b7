// Strings drawn to hurt, with the ids that tiktoken's gpt2 encoding gives them -> DIR/cases.bin; a text to learn a
// vocabulary from -> DIR/train.txt. Deterministic. Usage: node make_cases.mjs DIR (which holds node_modules).
//
// cases.bin: per case u32 bytes, the bytes, u32 ids, the ids (u32), all little endian; the bytes may be ill-formed
// UTF-8, which tiktoken sees through a TextDecoder.
import fs from 'node:fs';
import path from 'node:path';
import { createRequire } from 'node:module';

const dir = path.resolve(process.argv[2]);
const { get_encoding } = createRequire(path.join(dir, 'package.json'))('tiktoken');
const gpt2 = get_encoding('gpt2');
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

let state = 20240607;
function random() { // mulberry32
  state = (state + 0x6d2b79f5) | 0;
  let t = Math.imul(state ^ (state >>> 15), 1 | state);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return (t ^ (t >>> 14)) >>> 0;
}
const below = (n) => random() % n;
const pick = (list) => list[below(list.length)];

const spaces = [...'\t\n\v\f\r \u0085\u00a0\u1680\u2000\u2003\u200a\u2028\u2029\u202f\u205f\u3000'];
const almostSpaces = [...'\u180e\u200b\u200c\u200d\u2060\ufeff\u001c\u001f\u0000\u007f\u00ad'];
const contractions = ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d", "'S", "'LL", "'", "''s", "\u2019s", "'l", "'r", "'v", "'sx", " 's", "'\u017f"];
const letters = [...'aeiounstrxyzABZ\u00e9\u00df\u0130\u01c5\u02b0\u0391\u03c9\u0416\u05d0\u0627\u0905\u0e01\u3042\u30a2\u4e2d\u6587\uac00\uff21\u{10400}\u{1d400}\u{20000}\u{1e900}'];
const digits = [...'0123456789\u00b2\u00bd\u0663\u06f5\u0966\u0e53\u2167\u3007\u3220\uff15\u{1d7d8}\u{10107}\u{1f100}'];
const marks = [...'\u0300\u0301\u20dd\u0903\u0940\u3099\ufe0f\ufe0e\u{e0100}\u{1f3fb}\u{1f3ff}'];
const punctuation = [...'!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\u00a1\u2014\u201c\u2026\u20ac\u2202\u3001\ufffd\ue000\u{f0000}\u{10ffff}'];
const emoji = ['\u{1f600}', '\u{1f468}\u200d\u{1f469}\u200d\u{1f467}\u200d\u{1f466}', '\u{1f3f3}\ufe0f\u200d\u{1f308}', '\u{1f1e9}\u{1f1ea}',
  '\u{1f44d}\u{1f3fd}', '1\ufe0f\u20e3', '\u2764\ufe0f\u200d\u{1f525}', '\u{1f9d1}\u{1f3ff}\u200d\u{1f680}', '\u{1f3f4}\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}'];
const words = ['the', ' the', ' The', 'hello', ' world', ' antidisestablishmentarianism', 'http://', '.com', ' 2024', "don't", ' I', ' GPT-2',
  '<|endoftext|>', '<|', '|>', 'SolidGoldMagikarp', ' \n', '\n\n', '\r\n', '    ', '\t\t'];
const pools = [spaces, almostSpaces, contractions, letters, digits, marks, punctuation, emoji, words];
const vocabulary = Object.keys(JSON.parse(fs.readFileSync(path.join(dir, 'gpt2/vocab.json'), 'utf8')));
const tokenBytes = (() => {
  const byteOf = new Map();
  for (let b = 0, next = 256; b < 256; ++b) {
    const visible = (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
    byteOf.set(String.fromCodePoint(visible ? b : next++), b);
  }
  return vocabulary.map((t) => Buffer.from([...t].map((c) => byteOf.get(c))));
})();

// As many pools as it pleases, mixed; at times one pool alone.
function mixture() {
  const some = [];
  for (let n = 1 + below(4); n > 0; --n) some.push(pick(pools));
  let text = '';
  for (let n = 1 + below(24); n > 0; --n) text += pick(pick(some));
  return text;
}

// Changes bytes of well-formed text: cut short, overwritten, inserted, removed.
function damaged(bytes) {
  bytes = Buffer.from(bytes);
  for (let n = 1 + below(4); n > 0 && bytes.length > 0; --n) {
    const at = below(bytes.length);
    switch (below(5)) {
      case 0: bytes = bytes.subarray(0, at); break;
      case 1: bytes[at] = below(256); break;
      case 2: bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1)]); break;
      case 3: bytes = Buffer.concat([bytes.subarray(0, at), Buffer.from([0x80 + below(128)]), bytes.subarray(at)]); break;
      case 4: bytes[at] ^= 1 << below(8); break;
    }
  }
  return bytes;
}

const cases = fs.openSync(path.join(dir, 'cases.bin'), 'w');
let pending = [], count = 0;
function flush() {
  fs.writeSync(cases, Buffer.concat(pending));
  pending = [];
}
function add(text) {
  const bytes = Buffer.from(text);
  const ids = gpt2.encode_ordinary(decoder.decode(bytes));
  const head = Buffer.alloc(4), tail = Buffer.alloc(4 + 4 * ids.length);
  head.writeUInt32LE(bytes.length);
  tail.writeUInt32LE(ids.length);
  ids.forEach((id, i) => tail.writeUInt32LE(id, 4 + 4 * i));
  pending.push(head, bytes, tail);
  if (++count % 4096 === 0) flush();
}

// Every code point, each between neighbours that show its class.
const around = ['', ' ', 'a', '1', "'s", '!', '\n', '  ', 'é', ' a'];
for (let start = 0; start < 0x110000; start += 24) {
  let text = '';
  for (let c = start; c < start + 24 && c < 0x110000; ++c)
    if (c < 0xd800 || c > 0xdfff) text += pick(around) + String.fromCodePoint(c);
  add(text);
}
for (let i = 0; i < 50000; ++i) add(mixture());
for (let i = 0; i < 15000; ++i) add(damaged(Buffer.from(mixture())));
for (let i = 0; i < 10000; ++i) add(Buffer.from(Array.from({ length: below(24) }, () => below(256))));
for (let i = 0; i < 20000; ++i) add(Buffer.concat(Array.from({ length: 1 + below(12) }, () => pick(tokenBytes))));
for (let i = 0; i < 4000; ++i) add(pick(pick(pools)).repeat(1 + below(i % 50 === 0 ? 2000 : 120)) + pick(pick(pools)));
flush();
fs.closeSync(cases);
if (count < 100000) throw new Error(`only ${count} cases`);

// Words of very uneven frequency, with line breaks and some rare characters.
let text = '';
const lexicon = Array.from({ length: 3000 }, () => pick(tokenBytes).toString().trim() + (below(3) ? '' : pick(tokenBytes).toString().trim()));
for (let i = 0; i < 40000; ++i) {
  text += lexicon[Math.floor(lexicon.length * (random() / 2 ** 32) ** 4)] + (below(12) ? ' ' : pick(['\n', '. ', "'s ", ', ', '\n\n', ' 42 ']));
  if (below(200) === 0) text += mixture();
}
fs.writeFileSync(path.join(dir, 'train.txt'), Buffer.from(text));
console.log(`${count} cases`);
