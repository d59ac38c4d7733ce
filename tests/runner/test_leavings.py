"""What a job leaves: the model of a script that knows nothing of /opt/ml/model."""

import os
import signal
import subprocess

import pytest


def model(container):
    folder = container.ml / "model"
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir() or path.is_symlink())


def test_files_written_among_the_code_are_the_model(container):
    container.holds_file("data/in.csv", "1")
    container.holds_file("weights.bin", "old")
    container.holds_script(
        """
        import os, pathlib
        for name in ("models/a.pt", "models/deep/b.pt", "__pycache__/x.pyc", ".cache/y", "run.log", "hub/CACHEDIR.TAG", "hub/z"):
            pathlib.Path(name).parent.mkdir(parents=True, exist_ok=True)
            pathlib.Path(name).write_text("made")
        open("weights.bin", "w").write("newer")
        os.symlink("a.pt", "models/best")
        os.chmod("models/a.pt", 0o640)
        """
    )
    ended = container.run()
    assert ended.exit_code == 0
    assert model(container) == ["models/a.pt", "models/best", "models/deep/b.pt", "weights.bin"]
    folder = container.ml / "model"
    assert (folder / "weights.bin").read_text() == "newer"
    assert os.readlink(folder / "models/best") == "a.pt"
    assert (folder / "models/a.pt").stat().st_mode & 0o777 == 0o640
    (line,) = ended.said
    assert line.startswith("alekseylearn: the model is what the script wrote: 4 files, ")
    assert line.endswith(": models/a.pt, models/best, models/deep/b.pt, weights.bin")
    assert ended.left["model"]["files"] == 4
    assert ["weights.bin", 5] in ended.left["model"]["first"]


def test_a_model_in_its_folder_is_all_there_is(container):
    container.holds_script(
        "import os\nopen('other.pt', 'w').write('x')\nopen(os.environ['SM_MODEL_DIR'] + '/m', 'w').write('x')\n"
    )
    ended = container.run()
    assert (model(container), ended.said) == (["m"], [])
    assert ended.left == {"model": {"files": 1, "bytes": 1, "first": [["m", 1]]}}


def test_what_the_user_chose_is_the_model(container):
    container.holds_file("src/keep/known.bin", "was there")
    container.holds_script(
        """
        import os, pathlib
        for name in ("out/a.pt", "out/b.txt", "out/deep/c.pt", "[odd].pt"):
            pathlib.Path(name).parent.mkdir(parents=True, exist_ok=True)
            pathlib.Path(name).write_text("made")
        open(os.environ["SM_MODEL_DIR"] + "/m", "w").write("x")
        """,
        "src/train.py",
    )
    container.trains("src/train.py", folder="src")
    container.is_asked(model=["out/**/*.pt", "keep", "[odd].pt", "nowhere/*"])
    ended = container.run()
    assert ended.exit_code == 0
    assert model(container) == ["m", "src/[odd].pt", "src/keep/known.bin", "src/out/a.pt", "src/out/deep/c.pt"]
    assert ended.said[0].startswith("alekseylearn: the model is 4 files, ")
    assert ended.said[1].startswith("alekseylearn: --model nowhere/* matches no file; the script wrote src/[odd].pt, src/out/a.pt")


def test_files_of_a_tracker_are_named_last(container):
    container.holds_script(
        """
        import pathlib
        for name in ["mlruns/0/{}.yaml".format(number) for number in range(30)] + ["out/model.pkl"]:
            pathlib.Path(name).parent.mkdir(parents=True, exist_ok=True)
            pathlib.Path(name).write_text("made")
        """
    )
    (line,) = container.run().said
    assert ": out/model.pkl, mlruns/0/" in line and line.endswith(" more")


def test_a_choice_that_names_nothing_loses_nothing(container):
    container.holds_script("open('a.pt', 'w').write('x')\n")
    container.is_asked(model=["model.bin"])
    ended = container.run()
    assert model(container) == ["a.pt"]
    assert ended.said[0] == "alekseylearn: --model model.bin matches no file; the script wrote a.pt"


def test_a_choice_may_lie_elsewhere(container):
    place = container.folder / "elsewhere" / "best"
    container.holds_script(f"import os\nos.makedirs({str(place)!r})\nopen({str(place)!r} + '/m', 'w').write('x')\n")
    container.is_asked(model=[str(place)])
    container.run()
    assert model(container) == ["best/m"]


