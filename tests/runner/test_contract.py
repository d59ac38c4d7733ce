"""What a script is given: folders, variables, arguments."""

import json
import os


def test_the_variables_of_a_described_job(container):
    container.holds_project("hyperparameters")
    container.has_hyperparameters(
        epochs="3",
        name="first try",
        layers="[64, 32]",
        sagemaker_job_name='"x"',
        _tuning_objective_metric="loss",
    )
    container.is_given("inputdataconfig", {"train": {"TrainingInputMode": "File"}, "dev": {}})
    container.is_given(
        "resourceconfig",
        {
            "current_host": "127.0.0.2",
            "hosts": ["127.0.0.1", "127.0.0.2"],
            "network_interface_name": "eth1",
            "current_instance_type": "ml.m5.large",
        },
    )
    assert container.run().exit_code == 0
    ml = container.ml
    variables = container.seen()["environment"]
    expected = {
        "SM_MODEL_DIR": f"{ml}/model",
        "SM_INPUT_DIR": f"{ml}/input",
        "SM_INPUT_CONFIG_DIR": f"{ml}/input/config",
        "SM_OUTPUT_DIR": f"{ml}/output",
        "SM_OUTPUT_DATA_DIR": f"{ml}/output/data",
        "SM_OUTPUT_INTERMEDIATE_DIR": f"{ml}/output/intermediate",
        "SM_CHANNELS": '["dev","train"]',
        "SM_CHANNEL_TRAIN": f"{ml}/input/data/train",
        "SM_CHANNEL_DEV": f"{ml}/input/data/dev",
        "SM_HPS": '{"epochs":3,"layers":[64,32],"name":"first try"}',
        "SM_HP_EPOCHS": "3",
        "SM_HP_NAME": "first try",
        "SM_HP_LAYERS": "[64,32]",
        "SM_HOSTS": '["127.0.0.1","127.0.0.2"]',
        "SM_HOST_COUNT": "2",
        "SM_CURRENT_HOST": "127.0.0.2",
        "SM_CURRENT_HOST_RANK": "1",
        "SM_CURRENT_INSTANCE_TYPE": "ml.m5.large",
        "SM_MASTER_ADDR": "127.0.0.1",
        "SM_MASTER_PORT": "7777",
        "SM_NUM_CPUS": str(len(os.sched_getaffinity(0))),
        "SM_NUM_NEURONS": "0",
        "SM_NETWORK_INTERFACE_NAME": "eth1",
        "SM_INPUT_DATA_CONFIG": '{"dev":{},"train":{"TrainingInputMode":"File"}}',
        "SM_USER_ARGS": '["--epochs","3","--layers","[64, 32]","--name","first try"]',
        "SM_USER_ENTRY_POINT": "train.py",
        "SM_MODULE_NAME": "train",
        "SM_MODULE_DIR": str(container.code),
        "SM_LOG_LEVEL": "20",
    }
    expected_of_launchers = {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": "7777",
        "WORLD_SIZE": "2",
        "RANK": "1",
        "LOCAL_RANK": "0",
        "PET_NNODES": "2",
        "PET_NODE_RANK": "1",
        "PET_MASTER_ADDR": "127.0.0.1",
        "GLOO_SOCKET_IFNAME": "eth1",
    }
    expected.update(expected_of_launchers)
    assert {name: variables.get(name) for name in expected} == expected
    with open(variables["OMPI_MCA_orte_default_hostfile"]) as hostfile:
        assert hostfile.read() == "127.0.0.1\n127.0.0.2\n"
    assert json.loads(variables["SM_RESOURCE_CONFIG"])["hosts"] == ["127.0.0.1", "127.0.0.2"]
    assert json.loads(variables["SM_TRAINING_ENV"])["channel_input_dirs"]["train"] == f"{ml}/input/data/train"


def test_a_job_without_any_description_runs_on_one_host(container):
    container.holds_project("hyperparameters")
    assert container.run().exit_code == 0
    variables = container.seen()["environment"]
    assert variables["SM_HOSTS"] == '["algo-1"]'
    assert variables["SM_CURRENT_HOST"] == variables["SM_MASTER_ADDR"] == "algo-1"
    assert variables["SM_CURRENT_HOST_RANK"] == "0"
    assert variables["SM_CHANNELS"] == "[]"
    assert variables["SM_HPS"] == "{}"
    assert container.seen()["arguments"] == []
    assert not {"RANK", "WORLD_SIZE", "MASTER_ADDR", "PET_NNODES", "OMPI_MCA_orte_default_hostfile"} & set(variables)


