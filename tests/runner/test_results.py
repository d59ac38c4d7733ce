"""Results on a service that keeps nothing of a container: they go to Cloud Storage."""

import gzip
import io
import json
import tarfile
import threading

import pytest

from services.exchange import Answer, Record
from services.google import Google
from services.proxy import Authority, Proxy

BASE = "jobs/one"


class Cloud:
    """Cloud Storage and a metadata server, as a container on Vertex AI finds them."""

    def __init__(self, folder) -> None:
        folder.mkdir()
        self.record, self.faults = Record(), []
        self._google = Google(folder, None)
        authority = Authority(folder)
        self._proxy = Proxy(authority, self._answer)
        self._google.lead(self._proxy.url, authority.certificates)
        threading.Thread(target=self._proxy.serve_forever, daemon=True).start()
        self.certificates = authority.certificates

    def _answer(self, request):
        self.record.add(request)
        for fault in self.faults:
            if fault["method"] == request.method and fault["times"] > 0:
                fault["times"] -= 1
                if fault.get("takes"):
                    # What was sent has arrived, or a part of it, and nobody is told.
                    self._google.answer(request)
                return Answer(fault["status"], json.dumps({"error": {"message": "no"}}).encode())
        return self._google.answer(request)

    def leads(self, container) -> None:
        place = f"gs://bucket/{BASE}"
        container.environment.update(
            AIP_MODEL_DIR=f"{place}/model/",
            AIP_CHECKPOINT_DIR=f"{place}/checkpoints/",
            AIP_TENSORBOARD_LOG_DIR=f"{place}/logs/",
            HTTPS_PROXY=self._proxy.url,
            SSL_CERT_FILE=str(self.certificates),
            GCE_METADATA_HOST=self._google.state()["metadata"],
        )

    def script(self, **changes) -> None:
        self._google.script(changes)

    def objects(self):
        return {name.partition("/")[2]: text for name, text in self._google.state()["objects"].items()}

    def archive(self, name):
        content = self.objects()[f"{BASE}/{name}"].encode("latin-1")
        with tarfile.open(fileobj=io.BytesIO(gzip.decompress(content))) as archive:
            return {entry.name: entry for entry in archive}

    def asked(self, method):
        return [asked for asked in self.record.to_json() if asked["method"] == method]

    def stop(self) -> None:
        self._proxy.shutdown()
        self._google.stop()


@pytest.fixture
def cloud(tmp_path, container):
    cloud = Cloud(tmp_path / "cloud")
    cloud.leads(container)
    yield cloud
    cloud.stop()


def test_results_are_kept_as_files_and_as_archives(cloud, container):
    container.holds_script(
        """
        import os, pathlib
        model = pathlib.Path(os.environ["SM_MODEL_DIR"])
        (model / "deep").mkdir()
        (model / "deep/weights.bin").write_text("42")
        (model / "run.sh").write_text("#!")
        (model / "run.sh").chmod(0o755)
        (model / "latest").symlink_to("run.sh")
        (model / "empty").write_text("")
        pathlib.Path(os.environ["SM_OUTPUT_DATA_DIR"], "table.csv").write_text("a,b")
        board = pathlib.Path(os.environ["SM_OUTPUT_DIR"], "tensorboard")
        board.mkdir()
        (board / "events").write_text("e")
        checkpoints = model.parent / "checkpoints"
        (checkpoints / "step-1").write_text("c")
        """
    )
    ended = container.run()
    assert (ended.exit_code, ended.failure) == (0, None), ended.stderr
    objects = cloud.objects()
    texts = {name: text for name, text in objects.items() if not name.endswith(".gz")}
    assert texts == {
        f"{BASE}/model/deep/weights.bin": "42",
        f"{BASE}/model/run.sh": "#!",
        f"{BASE}/model/latest": "#!",
        f"{BASE}/model/empty": "",
        f"{BASE}/logs/events": "e",
        f"{BASE}/checkpoints/step-1": "c",
    }
    model = cloud.archive("model.tar.gz")
    assert model["run.sh"].mode & 0o777 == 0o755
    assert model["latest"].issym() and model["deep/weights.bin"].size == 2
    assert list(cloud.archive("output.tar.gz")) == ["table.csv"]


def test_a_run_that_was_cut_off_finds_its_checkpoints_and_nothing_beside_them(cloud, container):
    cloud.script(
        objects={
            f"bucket/{BASE}/checkpoints/epoch/1": "one",
            f"bucket/{BASE}/checkpoints/../../evil": "evil",
            f"bucket/{BASE}/checkpoints//evil": "evil",
        }
    )
    container.holds_script(
        """
        import os, pathlib
        checkpoints = pathlib.Path(os.environ["SM_MODEL_DIR"]).parent / "checkpoints"
        print((checkpoints / "epoch/1").read_text())
        print(sorted(str(path.relative_to(checkpoints)) for path in checkpoints.rglob("*")))
        """
    )
    ended = container.run()
    assert ended.stdout == b"one\n['epoch', 'epoch/1']\n", ended.stderr
    assert not list(container.folder.rglob("evil"))
    assert not cloud.asked("PUT"), "what is there already is not sent again"


def test_a_failure_tells_its_reason_and_leaves_no_model(cloud, container):
    container.holds_script(
        """
        import os
        open(os.environ["SM_MODEL_DIR"] + "/half", "w").write("x")
        open(os.environ["SM_OUTPUT_DATA_DIR"] + "/seen", "w").write("x")
        raise ValueError("no such column")
        """
    )
    assert container.run().exit_code == 1
    objects = cloud.objects()
    assert sorted(objects) == [f"{BASE}/failure", f"{BASE}/output.tar.gz"]
    assert objects[f"{BASE}/failure"].startswith("ValueError: no such column\n")


