// The extension in a real VS Code, with the real server: `node try.mjs FOLDER [SERVER COMMAND]`, where install.sh FOLDER was run and
// ../dgemma.vsix was built. Types, looks for ghost text, takes it, runs the commands; leaves screenshots in FOLDER/pictures and ends
// with an error where something isn't as it should be.
import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const folder = resolve(process.argv[2]);
const command = process.argv.length > 3 ? process.argv.slice(3) : ["dgemma-lsp"];
const { chromium } = createRequire(join(folder, "package.json"))("playwright-core");
const work = join(folder, "work");
const pictures = join(folder, "pictures");
for (const one of [work, pictures, join(folder, "user"), join(folder, "extensions")]) {
  rmSync(one, { recursive: true, force: true });
  mkdirSync(one, { recursive: true });
}
const write = (name, text) => writeFileSync(join(work, name), text);
write("app.py", "def area(width, height):\n    \n\n\n# TODO: print it\n");
write("person.schema.json", JSON.stringify({
  type: "object", properties: { name: { type: "string" }, age: { type: "integer" } }, required: ["name", "age"], additionalProperties: false,
}));
write("ada.json", '{"$schema": "person.schema.json"}\n');
write("g.lark", 'start: "a" other\n');
const settings = {
  "dgemma.command": command,
  "dgemma.deadlineLine": 2000, // it is shown that it works, not how fast
  "dgemma.deadlineBlock": 4000,
  "editor.quickSuggestions": { other: "off", comments: "off", strings: "off" },
  "editor.wordBasedSuggestions": "off",
  "json.schemaDownload.enable": false,
  "workbench.startupEditor": "none",
  "security.workspace.trust.enabled": false,
};
mkdirSync(join(folder, "user", "Machine"), { recursive: true });
writeFileSync(join(folder, "user", "Machine", "settings.json"), JSON.stringify(settings));
mkdirSync(join(folder, "user", "User"), { recursive: true });
writeFileSync(join(folder, "user", "User", "settings.json"), JSON.stringify(settings));

