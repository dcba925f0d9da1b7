// Uses the page of linnet serve in chromium, and prints what it showed as JSON.
// Arguments: port, port of a server that is slow, key, file for a picture.
import puppeteer from "puppeteer-core";

const [port, slow, key, picture] = process.argv.slice(2);
const LIMIT = 30000; // milliseconds: only so that a hang fails
const args = ["--no-sandbox", "--disable-gpu"];
const browser = await puppeteer.launch({ executablePath: "/usr/bin/chromium", args });
const found = { errors: [] };
try {
  const page = await browser.newPage();
  page.setDefaultTimeout(LIMIT);
  page.on("pageerror", (error) => found.errors.push(error.message));
  page.on("request", (request) => {
    if (!/^http:\/\/127\.0\.0\.1:\d+\//.test(request.url())) found.errors.push("loads " + request.url());
  });
  const text = (selector) => page.$eval(selector, (element) => element.textContent);
  const until = (condition, ...args) => page.waitForFunction(condition, {}, ...args);
  const idle = () => until(() => !document.getElementById("send").disabled);
  const set = (selector, value) => page.$eval(selector, (element, value) => { element.value = value; }, value);
  const ask = async (prompt) => {
    const before = (await page.$$("#messages > .assistant")).length;
    await page.type("#prompt", prompt);
    await page.keyboard.press("Enter");
    await until((count) => document.querySelectorAll("#messages > .assistant").length > count, before);
  };
  const showKey = async () => {
    await page.type("#key", key);
    await page.$eval("#key", (element) => element.blur());
    await until(() => document.getElementById("model").textContent !== "Linnet");
  };
  const lastAnswer = () => page.$$eval("#messages > .assistant", (boxes) => boxes.at(-1).textContent);

  await page.goto(`http://127.0.0.1:${port}/`);
  await until(() => document.getElementById("status").textContent !== "");
  found.without_key = await text("#status");
  await showKey();
  found.model = await text("#model");

  await set("#temperature", "0");
  await set("#tokens", "24");
  await page.click("input[value=completion]");
  await ask("Once upon a time");
  await idle();
  found.completion = await lastAnswer();
  found.status = await text("#status");

  await page.click("input[value=chat]");
  await ask("A dog ran.");
  await idle();
  found.chat = await lastAnswer();
  await page.screenshot({ path: picture });

  await page.click("#reset");
  found.left = (await page.$$("#messages > *")).length;

  await page.goto(`http://127.0.0.1:${slow}/`);
  await showKey();
  await page.click("input[value=completion]");
  await set("#tokens", "240");
  await ask("Once upon a time");
  await until(() => document.querySelector("#messages > .assistant").textContent !== "");
  await page.click("#stop");
  await idle();
  found.stopped = await text("#status");
} finally {
  await browser.close();
}
console.log(JSON.stringify(found));