def test_a_large_file_goes_in_pieces_and_goes_on_where_it_was_cut_off(cloud, container):
    size = 20_000_000
    cloud.faults += [{"method": "PUT", "status": 503, "times": 1}, {"method": "PUT", "status": 503, "times": 1, "takes": True}]
    container.holds_script(
        f"""
        import os
        open(os.environ["SM_MODEL_DIR"] + "/weights", "wb").write(os.urandom({size}))
        """
    )
    ended = container.run()
    assert ended.exit_code == 0, ended.stderr
    assert len(cloud.objects()[f"{BASE}/model/weights"]) == size
    assert cloud.archive("model.tar.gz")["weights"].size == size
    ranges = [asked["headers"]["content-range"] for asked in cloud.asked("PUT")]
    assert any(span.startswith("bytes */") for span in ranges), ranges
    assert "bytes 8388608-16777215/*" in ranges, ranges


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"denied": {"bucket": ["trainer"]}}, "trainer does not have storage.objects.list access"),
        ({"buckets": {}}, "The specified bucket does not exist"),
        ({"machine": None}, "cannot get a token from the metadata server"),
    ],
)
def test_results_that_cannot_be_kept_are_a_failure(cloud, container, changes, says):
    cloud.script(**changes)
    # Without checkpoints nothing is asked for before the end.
    del container.environment["AIP_CHECKPOINT_DIR"]
    container.holds_script("import os\nopen(os.environ['SM_MODEL_DIR'] + '/m', 'w').write('x')\n")
    ended = container.run()
    assert ended.exit_code == 1
    assert f"cannot upload the results to gs://bucket/{BASE}/" in ended.stderr.decode()
    assert says in ended.failure


def test_a_token_that_ends_early_is_renewed(cloud, container):
    cloud.faults.append({"method": "POST", "status": 401, "times": 1})
    container.holds_script("import os\nopen(os.environ['SM_MODEL_DIR'] + '/m', 'w').write('x')\n")
    assert container.run().exit_code == 0
    tokens = {asked["headers"]["authorization"] for asked in cloud.record.to_json()}
    assert len(tokens) == 2, tokens


def test_hyperparameters_and_hosts_may_come_in_variables(container):
    container.holds_project("hyperparameters")
    pools = {"workerpool0": ["127.0.0.1:2222"], "workerpool1": ["127.0.0.2:2222"]}
    container.environment.update(
        ALEKSEYLEARN_HYPERPARAMETERS=json.dumps({"epochs": "3", "name": "first try"}),
        CLUSTER_SPEC=json.dumps({"cluster": pools, "task": {"type": "workerpool1", "index": 0}}),
    )
    ended = container.run()
    assert ended.exit_code == 0, ended.stderr
    variables = container.seen()["environment"]
    assert container.seen()["arguments"] == ["--epochs", "3", "--name", "first try"]
    assert variables["SM_HOSTS"] == '["127.0.0.1","127.0.0.2"]'
    assert (variables["SM_CURRENT_HOST"], variables["RANK"], variables["MASTER_ADDR"]) == ("127.0.0.2", "1", "127.0.0.1")
    # Other ports than the one that is told need not be open.
    assert variables["MASTER_PORT"] == variables["PET_MASTER_PORT"] == variables["SM_MASTER_PORT"] == "2222"


def test_what_the_platform_says_of_the_first_host_is_said_to_torchrun_too(container):
    container.holds_project("hyperparameters")
    pools = {"workerpool0": ["127.0.0.1:2222"], "workerpool1": ["127.0.0.2:2222"]}
    container.environment.update(
        MASTER_ADDR="127.0.0.3",
        MASTER_PORT="3333",
        CLUSTER_SPEC=json.dumps({"cluster": pools, "task": {"type": "workerpool0", "index": 0}}),
    )
    assert container.run().exit_code == 0
    variables = container.seen()["environment"]
    for prefix in ("", "PET_"):
        assert (variables[prefix + "MASTER_ADDR"], variables[prefix + "MASTER_PORT"]) == ("127.0.0.3", "3333")


def test_of_several_hosts_the_first_one_keeps_results_and_others_why_they_failed(cloud, container):
    pools = {"workerpool0": ["127.0.0.1:2222"], "workerpool1": ["127.0.0.12:2222", "127.0.0.2:2222"]}
    container.environment["CLUSTER_SPEC"] = json.dumps({"cluster": pools, "task": {"type": "workerpool1", "index": 1}})
    container.holds_script(
        """
        import os, pathlib
        assert os.environ["RANK"] == "2", "by their places, whatever their names"
        for name in ("MODEL_DIR", "OUTPUT_DATA_DIR"):
            pathlib.Path(os.environ["SM_" + name], "mine").write_text("x")
        pathlib.Path(os.environ["SM_MODEL_DIR"]).parent.joinpath("checkpoints/mine").write_text("x")
        raise ValueError("this host has had enough")
        """
    )
    assert container.run().exit_code == 1
    objects = cloud.objects()
    assert list(objects) == [f"{BASE}/failure-workerpool1-1"]
    assert objects[f"{BASE}/failure-workerpool1-1"].startswith("ValueError: this host has had enough\n")


def test_another_programs_description_of_a_cluster_is_left_alone(container):
    container.holds_project("hyperparameters")
    container.environment["CLUSTER_SPEC"] = json.dumps({"cluster": {"ps": ["a:1"]}})
    assert container.run().exit_code == 0
    assert container.seen()["environment"]["SM_HOSTS"] == '["algo-1"]'

