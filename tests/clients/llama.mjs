// What llama.cpp makes of a GGUF file. Usage: node llama.mjs NPM_DIR FILE.gguf <request: {"texts": [...], "ids": [...], "count": N}.
// Prints {"bos": bool, "eos": bool, "tokens": [[ids], ...], "greedy": [ids]}.
import fs from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const [npm, file] = process.argv.slice(2).map((name) => path.resolve(name));
const { getLlama, LlamaLogLevel } = await import(pathToFileURL(path.join(npm, 'node_modules/node-llama-cpp/dist/index.js')));
const request = JSON.parse(fs.readFileSync(0, 'utf8'));
const llama = await getLlama({ gpu: false, build: 'never', logLevel: LlamaLogLevel.error });
const model = await llama.loadModel({ modelPath: file });
const context = await model.createContext({ contextSize: 128 });
const greedy = [];
if (request.count)
  for await (const token of context.getSequence().evaluate(request.ids, { temperature: 0 })) {
    greedy.push(token);
    if (greedy.length >= request.count) break;
  }
const answer = {
  bos: model.tokens.shouldPrependBosToken, eos: model.tokens.shouldAppendEosToken,
  tokens: request.texts.map((text) => Array.from(model.tokenize(text, true))), greedy: greedy.map(Number),
};
fs.writeSync(1, JSON.stringify(answer) + '\n');
process.exit(0);
