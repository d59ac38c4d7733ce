"""What a page is in a real browser: `python -m browser CHROMIUM PAGE [SCREENSHOTS]`.

CHROMIUM is a folder with Debian's unpacked packages. One JSON object goes to standard output: what was asked of any
network, what was complained of, and the page as it is seen, by each of the LOOKS.
"""

import json
import os
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

# Columns, and whether the screen is dark.
LOOKS = {"wide": (1280, False), "dark": (1280, True), "narrow": (400, False), "narrow-dark": (400, True)}

SEEN = Path(__file__).with_name("seen.js").read_text()


def main() -> None:
    chromium, page, *screenshots = map(Path, sys.argv[1:])
    address = page.resolve().as_uri()
    asked, complaints, looks = [], [], {}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium / "usr/lib/chromium/chromium-headless-shell", env=surroundings(chromium)
        )
        for look, (width, dark) in LOOKS.items():
            context = browser.new_context(
                viewport={"width": width, "height": 800}, color_scheme="dark" if dark else "light"
            )
            tab = context.new_page()
            tab.on("request", lambda request: asked.append(request.url))
            tab.on("console", lambda message: complaints.append(message.text))
            tab.on("pageerror", lambda error: complaints.append(str(error)))
            tab.goto(address, wait_until="networkidle")
            looks[look] = tab.evaluate(SEEN)
            for folder in screenshots:
                tab.screenshot(path=folder / f"{page.stem}-{look}.png", full_page=True)
            context.close()
        browser.close()
    asked = [url for url in asked if url != address]
    json.dump({"asked": asked, "complaints": complaints, "looks": looks}, sys.stdout)


def surroundings(chromium: Path) -> dict[str, str]:
    """Its libraries and fonts are those beside it."""
    fonts = chromium / "fonts.conf"
    mono = "<alias><family>monospace</family><prefer><family>DejaVu Sans Mono</family></prefer></alias>"
    fonts.write_text(f"<fontconfig><dir>{chromium / 'usr/share/fonts'}</dir>{mono}</fontconfig>\n")
    libraries = [str(found) for place in ("usr/lib", "lib") for found in chromium.glob(f"{place}/*-linux-gnu")]
    libraries += [f"{place}/pulseaudio" for place in libraries]
    return {**os.environ, "LD_LIBRARY_PATH": ":".join(libraries), "FONTCONFIG_FILE": str(fonts)}


main()
