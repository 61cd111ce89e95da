// Signs in with a browser and with a code, and uses the session. Prints a line for each check that failed, and ends with 1 then.

import { execFile, spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { started } from "./provider.mjs";

const { BROWSER_BINARY, TOKENBERG_BINARY: binary, TOKENBERG_CATALOG_BINARY: catalogBinary, SHOTS, PACKAGES } = process.env;
const puppeteer = createRequire(join(PACKAGES, "node_modules/"))("puppeteer-core");
const CLIENT = "laptop";
const place = mkdtempSync(join(tmpdir(), "tokenberg-login-"));
const environment = { PATH: process.env.PATH, TOKENBERG_STORE: `sqlite:${join(place, "tokenberg.db")}`, XDG_STATE_HOME: join(place, "state") };
const processes = [];

let failed = 0;
let passed = 0;
function check(what, holds, why = "") {
    holds ? passed++ : failed++;
    if (!holds) console.log(`FAILED ${what}${why && `: ${why}`}`);
}

/** Runs a command to its end. */
async function run(...of) {
    const options = { cwd: place, env: environment, encoding: "utf8" };
    return promisify(execFile)(binary, of, options).then(
        ({ stdout, stderr }) => ({ code: 0, out: stdout, err: stderr }),
        ({ code, stdout, stderr }) => ({ code, out: stdout, err: stderr }),
    );
}

async function must(...of) {
    const said = await run(...of);
    if (said.code !== 0) throw new Error(`${of.join(" ")}: ${said.err}`);
    return said.out.trim();
}

/** Starts a server and waits for its address. */
async function serving(program, ...of) {
    const server = spawn(program, of, { cwd: place, env: { ...environment, TOKENBERG_BOOTSTRAP_CREDENTIAL: "root:first-secret-of-root" }, stdio: ["ignore", "pipe", "ignore"] });
    processes.push(server);
    let text = "";
    for await (const part of server.stdout) {
        text += part;
        const found = /listening on (\S+)\n/.exec(text);
        if (found) return found[1];
    }
    throw new Error(`${program} did not start: ${text}`);
}

/** Starts `tokenberg login`; its addresses on standard error, and its end. */
function login(...of) {
    const child = spawn(binary, ["login", ...of], { cwd: place, env: environment, stdio: ["ignore", "pipe", "pipe"] });
    processes.push(child);
    let [out, err] = ["", ""];
    child.stdout.on("data", (part) => (out += part));
    child.stderr.on("data", (part) => (err += part));
    const ended = new Promise((resolve) => child.on("close", (code) => resolve({ code, out, err })));
    const addresses = async (count) => {
        for (let n = 0; n < 600; n++) {
            const found = err.match(/^http\S+$/gm) ?? [];
            if (found.length >= count) return found;
            await new Promise((resolve) => setTimeout(resolve, 100));
        }
        throw new Error(`no address: ${err}`);
    };
    return { addresses, ended };
}

const provider = await started(CLIENT);
const server = await serving(binary, "serve", "--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0");
const catalog = await serving(catalogBinary, "--listen", "127.0.0.1:0", "--store", environment.TOKENBERG_STORE, "--issuer", server);
await must("issuer", "add", provider.issuer, "--discover", "--accept", "id_token", "--outlives-subject", "--map", "groups=analysts:PRINCIPAL_ROLE:analyst");
await must("client", "add", CLIENT, "--auth-method", "none", "--may-impersonate", `${provider.issuer}|*`, "--scope", "catalog PRINCIPAL_ROLE:analyst");
await new Promise((resolve) => setTimeout(resolve, 1500)); // within which running servers follow

const browser = await puppeteer.launch({ executablePath: BROWSER_BINARY, headless: true, args: ["--no-sandbox", "--disable-gpu"] });
const complaints = [];

/** A browser without cookies. */
async function newPage() {
    const context = await browser.createBrowserContext();
    const page = await context.newPage();
    await page.setRequestInterception(true);
    // The provider's pages name a font on the web.
    page.on("request", (request) => (new URL(request.url()).hostname === "127.0.0.1" ? request.continue() : request.abort()));
    // That the page of a failure is no success is as it should be.
    page.on("console", (message) => page.url().includes("/callback") && !/status of 400/.test(message.text()) && complaints.push(message.text()));
    return page;
}

const press = (page, selector) => Promise.all([page.waitForNavigation(), page.click(selector)]);
const shoot = async (page, name) => { if (SHOTS) await page.screenshot({ path: join(SHOTS, `${name}.png`) }); };

/** The person signs in at the provider, and permits what the client asks for. */
async function signIn(page, name) {
    await page.type("input[name=login]", name);
    await page.type("input[name=password]", "anything");
    await press(page, "button[type=submit]");
    await press(page, "button[type=submit]");
}

const claimsOf = (token) => JSON.parse(Buffer.from(token.split(".")[1], "base64url"));
const callCatalog = (token) => fetch(`${catalog}/v1/namespaces`, { headers: { authorization: `Bearer ${token}` } });

/** What later commands can do with the session of this person. */
async function use(name) {
    const token = await must("token");
    const { sub, client_id: client, act, scope } = claimsOf(token);
    check(`${name} has a token`, sub === name && client === CLIENT && !act, JSON.stringify({ sub, client, act }));
    check(`the groups of ${name} give a role`, scope === "catalog" || scope.includes("PRINCIPAL_ROLE:analyst"), scope);
    const answer = await callCatalog(token);
    check(`the catalog accepts the token of ${name}`, answer.status === 200, `${answer.status} ${await answer.text()}`);
    check("the kept token is used", (await must("token")) === token);
    const renewed = await must("token", "--cache", "--valid-for", "2h");
    check("the token is renewed", renewed !== token && claimsOf(renewed).sub === name);
    check("the catalog accepts the renewed token", (await callCatalog(renewed)).status === 200);
    check("a command has the token", (await must("exec", "--", "printenv", "TOKENBERG_ACCESS_TOKEN")) === renewed);
    const sessions = join(environment.XDG_STATE_HOME, "tokenberg/sessions");
    for (const file of readdirSync(sessions)) {
        const path = join(sessions, file);
        check(`${file} is private`, (statSync(path).mode & 0o777) === 0o600);
        check(`${file} has no token of the provider`, !readFileSync(path, "utf8").includes("id_token"));
    }
    const ended = await run("logout");
    check("the session ends", ended.code === 0 && (await run("token")).code !== 0, ended.err);
}

const terms = ["--server", server, "--client-id", CLIENT, "--issuer", provider.issuer, "--issuer-scope", "openid email groups"];
try {
    {
        const page = await newPage();
        const { addresses, ended } = login(...terms, "--no-browser");
        await page.goto((await addresses(1))[0]);
        await signIn(page, "ada");
        const text = await page.evaluate(() => document.body.innerText);
        await shoot(page, "signed-in");
        const { code, out, err } = await ended;
        check("a person signs in with a browser", code === 0 && out.includes("ada@example.com"), err);
        check("the page says what to do next", text.includes("You are signed in") && text.includes("return to the terminal"), text);
        const html = await page.content();
        check("the page holds no token, code or script", !/eyJ|code=|<script|href/.test(html), html);
        check("nothing of a token is printed", !/eyJ/.test(out + err), out + err);
        await use("ada");
    }
    {
        const page = await newPage();
        const { addresses, ended } = login(...terms, "--device");
        const [enter] = await addresses(2);
        await page.goto(enter);
        const { err: shown } = await Promise.race([ended, new Promise((resolve) => setTimeout(() => resolve({ err: "" }), 100))]);
        check("the command waits", shown === "", shown);
        const [, whole] = await addresses(2);
        await page.type("input[name=user_code]", new URL(whole).searchParams.get("user_code"));
        await press(page, "button[type=submit]");
        await shoot(page, "device");
        await press(page, "button[autofocus]");
        await signIn(page, "bob");
        check("the device is signed in", (await page.content()).includes("Sign-in Success"), await page.content());
        const { code, out, err } = await ended;
        check("a person signs in with a code", code === 0 && out.includes("bob@example.com"), err);
        await use("bob");
    }
    {
        const page = await newPage();
        const { addresses, ended } = login(...terms, "--no-browser");
        await page.goto((await addresses(1))[0]);
        await press(page, "a[href$=abort]");
        const text = await page.evaluate(() => document.body.innerText);
        await shoot(page, "failed");
        const { code, err } = await ended;
        check("a declined sign-in fails", code === 1 && err.includes("access_denied") && text.includes("The sign-in failed"), `${err} ${text}`);
    }
    {
        const page = await newPage();
        const { addresses, ended } = login(...terms, "--no-browser", "--timeout", "3s", "--redirect-uri", "http://127.0.0.1/other");
        await page.goto((await addresses(1))[0]);
        const { code, err } = await ended;
        check("an unregistered redirect URI is explained", code === 1 && err.includes("register http://127.0.0.1/other at the provider"), err);
    }
    check("the browser complains of nothing", complaints.length === 0, complaints.join("; "));
} finally {
    await browser.close();
    processes.forEach((one) => one.exitCode === null && one.kill("SIGKILL"));
    provider.close();
    rmSync(place, { recursive: true, force: true });
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
