// Measures llama.cpp through node-llama-cpp: node llama.mjs MODEL.gguf PROMPT GENERATE THREADS REPETITIONS.
// Prints one JSON object {"pp": [tokens/s...], "tg": [tokens/s...]}. A prompt's time ends with the first token (the
// head and the choice of a token included); generation starts from a prompt of one token. The first run of each warms up.
import { getLlama, LlamaLogLevel } from "node-llama-cpp";

const [file, prompt, generate, threads, repetitions] = process.argv.slice(2).map((arg, i) => (i ? Number(arg) : arg));
const llama = await getLlama({ gpu: false, build: "never", progressLogs: false, logLevel: LlamaLogLevel.error, maxThreads: threads });
const model = await llama.loadModel({ modelPath: file });
const context = await model.createContext({ contextSize: 1024, batchSize: 512, threads: { ideal: threads, min: threads }, sequences: 1 });
const sequence = context.getSequence();

function randomTokens(count) {
  let state = 12345;
  return Array.from({ length: count }, () => (state = (state * 1103515245 + 12345) % 2147483648) % 50000);
}

/** Seconds until the first token and for `more` tokens after it. */
async function once(tokens, more) {
  await sequence.clearHistory();
  const begin = performance.now();
  let first = 0, count = 0;
  for await (const token of sequence.evaluate(tokens, { temperature: 0, yieldEogToken: true })) {
    if (count++ === 0) first = performance.now();
    if (count > more) break;
  }
  if (count !== more + 1) throw new Error(`expected ${more + 1} tokens, got ${count}`);
  return [(first - begin) / 1000, (performance.now() - first) / 1000];
}

const pp = [], tg = [];
for (let i = 0; i <= repetitions; ++i) {
  const [promptSeconds] = await once(randomTokens(prompt), 0);
  const [, generateSeconds] = await once(randomTokens(1), generate);
  if (i === 0) continue;
  pp.push(prompt / promptSeconds);
  tg.push(generate / generateSeconds);
}
console.log(JSON.stringify({ pp, tg, threads: context.currentThreads, system: llama.systemInfo }));
process.exit(0);