const program = join(folder, "node_modules/code-server/out/node/entry.js");
const places = ["--user-data-dir", join(folder, "user"), "--extensions-dir", join(folder, "extensions"), "--config", join(folder, "config.yaml")];
writeFileSync(join(folder, "config.yaml"), "auth: none\n");
const vsix = fileURLToPath(new URL("../dgemma.vsix", import.meta.url));
console.log(execFileSync("node", [program, ...places, "--install-extension", vsix], { encoding: "utf8" }).trim().split("\n").pop());
const port = 18700 + (process.pid % 200);
const server = spawn("node", [program, ...places, "--bind-addr", `127.0.0.1:${port}`, "--disable-telemetry", "--disable-update-check", work], {
  stdio: ["ignore", "pipe", "ignore"],
  env: { ...process.env, EXTENSIONS_GALLERY: "{}" }, // there is none here
});
await new Promise((done) => server.stdout.on("data", (data) => String(data).includes("listening on http") && done()));
const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });
let failed = 0;
try {
  const page = await browser.newPage({ viewport: { width: 1100, height: 650 } });
  let number = 0;
  page.setDefaultTimeout(20000);
  const picture = (name) => page.screenshot({ path: join(pictures, `${++number}-${name}.png`) });
  const check = (what, good, seen) => {
    console.log(`${good ? "ok  " : "FAIL"} ${what}: ${JSON.stringify(seen)}`);
    failed += !good;
  };
  const press = (...keys) => keys.reduce((before, key) => before.then(() => page.keyboard.press(key)), Promise.resolve());
  const pause = (ms) => page.waitForTimeout(ms);
  const open = async (name) => {
    await page.dblclick(`.explorer-folders-view .monaco-list-row[aria-label^="${name}"]`); // to find it by name takes ripgrep
    await page.waitForSelector(`.tab.active[data-resource-name="${name}"]`);
    await pause(700);
  };
  const palette = async (name) => {
    await press("F1");
    await page.keyboard.type(name, { delay: 10 });
    await pause(700);
    await press("Enter");
  };
  const ghost = () => page.$$eval(".ghost-text-decoration, .ghost-text", (all) => all.map((one) => one.textContent).join("\n").replace(/\u00a0/g, " "));
  const saved = async (name) => {
    await press("Control+s");
    await pause(1000);
    return readFileSync(join(work, name), "utf8");
  };
  const until = async (what, seconds = 30) => {
    for (const end = Date.now() + seconds * 1e3; Date.now() < end; await pause(100)) {
      const found = await what();
      if (found) return found;
    }
    return null;
  };

  await page.goto(`http://127.0.0.1:${port}/?folder=${work}`);
  await page.waitForSelector(".explorer-folders-view", { timeout: 60000 });
  await pause(3000);
  await open("app.py");
  // until the model is there, nothing is suggested: ask by hand now and then
  await press("Control+Home", "ArrowDown", "End");
  await page.keyboard.type("return ", { delay: 60 });
  const shown = await until(async () => (await ghost()) || (await press("Escape"), await palette("Trigger Inline Suggestion"), await pause(2500), await ghost()), 180);
  await picture("ghost-text");
  check("ghost text behind `return `", shown, shown);
  await press("Tab");
  await pause(500);
  await picture("taken-by-tab");
  const first = await saved("app.py");
  check("Tab takes it, on disk", shown && first.includes(`return ${shown.split("\n")[0]}`), first);
  check("nothing is left of it", (await ghost()) !== shown, await ghost()); // there may be something new

  await press("End", "Enter");
  await page.keyboard.type("x = ", { delay: 60 });
  const again = await until(ghost, 15);
  await picture("while-typing");
  check("ghost text comes by itself while typing", again, again);
  await press("Control+ArrowRight");
  await pause(500);
  await picture("a-word-of-it");
  const word = await saved("app.py");
  check("Ctrl+Right takes a word of it", again && word.includes("x = " + again.match(/^\s*(\w+|\W)/)[0]), word);
  await press("Escape");

  await palette("dgemma: Fill All TODOs");
  const filled = await until(async () => !(await saved("app.py")).includes("TODO"), 20);
  await picture("todos");
  check("Fill All TODOs", filled, readFileSync(join(work, "app.py"), "utf8"));

  await open("ada.json");
  await palette("dgemma: Write JSON");
  const person = await until(async () => {
    const text = await saved("ada.json");
    return text.includes("age") && text;
  }, 30);
  await picture("json");
  check("JSON for its schema", person && Object.keys(JSON.parse(person)).sort().join() === "$schema,age,name", person);

  await open("g.lark");
  const squiggle = await until(() => page.$(".squiggly-error"), 15);
  await press("F8");
  await pause(1000);
  await picture("grammar");
  check("what is wrong with a grammar is underlined", squiggle, Boolean(squiggle));

  await palette("dgemma: Show Statistics");
  await until(() => page.$('.tab.active[data-resource-name^="Untitled"]'), 10);
  await pause(1000);
  const told = await page.$$eval(".view-line", (all) => all.map((one) => one.textContent).join("\n").replace(/\u00a0/g, " "));
  await picture("statistics");
  check("statistics count what was shown and taken", /"accepted": [1-9]/.test(told) && /"shown": [1-9]/.test(told), told);
  const notices = await page.$$eval(".notification-list-item-message", (all) => all.map((one) => one.textContent));
  check("no message popped up", !notices.length, notices);
} catch (error) {
  failed++;
  console.log(String(error));
  await browser.contexts()[0]?.pages()[0]?.screenshot({ path: join(pictures, "failed.png") });
} finally {
  await browser.close();
  server.kill();
}
process.exitCode = failed ? 1 : 0;
