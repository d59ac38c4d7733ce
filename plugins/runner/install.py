# Installs dependencies into a Python of a machine where no image is built. A part of larger scripts: they define
# `end(reason, code)`.
import json
import os
import shutil
import subprocess


def install(python, home, tools, form, file, place, member, extras, groups, added, imported, as_of):
    """Install a project's dependencies, which are below `home`, into a Python.

    `tools` names the tools besides pip, as requirements.
    """
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    quiet = ["--no-cache", "--quiet", "--python", python]
    inside, place = place, home / "dependencies"
    if inside is not None:
        # The project's own packages are installed from their place in the project.
        shutil.copytree(place, home / "code" / inside, dirs_exist_ok=True)
        place = home / "code" / inside

    def run(command, what, folder=home):
        code = subprocess.call(command, cwd=str(folder))
        if code != 0:
            end("cannot install {}: see the output above".format(what), code)

    def uv():
        path = home / "uv" / "bin" / "uv"
        if not path.exists():
            run(pip + ["--target", str(home / "uv"), tools["uv"]], tools["uv"])
        return str(path)

    def packages(arguments, what, folder=home):
        if as_of is None and (form == "none" or form == "requirements" and not file.endswith(".toml")):
            run(pip + arguments, what, folder)
        else:
            # pip cannot read the other forms.
            start = [uv(), "pip", "install"] + quiet + ["--break-system-packages"]
            run(start + (["--exclude-newer", as_of] if as_of is not None else []) + arguments, what, folder)

    if form != "none":
        print("alekseylearn: installing {}".format(file), flush=True)
        folder, listed = (place / file).parent, file
        arguments = []
        if form in ("uv-lock", "poetry"):
            listed = str(home / "locked-requirements.txt")
        if form == "uv-lock":
            export = ["--frozen", "--no-default-groups", "--no-emit-project", "--output-file", listed]
            export += [word for name in extras for word in ("--extra", name)]
            export += [word for name in groups for word in ("--group", name)]
            if member is not None:
                export += ["--package", member]
            run([uv(), "export"] + quiet + export, file, folder)
        if form == "poetry":
            os.environ["POETRY_VIRTUALENVS_CREATE"] = "false"
            tool, plugin = tools["poetry"]
            poetry = [uv(), "tool", "run"] + quiet + ["--from", tool, "--with", plugin, "poetry", "--no-interaction"]
            if not file.endswith(".lock"):
                run(poetry + ["lock"], file, folder)
            export = ["--only", ",".join(["main"] + groups), "--output", listed]
            export += [word for name in extras for word in ("--extras", name)]
            run(poetry + ["export"] + export, file, folder)
        if form == "pyproject":
            arguments += [word for name in extras for word in ("--extra", name)]
            arguments += [word for name in groups for word in ("--group", "{}:{}".format(file, name))]
        packages(arguments + ["--requirement", listed], file, place)
    if added:
        print("alekseylearn: installing {}".format(", ".join(added)), flush=True)
        packages(added, ", ".join(added))
    missing = lacking(python, imported)
    if missing:
        print("alekseylearn: installing imported packages: {}".format(", ".join(missing)), flush=True)
        packages(missing, ", ".join(missing))


LACKING = """
import importlib.util, json, sys

def is_there(module):
    try:
        return importlib.util.find_spec(module) is not None
    except Exception:
        # A package above it is missing or broken.
        return False

wanted = json.loads(sys.argv[1])
print(json.dumps(sorted({requirement for module, requirement in wanted if not is_there(module)})))
"""


def lacking(python, imported):
    """Return the requirements of the imported modules that a Python lacks."""
    if not imported:
        return []
    return json.loads(subprocess.check_output([python, "-I", "-c", LACKING, json.dumps(imported)]).decode())
