// SPDX-License-Identifier: Apache-2.0
// The programs' half of the conversation that ../talk.py describes; a question may have arguments, in JSON.

import { createInterface } from 'node:readline';

/** The lines NAME=VALUE of CLIENT_SETTINGS. */
export const settings = Object.fromEntries(
  process.env.CLIENT_SETTINGS.split('\n')
    .filter(Boolean)
    .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
);

/** Answers how opening went, then each `word {arguments}` on standard input with `questions[word](arguments)`. */
export async function converse(open, questions) {
  await answer(open);
  for await (const line of createInterface({ input: process.stdin })) {
    const space = line.indexOf(' ');
    const word = space < 0 ? line : line.slice(0, space);
    await answer(() => questions[word](space < 0 ? {} : JSON.parse(line.slice(space))));
  }
  process.exit(0);
}

async function answer(question) {
  let reply;
  try {
    reply = (await question()) ?? {};
  } catch (failure) {
    console.error(failure);
    reply = await refusal(failure);
  }
  process.stdout.write(JSON.stringify(reply) + '\n');
}

/** What the server said, if it refused; else what the library did not like. */
async function refusal(failure) {
  const { response } = failure;
  const said = failure.error || !response || response.bodyUsed ? failure : await response.json().catch(() => failure);
  return {
    error: said.error ?? failure.constructor.name,
    message: said.error_description ?? [failure.message, failure.cause?.message].filter(Boolean).join(': '),
    ...(response && { status: response.status, challenge: response.headers.get('www-authenticate') }),
  };
}
