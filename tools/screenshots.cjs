// Goes through the pages of a server as somebody who signed in: pictures in four modes, findings of axe in three themes,
// widths from 320 to 2560 pixels. Ends with 1 if anything was found.
"use strict";
const { chromium } = require("playwright-core");
const axe = require("axe-core");
const [server, token, build, failed, out] = process.argv.slice(2);

const modes = {
  light: { colorScheme: "light", contrast: "no-preference", viewport: { width: 1280, height: 900 } },
  dark: { colorScheme: "dark", contrast: "no-preference", viewport: { width: 1280, height: 900 } },
  contrast: { colorScheme: "light", contrast: "more", viewport: { width: 1280, height: 900 } },
  phone: { colorScheme: "light", contrast: "no-preference", viewport: { width: 390, height: 844 } },
};
const widths = [320, 390, 640, 800, 1024, 1280, 1920, 2560];

async function pages(browser) {
  const answer = await (await browser.request.get(server + "/v1/deliveries")).json();
  const list = {
    builds: "/", build: `/builds/${build}`, failed: `/builds/${failed}`, image: `/builds/${build}/image`,
    files: `/builds/${build}/image?path=srv`, compare: `/builds/${build}/diff`, explain: `/builds/${build}/explain`,
    repositories: "/repos", repository: "/repos/team/web?try=v1.2&message=fix", settings: "/repos/team/api/settings",
    connect: "/connect", steps: "/repos/team/api/connect", queue: "/queue", deliveries: "/deliveries",
    delivery: `/deliveries/${answer.deliveries[0].id}`, registry: "/registry", disk: "/disk",
    tags: "/registry/repository?name=team%2Fweb", missing: "/nosuch",
  };
  const running = (await (await browser.request.get(server + "/v1/builds?state=building")).json()).builds[0];
  if (running) { list.running = `/builds/${running.id}`; }
  return list;
}

async function main() {
  const chrome = await chromium.launch({ executablePath: process.env.CHROMIUM || "/usr/bin/chromium", args: ["--no-sandbox"] });
  let findings = 0;
  const said = (line) => { findings += 1; console.log(line); };
  for (const [mode, options] of Object.entries(modes)) {
    const browser = await chrome.newContext({ ...options, bypassCSP: true, reducedMotion: "reduce" });
    const page = await browser.newPage();
    await page.goto(server + "/login");
    await page.screenshot({ path: `${out}/sign-in-${mode}.png` });
    await page.fill("#token", token);
    await page.click("main button");
    await page.waitForURL(server + "/");
    for (const [name, path] of Object.entries(await pages(browser))) {
      const begun = Date.now();
      const answer = await page.goto(server + path, { waitUntil: "load" });
      const took = Date.now() - begun;
      const expected = name === "missing" ? 404 : 200;
      if (answer.status() !== expected) { said(`${name}: ${answer.status()}`); }
      await page.screenshot({ path: `${out}/${name}-${mode}.png`, fullPage: true });
      await page.evaluate(axe.source);
      const found = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
      for (const violation of found.violations) {
        said(`${name} ${mode}: ${violation.id}: ${violation.nodes.map((node) => node.target.join(" ")).slice(0, 3).join(", ")}`);
      }
      if (mode === "light") {
        console.log(`${name}: ${took} ms`);
        for (const width of widths) {
          await page.setViewportSize({ width, height: 900 });
          const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
          if (wide > 0) { said(`${name} is ${wide} pixels too wide at ${width}`); }
        }
        await page.setViewportSize(options.viewport);
      }
    }
    await browser.close();
  }
  await chrome.close();
  console.log(findings === 0 ? "nothing was found" : `${findings} findings`);
  process.exit(findings === 0 ? 0 : 1);
}

main().catch((error) => { console.error(error); process.exit(1); });
