// Talks to linnet serve with npm's openai package, and prints what it got as JSON. Arguments: port, key.
import OpenAI from "openai";

const [port, key] = process.argv.slice(2);
const client = new OpenAI({ baseURL: `http://127.0.0.1:${port}/v1`, apiKey: key, maxRetries: 0 });
const model = (await client.models.list()).data[0].id;
const fields = { model, prompt: "Once upon a time", max_tokens: 24, temperature: 0 };
const found = { errors: [] };

found.completion = (await client.completions.create(fields)).choices[0].text;
found.streamed = "";
const stream = await client.completions.create({ ...fields, stream: true });
for await (const chunk of stream) found.streamed += chunk.choices[0].text;
found.chat = "";
const messages = [{ role: "user", content: "A dog ran." }];
const chat = await client.chat.completions.create({ model, messages, max_tokens: 16, temperature: 0, stream: true });
for await (const chunk of chat) found.chat += chunk.choices[0].delta.content ?? "";
found.embedding = (await client.embeddings.create({ model, input: "Once upon a time" })).data[0].embedding;

const failures = [
  () => client.withOptions({ apiKey: "x" }).models.list(),
  () => client.completions.create({ ...fields, temprature: 0 }),
];
for (const call of failures) {
  try {
    await call();
    found.errors.push("none");
  } catch (error) {
    found.errors.push(`${error.constructor.name} ${error.status} ${error.param}`);
  }
}
console.log(JSON.stringify(found));