def test_the_folders_to_write_to_are_there_and_no_checkpoint_folder(container):
    container.holds_project("hyperparameters")
    container.run()
    assert sorted(p.name for p in container.ml.iterdir()) == ["model", "output"]
    assert sorted(p.name for p in (container.ml / "output").iterdir()) == ["data", "intermediate"]


def test_arguments_follow_the_toolkit(container):
    container.holds_project("hyperparameters")
    container.has_hyperparameters(
        **{
            "learning-rate": "0.10",
            "c": "7",
            "shuffle": "true",
            "nothing": "null",
            "quoted": '"two words"',
            "raw": "s3://bucket/a b",
            "table": '{"b": 2, "a": 1}',
            "sagemaker_program": "train.py",
            "_tuning_objective_metric": "loss",
        }
    )
    container.run()
    assert container.seen()["arguments"] == [
        *["-c", "7", "--learning-rate", "0.1", "--nothing", "", "--quoted", "two words"],
        *["--raw", "s3://bucket/a b", "--shuffle", "True", "--table", "a=1,b=2"],
    ]
    assert container.seen()["known"] == {"c": 7, "learning_rate": 0.1, "shuffle": "True"}


def test_arguments_are_as_they_were_written_where_the_job_says_so(container):
    container.holds_project("hyperparameters")
    container.environment["ALEKSEYLEARN_ARGUMENTS"] = "as-written"
    container.has_hyperparameters(
        **{"rate": "1e5", "shuffle": "true", "nothing": "null", "quoted": '"two words"', "table": '{"b": 2}'}
    )
    container.run()
    assert container.seen()["arguments"] == [
        *["--nothing", "null", "--quoted", "two words", "--rate", "1e5", "--shuffle", "true", "--table", '{"b": 2}']
    ]
    assert container.seen()["environment"]["SM_HPS"] == (
        '{"nothing":null,"quoted":"two words","rate":100000.0,"shuffle":true,"table":{"b":2}}'
    )


def test_what_the_jobs_environment_sets_wins(container):
    container.holds_project("hyperparameters")
    container.environment.update(SM_NUM_GPUS="4", SM_LOG_LEVEL="10", PYTHONPATH="/somewhere")
    container.run()
    variables = container.seen()["environment"]
    assert variables["SM_NUM_GPUS"] == "4"
    assert variables["SM_LOG_LEVEL"] == "10"
    assert variables["PYTHONPATH"] == "/somewhere"


def test_a_vendors_tool_counts_the_gpus(container):
    container.holds_project("hyperparameters")
    tool = container.folder / "bin" / "nvidia-smi"
    tool.parent.mkdir()
    tool.write_text("#!/bin/sh\necho 'GPU 0: A100'\necho 'GPU 1: A100'\n")
    tool.chmod(0o755)
    container.environment["PATH"] = f"{tool.parent}:{container.environment['PATH']}"
    container.run()
    assert container.seen()["environment"]["SM_NUM_GPUS"] == "2"


def test_a_script_in_a_subfolder_starts_in_the_code_folder_and_imports_from_its_own(container):
    container.has_environment()
    container.holds_script(
        """
        import os
        import beside
        print(beside.name, os.path.exists("jobs"))
        """,
        artifact="jobs/train.py",
    )
    (container.code / "jobs" / "beside.py").write_text("name = 'beside'\n")
    ended = container.run()
    assert ended.stdout == b"beside True\n"


def test_any_other_argument_is_refused(container):
    container.holds_project("hyperparameters")
    for arguments in (["serve"], ["train", "now"], [""]):
        ended = container.run(*arguments)
        assert ended.exit_code == 2
        assert b'takes the single argument "train"' in ended.stderr
    assert not container.ml.exists()


def test_an_image_without_its_artifact_says_so(container):
    container.trains("gone.py")
    ended = container.run()
    assert ended.exit_code == 1
    assert b"'gone.py'" in ended.stderr
    assert "the artifact 'gone.py', named in" in ended.failure


def test_broken_configuration_says_which_file(container):
    container.holds_project("hyperparameters")
    container.is_given("hyperparameters", ["not", "an", "object"])
    ended = container.run()
    assert ended.exit_code == 1
    assert "hyperparameters.json does not hold a JSON object" in ended.failure