def test_to_leave_nothing_is_no_failure(container):
    container.holds_script("print('trained')\n")
    ended = container.run()
    assert (ended.exit_code, ended.left, ended.said) == (0, {}, [])


@pytest.mark.parametrize("source, is_idle", [("def main():\n    print('x')\n", True), ("print('x')\n", False)])
def test_a_script_that_did_nothing_is_noticed(container, source, is_idle):
    container.holds_script(source)
    ended = container.run()
    assert any("__main__" in line for line in ended.said) == is_idle, ended.said


def test_a_stop_keeps_what_was_written_so_far(container):
    container.holds_script("import time\nopen('a.pt', 'w').write('x')\nprint('ready')\ntime.sleep(600)\n")
    process = container.start()
    container.wait_for_output("ready")
    process.send_signal(signal.SIGTERM)
    assert container.wait().exit_code == 143
    assert model(container) == ["a.pt"]


def test_what_a_failed_script_wrote_is_output_data(container):
    container.holds_script("open('half.pt', 'w').write('x')\nraise ValueError('no')\n")
    ended = container.run()
    assert ended.exit_code == 1
    assert model(container) == []
    assert (container.ml / "output" / "data" / "half.pt").read_text() == "x"
    assert list(ended.left) == ["output-data"]


def test_an_executed_notebook_is_a_result(container):
    from test_notebook import holds_notebook, notebook

    holds_notebook(container, "train.ipynb", notebook("print('one')"))
    ended = container.run()
    assert ended.exit_code == 0
    assert model(container) == ["train.ipynb"]
    assert '"one' in (container.ml / "model" / "train.ipynb").read_text()


def test_a_disk_without_room_is_one_clear_error(container):
    small = container.ml / "model"
    small.mkdir(parents=True)
    if subprocess.call(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(small)]) != 0:
        pytest.skip("only root may mount")
    try:
        container.holds_script("open('big.pt', 'wb').write(bytes(5_000_000))\n")
        ended = container.run()
        assert ended.exit_code == 1
        reason = f"annot keep the script's results in {container.ml}: 4.77 MiB needed, 1.00 MiB free on the disk\n"
        assert ended.failure == "C" + reason
        assert ended.stderr.decode() == "alekseylearn: c" + reason
        assert model(container) == []
    finally:
        subprocess.check_call(["umount", str(small)])


def test_links_are_good_in_any_place(container):
    container.holds_script(
        """
        import os, pathlib
        model, away = pathlib.Path(os.environ["SM_MODEL_DIR"]), pathlib.Path("away")
        (model / "step-3").mkdir()
        (model / "step-3/w.bin").write_text("w")
        (away / "deep").mkdir(parents=True)
        (away / "deep/blob").write_text("blob")
        (model / "sub").mkdir()
        os.symlink(model / "step-3/w.bin", model / "sub/best.bin")
        os.symlink("step-3", model / "latest")
        os.symlink(away.resolve() / "deep/blob", model / "outside.bin")
        os.symlink(away.resolve() / "deep", model / "outside")
        os.symlink("/nowhere/at/all", model / "dangling")
        os.symlink("/", model / "all")
        data = pathlib.Path(os.environ["SM_INPUT_DIR"])
        data.mkdir(exist_ok=True)
        (data / "huge").write_text("")
        os.symlink(data / "huge", model / "input")
        """
    )
    assert container.run().exit_code == 0
    folder = container.ml / "model"
    links = {str(path.relative_to(folder)): os.readlink(path) for path in folder.rglob("*") if path.is_symlink()}
    assert links == {
        "sub/best.bin": "../step-3/w.bin",
        "latest": "step-3",
        "dangling": "/nowhere/at/all",
        "all": "/",
        "input": f"{container.ml}/input/huge",
    }
    assert (folder / "outside.bin").read_text() == (folder / "outside/blob").read_text() == "blob"


def test_sockets_and_pipes_are_named_and_stay_behind(container):
    container.holds_script(
        """
        import os, socket
        os.chdir(os.environ["SM_MODEL_DIR"])
        os.mkfifo("pipe")
        os.mkdir("run")
        socket.socket(socket.AF_UNIX).bind("run/wandb.sock")
        open("m", "w").write("x")
        """
    )
    ended = container.run()
    assert ended.exit_code == 0
    assert model(container) == ["m"]
    assert ended.said == ["alekseylearn: not kept, because they are not files or folders: pipe, run/wandb.sock"]
