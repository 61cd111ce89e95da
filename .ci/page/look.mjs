// Looks at every page as its readers do. Prints a line for each check, and ends with 1 if one failed.

import { spawn, execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";

const { BROWSER, TOKENBERG_BINARY: binary, SHOTS, PACKAGES } = process.env;
const require = createRequire(join(PACKAGES, "node_modules/"));
const puppeteer = require("puppeteer-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const SECRET = "looked-at-secret-0123456789-abcdefghijkl";
const place = mkdtempSync(join(tmpdir(), "tokenberg-page-"));
const environment = { ...process.env, TOKENBERG_STORE: `sqlite:${join(place, "tokenberg.db")}` };
const run = (...of) => execFileSync(binary, of, { cwd: place, env: environment, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });

let failed = 0;
let passed = 0;
function check(what, holds, why = "") {
    holds ? passed++ : failed++;
    if (!holds) console.log(`FAILED ${what}${why && `: ${why}`}`);
}

async function started() {
    const server = spawn(binary, ["serve", "--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0"], {
        cwd: place, env: { ...environment, TOKENBERG_BOOTSTRAP_CREDENTIAL: `root:${SECRET}` }, stdio: ["ignore", "pipe", "ignore"],
    });
    let text = "";
    for await (const part of server.stdout) {
        text += part;
        const found = /listening on (\S+)\noperations on (\S+)\n/.exec(text);
        if (found) return { server, address: found[1], operations: found[2] };
    }
    throw new Error(`the server did not start: ${text}`);
}

async function decide(address, secret, scope) {
    const form = new URLSearchParams({ grant_type: "client_credentials", client_id: "root", client_secret: secret, scope });
    return (await fetch(`${address}/v1/oauth/tokens`, { method: "POST", body: form })).json();
}

const { server, address, operations } = await started();
const browser = await puppeteer.launch({ executablePath: BROWSER, headless: true, args: ["--no-sandbox", "--disable-gpu"] });
try {
    for (let n = 0; n < 130; n++) run("client", "add", `etl-${n}`);
    run("client", "add", "<b>hostile</b>\" onfocus=\"alert(1)", "--may-act-for", "https://idp.example|*");
    for (let n = 0; n < 60; n++) await decide(address, SECRET, "catalog");
    for (let n = 0; n < 5; n++) await decide(address, "wrong", "catalog");
    await decide(address, SECRET, "\u202e<script>alert(1)</script>");
    const { access_token: token } = await decide(address, SECRET, "catalog");

    const page = await browser.newPage();
    await page.setJavaScriptEnabled(false);
    const complaints = [];
    // That a page answers 401 or 404 is as it should be.
    page.on("console", (message) => /status of 40[14]/.test(message.text()) || complaints.push(message.text()));
    page.on("requestfailed", (request) => complaints.push(`${request.url()} ${request.failure()?.errorText}`));

    await page.goto(`${operations}/ui/`);
    check("a stranger is asked to sign in", (await page.title()).startsWith("Sign in"));
    await page.goto(run("ui", "--at", operations).trim());
    await page.waitForFunction(() => true).catch(() => {});
    await page.goto(`${operations}/ui/`);
    check("the link opens the overview without scripts", (await page.title()).startsWith("Overview"), await page.title());

    const decision = async () => {
        await page.goto(`${operations}/ui/decisions?show=refusals`);
        return page.$eval("tbody a", (link) => link.getAttribute("href"));
    };
    const pages = {
        overview: "/ui/", clients: "/ui/clients", client: "/ui/client?id=root", issuers: "/ui/issuers", keys: "/ui/keys",
        nodes: "/ui/nodes", decisions: "/ui/decisions?show=all", decision: await decision(), token: "/ui/token",
        whatif: "/ui/what-if?client=root&scope=catalog&issuer=https://idp.example&subject=alice", request: "/ui/request?purpose=user&method=post", missing: "/ui/client?id=nobody", nowhere: "/ui/nowhere",
        hostile: "/ui/client?id=" + encodeURIComponent("<b>hostile</b>\" onfocus=\"alert(1)"),
    };
    const shoot = async (name) => { if (SHOTS) await page.screenshot({ path: join(SHOTS, `${name}.png`), fullPage: true }); };
    const looks = [["wide", 1280, "light"], ["narrow", 320, "light"], ["dark", 900, "dark"]];
    for (const [look, width, scheme] of looks) {
        await page.setViewport({ width, height: 800 });
        await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
        for (const [name, path] of Object.entries({ ...pages, inspected: null })) {
            if (path) {
                await page.goto(operations + path);
            } else {
                await page.goto(`${operations}/ui/token`);
                await page.type("textarea", `Bearer ${token}`);
                await Promise.all([page.waitForNavigation(), page.click("form.token button")]);
                check("our own token verifies", (await page.content()).includes("its signature verifies"));
            }
            const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
            check(`${name} fits, ${look}`, wide <= 0, `${wide} px too wide`);
            await page.setJavaScriptEnabled(true);
            // The policy of the page forbids scripts; the tool is put in by the browser's own door.
            await page.setBypassCSP(true);
            await page.reload();
            await page.evaluate(axe);
            const { violations } = await page.evaluate("axe.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] })");
            check(`${name} by axe, ${look}`, violations.length === 0, violations.map((v) => `${v.id}: ${v.nodes[0].html}`).join("; "));
            await page.setBypassCSP(false);
            await page.setJavaScriptEnabled(false);
            await shoot(`${name}-${look}`);
        }
    }

    await page.setViewport({ width: 1280, height: 800 });
    await page.goto(`${operations}/ui/`);
    await page.keyboard.press("Tab");
    const focused = () => page.evaluate(() => document.activeElement?.textContent);
    check("the first key leads past the navigation", (await focused())?.startsWith("Skip"), await focused());
    for (let n = 0; n < 3; n++) await page.keyboard.press("Tab");
    await Promise.all([page.waitForNavigation(), page.keyboard.press("Enter")]);
    check("a link is followed by keyboard", (await page.title()).startsWith("Clients"), await page.title());
    await page.goto(`${operations}/ui/clients`);
    const first = await page.$$eval("tbody tr", (rows) => rows.length);
    await Promise.all([page.waitForNavigation(), page.click("a[rel=next]")]);
    const second = await page.$$eval("tbody tr", (rows) => rows.length);
    check("clients come a screen at a time", first === 100 && second === 32, `${first}, ${second}`);
    await page.pdf({ path: join(place, "page.pdf") });
    await Promise.all([page.waitForNavigation(), page.click("header form button")]);
    await page.goto(`${operations}/ui/clients`);
    check("signing out ends the session", (await page.title()).startsWith("Sign in"), await page.title());
    check("the browser complains of nothing", complaints.length === 0, complaints.join("; "));
} finally {
    await browser.close();
    server.kill("SIGKILL");
    rmSync(place, { recursive: true, force: true });
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
