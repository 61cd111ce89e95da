#!/usr/bin/env python3
"""Draws the pictures of the documents into its own folder. With --check it writes nothing, and fails if a picture is out of date."""

import sys
from pathlib import Path
from xml.sax.saxutils import escape

STYLE = """
    .page { fill: #ffffff; stroke: #d0d7de }
    .card { fill: #f6f8fa; stroke: #8c959f }
    .self { fill: #ddf4ff; stroke: #0969da }
    .good { fill: #dafbe1; stroke: #1a7f37 }
    .lost { fill: #ffebe9; stroke: #cf222e }
    text { fill: #1f2328 }
    .small { fill: #59636e; font-size: 12px }
    .mono { font-family: ui-monospace, monospace; font-size: 13px }
    .strong { font-weight: 600 }
    .tight { font-size: 11px }
    .line { stroke: #59636e; fill: none; stroke-width: 1.5 }
    .dashed { stroke-dasharray: 4 4 }
    .head { fill: #59636e }
    @media (prefers-color-scheme: dark) {
      .page { fill: #0d1117; stroke: #3d444d }
      .card { fill: #151b23; stroke: #656c76 }
      .self { fill: #0c2d6b; stroke: #4493f8 }
      .good { fill: #04260f; stroke: #3fb950 }
      .lost { fill: #3c0a0a; stroke: #f85149 }
      text { fill: #f0f6fc }
      .small { fill: #9198a1 }
      .line { stroke: #9198a1 }
      .head { fill: #9198a1 }
    }
"""


def box(x, y, width, height, kind="card"):
    return f'<rect class="{kind}" x="{x}" y="{y}" width="{width}" height="{height}" rx="6"/>'


def text(x, y, words, kind="", anchor="start"):
    kind = f' class="{kind}"' if kind else ""
    return f'<text x="{x}" y="{y}"{kind} text-anchor="{anchor}">{escape(words)}</text>'


def arrow(path, kind="line"):
    return f'<path class="{kind}" marker-end="url(#a)" d="{path}"/>'


def line(path, kind="line"):
    return f'<path class="{kind}" d="{path}"/>'


def card(x, y, width, height, lines, kind="card"):
    """A box with lines of text from its top; each is (words, class)."""
    drawn = [box(x, y, width, height, kind)]
    drawn += [text(x + 14, y + 23 + 19 * n, words, look) for n, (words, look) in enumerate(lines)]
    return "\n".join(drawn)


def picture(width, height, title, description, parts):
    body = "\n".join(parts).replace("\n", "\n  ")
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" aria-labelledby="t d" font-family="system-ui, sans-serif" font-size="14">
  <title id="t">{escape(title)}</title>
  <desc id="d">{escape(description)}</desc>
  <style>{STYLE}  </style>
  <defs>
    <marker id="a" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto"><path class="head" d="M0 0l8 4-8 4z"/></marker>
  </defs>
  <rect class="page" x=".5" y=".5" width="{width - 1}" height="{height - 1}" rx="8"/>
  {body}
