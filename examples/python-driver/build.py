"""Build the driver in a folder: `python build.py [FOLDER] [--wit WIT] [--output FILE]`.

Install requirements.txt first. componentize-py builds the component from `driver.py` and `driver.wit`. Its custom
sections contain the metadata from `pyproject.toml`, as with the Rust SDK's macro.
"""

import argparse
import json
import subprocess
import sys
import tomllib
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main():
    parser = argparse.ArgumentParser(description="Build a driver written in Python.")
    parser.add_argument("folder", type=Path, nargs="?", default=HERE, help="folder with driver.py and pyproject.toml")
    parser.add_argument("--wit", type=Path, default=HERE.parents[1] / "wit", help="folder of alekseylearn's contract")
    parser.add_argument("--output", type=Path, help="component file (default: NAME.wasm)")
    arguments = parser.parse_args()

    described = tomllib.loads((arguments.folder / "pyproject.toml").read_text())
    output = arguments.output or Path(f"{described['project']['name']}.wasm")
    componentize(arguments.folder, arguments.wit, output)
    with output.open("ab") as component:
        for name, text in sections(described).items():
            component.write(custom_section(name, text))
    print(output)


def componentize(folder, wit, output):
    program = Path(sys.executable).with_name("componentize-py")
    command = [program, "--quiet", "--wit-path", wit, "--wit-path", folder / "driver.wit", "--world", "my:plugin/driver"]
    command += ["componentize", "--python-path", folder, "--output", output, "driver"]
    subprocess.run(command, check=True)


def sections(described):
    """Return the standard sections of the WebAssembly ecosystem, and alekseylearn's own."""
    project = described["project"]
    own = {"name": project["name"], "origins": described.get("tool", {}).get("alekseylearn", {}).get("origins", [])}
    return {
        "alekseylearn": json.dumps(own),
        "version": project["version"],
        "authors": ", ".join(author["name"] for author in project.get("authors", [])),
        "licenses": project.get("license", ""),
        "source": project.get("urls", {}).get("source", ""),
        "description": project.get("description", ""),
    }


def custom_section(name, text):
    content = sized(name.encode()) + text.encode()
    return b"\x00" + sized(content)


def sized(content):
    """Return the content with its length in LEB128 in front."""
    length, encoded = len(content), bytearray()
    while length >= 0x80:
        encoded.append(length & 0x7F | 0x80)
        length >>= 7
    return bytes([*encoded, length]) + content


if __name__ == "__main__":
    main()