</svg>
"""


def purposes():
    rows = [
        ("client credentials", "", "An engine for itself", "its secret, key or platform identity", "sub spark", "scope and audience as registered"),
        ("token exchange", "RFC 8693", "A service for a user", "a token of alice, a token of trino", "sub alice, act trino", "what both of them may do"),
        ("renewal", "", "A job that runs for long", "its token, before that expires", "the same, with a later exp", "until the session ends"),
    ]
    parts = [
        box(330, 60, 150, 250, "self"),
        text(405, 30, "Tokenberg", "strong", "middle"),
        text(405, 48, "POST /v1/oauth/tokens", "small", "middle"),
    ]
    for n, (purpose, source, who, shows, token, limits) in enumerate(rows):
        y = 72 + 86 * n
        parts += [
            card(20, y, 250, 54, [(who, "strong"), (shows, "small")]),
            arrow(f"M270 {y + 27}h58"),
            text(405, y + 32, purpose, "", "middle"),
            arrow(f"M480 {y + 27}h58"),
            card(540, y, 240, 54, [(token, "mono"), (limits, "small")], "good"),
        ]
        if source:
            parts.append(text(405, y + 48, source, "small", "middle"))
    return picture(
        800, 330, "What clients use the token endpoint for",
        "A client exchanges its credential for a token; a user's token and its own token for one with which it acts for the "
        "user; and a token that is about to expire for a fresh one.", parts)


# The test the_picture_of_the_questions_shows_their_order compares these with the questions that are asked.
QUESTIONS = {
    "Client credentials": ["FindClient", "DigestSecret"],
    "Token exchange": ["FindClient", "DigestSecret", "FindIssuer", "VerifyToken", "CheckSubjectStatus", "ReadToken", "CheckStatus"],
    "Renewal": ["FindClient", "DigestSecret", "ReadToken", "CheckStatus"],
}
ANSWERS = {
    "FindClient": "who is it?", "DigestSecret": "is it its secret?", "FindIssuer": "trusted?", "VerifyToken": "signed by it?",
    "CheckSubjectStatus": "user disabled?", "ReadToken": "one of ours?", "CheckStatus": "still in force?",
}


def questions():
    groups = {"FindClient": "the client", "FindIssuer": "the user's token", "ReadToken": "our own token"}
    # The exchange has the most questions, and shows the places of all of them.
    columns = {name: 20 + 134 * n for n, name in enumerate(QUESTIONS["Token exchange"])}
    parts = [text(columns[name], 28, words, "small") for name, words in groups.items()]
    for n, (purpose, names) in enumerate(QUESTIONS.items()):
        y = 70 + 92 * n
        parts.append(text(20, y - 12, purpose, "strong"))
        end = 0
        for name in names:
            x = columns[name]
            if end:
                parts.append(arrow(f"M{end} {y + 24}H{x - 1}"))
            parts += [box(x, y, 122, 48), text(x + 61, y + 20, name, "strong" if len(name) < 14 else "strong tight", "middle"),
                      text(x + 61, y + 38, ANSWERS[name], "small", "middle")]
            end = x + 122
        parts += [arrow(f"M{end} {y + 24}H957"), box(958, y, 62, 48, "good"), text(989, y + 29, "signed", "", "middle")]
    parts.append(text(20, 330, "Each answer can refuse the request. A proof of possession (VerifyProof) follows the client, and an identifier that may "
                               "be used once (UseOnce) comes last.", "small"))
    asked = " ".join(f"{purpose}: {', '.join([*names, 'signed'])}." for purpose, names in QUESTIONS.items())
    return picture(1040, 348, "The questions that the core asks", asked, parts)


def delegation():
    steps = [
        (90, "alice signs in", "her ID token", ["sub alice"], "trino asks, with its own token as actor"),
        (215, "trino acts for alice", "a token of ours", ["sub alice", "act { trino }"], "spark asks, whose audience it is"),
        (340, "spark acts for alice", "a token of ours", ["sub alice", "act { spark, act { trino } }"], ""),
    ]
    parts = [text(20, 32, "Each exchange puts the present actor outside. No actor is dropped, and only the outermost one is judged.", "small")]
    for n, (y, who, kind, claims, next_step) in enumerate(steps):
        parts += [
            card(20, y - 40, 220, 68, [(who, "strong"), (kind, "small")], "self" if n else "card"),
            arrow(f"M240 {y - 6}h58"),
            card(300, y - 40, 260, 68, [(claim, "mono") for claim in claims], "good" if n else "card"),
        ]
        if next_step:
            parts += [arrow(f"M430 {y + 28}v56"), text(446, y + 60, next_step, "small")]
    parts += [
        card(590, 50, 190, 68, [("granted at most", "strong"), ("what alice's issuer allows", "small")]),
        card(590, 175, 190, 68, [("and at most", "strong"), ("what trino may do for her", "small")]),
        card(590, 300, 190, 68, [("and at most", "strong"), ("what spark may do for her", "small")]),
    ]
    return picture(
        800, 390, "A delegation chain",
        "alice signs in. trino exchanges her token and gets one with sub alice and act trino. spark exchanges that one and gets one with "
        "sub alice and act spark, inside of which is act trino. Scope, audience and end only shrink.", parts)


def rotation():
    now, signs, over, removed = 170, 310, 560, 700
    parts = [line(f"M{x} 56V190", "line dashed") for x in (now, signs, over, removed)]
    parts += [text(x, 30, words, "small", "middle") for x, words in
              [(now, "key rotate"), (signs, "10m later"), (over, "7d and 1h after that"), (removed, "2h more")]]
    parts += [text(x, 46, words, "small", "middle") for x, words in
              [(signs, "the next key signs"), (over, "its last token is over"), (removed, "removed")]]
    parts += [
        text(20, 97, "old key", "strong"),
        box(100, 72, signs - 100, 40, "self"), text(205, 97, "signs", "", "middle"),
        box(signs, 72, removed - signs, 40), text(505, 97, "only verifies", "", "middle"),
        text(20, 161, "next key", "strong"),
        box(now, 136, signs - now, 40), text(240, 161, "published", "", "middle"),
        box(signs, 136, 470, 40, "self"), text(545, 161, "signs", "", "middle"),
        text(20, 225, "catalogs", "strong"),
        box(now, 200, 80, 40), text(210, 225, "up to 5m", "small", "middle"),
        text(262, 225, "until each has fetched the key set again (max-age=300): before the next key signs", "small"),
    ]
    return picture(
        800, 262, "A rotation of the signing key",
        "The next key is published at once and signs ten minutes later, when every verifier has fetched it. The old key verifies until the "
        "last token that it can have signed is over, seven days and one hour later, and is removed two hours after that.", parts)


def failover():
    columns = [("database A", 40), ("database B", 300), ("the nodes", 560)]
    parts = [text(x, 30, words, "strong") for words, x in columns]
    parts += [
        card(40, 46, 200, 50, [("writes a revocation", ""), ("and fails", "small")]),
        card(560, 46, 220, 50, [("have applied the revocation", ""), ("within 1s of its answer", "small")], "good"),
        arrow("M240 71H558"),
        card(300, 118, 200, 50, [("becomes the primary", ""), ("without the revocation", "small")], "lost"),
        arrow("M140 96V143H298", "line dashed"), text(150, 136, "lost on the way", "small"),
        arrow("M500 143H670V188"), text(512, 136, "the last hash differs", "small"),
        card(560, 190, 220, 50, [("read everything again", ""), ("and keep the revocation", "small")], "good"),
        card(300, 262, 200, 50, [("has the revocation", ""), ("written again within 1s", "small")], "good"),
        arrow("M670 240V287H502"), text(512, 280, "write it again", "small"),
        text(40, 292, "What gave rights is lost:", "small"), text(40, 308, "the log and /readyz say so.", "small"),
    ]
    return picture(
        800, 332, "A failover that lost a revocation",
        "Database A writes a revocation, which the nodes apply, and fails before database B has it. B becomes the primary. At the next poll "
        "the nodes see that the hash of the last record differs, read everything again, keep the revocation, and write it to B within a second.",
        parts)


def main():
    folder = Path(__file__).parent
    outdated = []
    for draw in (purposes, questions, delegation, rotation, failover):
        path, drawn = folder / f"{draw.__name__}.svg", draw()
        if "--check" not in sys.argv:
            path.write_text(drawn)
        elif not path.is_file() or path.read_text() != drawn:
            outdated.append(path.name)
    if outdated:
        sys.exit(f"out of date: {', '.join(outdated)}; run docs/pictures/draw.py")


if __name__ == "__main__":
    main()
