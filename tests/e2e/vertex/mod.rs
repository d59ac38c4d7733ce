//! Training on Vertex AI: a plugin that is installed from its file, against the scripted Google Cloud.

mod client;
mod faults;

use std::fs;

use alekseylearn_tests::{Sandbox, Services, base_image_or_skip, services_or_skip};
use serde_json::{Value, json};

/// As a user types them.
pub(crate) const GRANTS: &str = "https://*-aiplatform.googleapis.com=google,https://*-docker.pkg.dev=google,\
                                 https://artifactregistry.googleapis.com=google,https://logging.googleapis.com=google,\
                                 https://storage.googleapis.com/storage/v1/b/{gs.bucket}=google,\
                                 https://storage.googleapis.com/storage/v1/b/{gs.bucket}/o?prefix={gs.key}/=google,\
                                 https://storage.googleapis.com/download/storage/v1/b/{gs.bucket}/o/{gs.key}=google";
const CREATE: &str = "/customJobs";

/// A user of Google Cloud with the plugin and a script, who may push to the services' own registry too.
pub(crate) fn user(services: &Services) -> Sandbox {
    let sandbox = machine(services);
    sandbox.write("train.py", "print('trained')\n");
    sandbox
}

/// A machine of that user's.
fn machine(services: &Services) -> Sandbox {
    let mut sandbox = Sandbox::new();
    services.lead(&mut sandbox);
    log_in(&mut sandbox);
    let registry = services.state("google")["images"].as_str().expect("there is a registry").to_owned();
    let grants = format!("{GRANTS},http://{registry}=google");
    sandbox.run(&["plugin", "install", "ml-engine", "--yes", "--grant", &grants]).success();
    sandbox
}

/// As `gcloud auth application-default login` leaves it.
pub(crate) fn log_in(sandbox: &mut Sandbox) {
    let login = json!({
        "type": "authorized_user", "client_id": "client", "client_secret": "client-secret",
        "refresh_token": "1//refresh-secret", "quota_project_id": "my-project",
    });
    sandbox.write_home(".config/gcloud/application_default_credentials.json", &login.to_string());
    sandbox.set("NO_GCE_CHECK", "true");
}

/// What a fit takes, with an image of the base that is there.
pub(crate) fn options(services: &Services, base: &str) -> Vec<String> {
    let registry = services.state("google")["images"].as_str().expect("there is a registry").to_owned();
    vec![
        format!("--config.base_image={base}"),
        format!("--config.repository={registry}/my-project/alekseylearn"),
        "--config.output_path=gs://bucket/jobs".to_owned(),
    ]
}

pub(crate) fn fit(sandbox: &Sandbox, options: &[String], more: &[&str]) -> alekseylearn_tests::Run {
    let options = options.iter().map(String::as_str);
    let arguments: Vec<&str> = ["fit", "train.py", "--train-driver", "ml-engine"]
        .into_iter()
        .chain(options)
        .chain(more.iter().copied())
        .collect();
    sandbox.run(&arguments)
}

/// The request that made the last job.
pub(crate) fn created(services: &Services) -> Value {
    let mut asked = services.asked(CREATE);
    asked.retain(|asked| asked["method"] == "POST" && !asked["path"].as_str().unwrap().ends_with(":cancel"));
    asked.pop().expect("a job was made")["body"].clone()
}

/// How many jobs the service has had.
pub(crate) fn jobs(services: &Services) -> usize {
    services.state("google")["jobs"].as_array().map_or(0, Vec::len)
}

/// As its users call the service today.
#[test]
fn the_driver_is_also_called_vertex_ai() {
    let (services, base) = (services_or_skip!(), base_image_or_skip!());
    let sandbox = user(&services);
    sandbox.write("alekseylearn.toml", "[train.vertex-ai]\nmachine_type = 'n1-highmem-2'\n");
    sandbox.run(&["driver", "show", "vertex-ai"]).success();
    let options = options(&services, &base);
    let fit = ["fit", "train.py", "--dry-run", "--json", "--trust", "--train-driver", "vertex-ai"];
    let fit: Vec<&str> = fit.into_iter().chain(options.iter().map(String::as_str)).collect();
    let plan = sandbox.run(&fit).success().data();
    assert_eq!(plan["train_driver"], "ml-engine");
    assert!(plan["request"].to_string().contains("n1-highmem-2"), "{plan}");
    sandbox.run(&["plugin", "uninstall", "ml-engine"]).success();
    sandbox.run(&["plugin", "install", "vertex-ai", "--yes"]).success();
}

#[test]
fn a_script_is_trained_and_its_model_comes_home() {
    let (services, base) = (services_or_skip!(), base_image_or_skip!());
    services.script("google", &json!({ "run": true }));
    let sandbox = user(&services);
    sandbox.write(
        "train.py",
        "import os, pathlib\nprint('one')\nprint(os.environ['AIP_MODEL_DIR'])\n\
         model = pathlib.Path(os.environ['SM_MODEL_DIR'])\n(model / 'weights.txt').write_text('42')\n\
         (model / 'sub').mkdir()\n(model / 'sub/more').write_text('43')\n(model / 'link').symlink_to('weights.txt')\n\
         (pathlib.Path(os.environ['SM_OUTPUT_DATA_DIR']) / 'seen').write_text(os.environ['COLOUR'])\n",
    );
    let options = options(&services, &base);
    let run = fit(
        &sandbox,
        &options,
        &["--config.environment.COLOUR=$(HOME) blue", "--fetch", "../home/out", "-v"],
    )
    .success();
    let job = sandbox.newest_job()["name"].as_str().unwrap().to_owned();
    let run = run
        .says("project my-project, region us-central1")
        .says("https://console.cloud.google.com/vertex-ai/");
    assert!(run.stdout.contains(&format!("gs://bucket/jobs/{job}/model/")), "{}", run.stdout);
    assert_eq!(fs::read_to_string(sandbox.path("../home/out/sub/more")).unwrap(), "43");
    assert!(sandbox.path("../home/out/link").is_symlink());
    let request = created(&services);
    assert_eq!((&request["displayName"], &request["labels"]["alekseylearn-job"]), (&json!(job), &json!(job)));
    // File by file for Vertex AI's Model Registry.
    let objects = services.state("google")["objects"].clone();
    for (name, text) in [("model/weights.txt", "42"), ("model/sub/more", "43"), ("model/link", "42")] {
        assert_eq!(objects[format!("bucket/jobs/{job}/{name}")], text, "{objects}");
    }
    sandbox.run(&["fetch", "../home/all", &job, "--output-data"]).success();
    assert_eq!(fs::read_to_string(sandbox.path("../home/all/output-data/seen")).unwrap(), "$(HOME) blue");
    // Nothing changed: what is there is not sent again.
    let again = fit(&sandbox, &options, &["--config.environment.COLOUR=red"]).success();
    again.says("is already in the registry");
    let logins = services.state("google")["logins"].clone();
    assert!(
        logins.as_array().is_some_and(|users| !users.is_empty() && users.iter().all(|user| user == "ada")),
        "{logins}"
    );
    for asked in services.asked("") {
        let token = asked["headers"]["authorization"].as_str().unwrap_or_default();
        let host = asked["host"].as_str().unwrap();
        assert_eq!(token.starts_with("Bearer ya29.made-secret"), host != "oauth2.googleapis.com", "{asked}");
    }
}

/// Meets the others where `torch.distributed` would, and leaves what tells who wrote it.
const TOGETHER: &str = "\
import os, pathlib, socket, time
rank, size = int(os.environ['RANK']), int(os.environ['WORLD_SIZE'])
place = (os.environ['MASTER_ADDR'], int(os.environ['MASTER_PORT']))
assert place == (os.environ['PET_MASTER_ADDR'], int(os.environ['PET_MASTER_PORT'])) and place[1] == 2222
if rank == 0:
    server = socket.create_server(('', place[1]))
    others = [server.accept()[0] for _ in range(size - 1)]
    total = sum(int(other.recv(9)) for other in others)
    [other.sendall(str(total).encode()) for other in others]
else:
    for _ in range(100):
        try:
            first = socket.create_connection(place)
            break
        except OSError:
            time.sleep(0.1)
    first.sendall(str(3 * rank).encode())
    total = int(first.recv(9))
print('rank', rank, 'of', size, 'has', total, flush=True)
for name in ('MODEL_DIR', 'OUTPUT_DATA_DIR'):
    folder = pathlib.Path(os.environ['SM_' + name])
    (folder / 'line.txt').write_text(f'of rank {rank}')
    (folder / f'rank-{rank}.txt').write_text('x')
if rank == 0:
    time.sleep(2)
";

#[test]
fn replicas_train_together_and_the_first_ones_results_come_home() {
    let (services, base) = (services_or_skip!(), base_image_or_skip!());
    services.script("google", &json!({ "run": true }));
    let sandbox = user(&services);
    sandbox.write("train.py", TOGETHER);
    let more = ["--config.replica_count=2", "--fetch", "../home/out"];
    let run = fit(&sandbox, &options(&services, &base), &more).success();
    for (replica, rank) in [("workerpool0-0", 0), ("workerpool1-0", 1)] {
        let line = format!("{replica} rank {rank} of 2 has 3");
        assert!(run.stdout.lines().any(|shown| shown == line), "{}", run.stdout);
    }
    assert_eq!(fs::read_to_string(sandbox.path("../home/out/line.txt")).unwrap(), "of rank 0");
    assert!(!sandbox.path("../home/out/rank-1.txt").exists(), "only the first one's model is kept");
    let job = sandbox.newest_job()["name"].as_str().unwrap().to_owned();
    let objects = services.state("google")["objects"].clone();
    assert_eq!(objects[format!("bucket/jobs/{job}/model/line.txt")], "of rank 0", "{objects}");
    sandbox.run(&["fetch", "../home/all", &job, "--output-data"]).success();
    assert_eq!(fs::read_to_string(sandbox.path("../home/all/output-data/line.txt")).unwrap(), "of rank 0");
    assert!(!sandbox.path("../home/all/output-data/rank-1.txt").exists());
    let logs = sandbox.run(&["logs", &job]).success();
    for node in ["workerpool0-0 rank 0", "workerpool1-0 rank 1"] {
        assert!(logs.stdout.contains(node), "{}", logs.stdout);
    }
}

#[test]
fn one_replica_that_fails_is_the_end_of_all_and_says_why() {
    let (services, base) = (services_or_skip!(), base_image_or_skip!());
    services.script("google", &json!({ "run": true }));
    let sandbox = user(&services);
    sandbox.write(
        "train.py",
        "import os, socket, time\nrank = int(os.environ['RANK'])\n\
         hosts = os.environ['SM_HOSTS']\nassert 'workerpool0' in hosts and 'workerpool1' in hosts, hosts\n\
         open(f'/opt/ml/model/of-{rank}', 'w').write('x')\n\
         if rank == 2:\n    time.sleep(1)\n    raise ValueError('this replica has had enough')\ntime.sleep(300)\n",
    );
    let run = fit(&sandbox, &options(&services, &base), &["--config.replica_count=3"]);
    run.failure(10).one_error().says("workerpool1-1: ValueError: this replica has had enough");
    let job = sandbox.newest_job()["name"].as_str().unwrap().to_owned();
    let objects = services.state("google")["objects"].clone();
    // It was told to stop, and so brought what it had.
    assert_eq!(objects[format!("bucket/jobs/{job}/model/of-0")], "x", "{objects}");
    assert!(objects.get(format!("bucket/jobs/{job}/model/of-2")).is_none(), "{objects}");
}

#[test]
fn another_machine_finds_a_job_by_its_place() {
    let (services, base) = (services_or_skip!(), base_image_or_skip!());
    services.script("google", &json!({ "run": true }));
    let sandbox = user(&services);
    sandbox.write(
        "train.py",
        "import pathlib\npathlib.Path('/opt/ml/model/weights').write_text('42')\n\
         kept = pathlib.Path('/opt/ml/checkpoints/step 1')\nkept.mkdir()\n(kept / 'größe').write_text('state')\n",
    );
    fit(&sandbox, &options(&services, &base), &[]).success();
    let job = sandbox.newest_job()["name"].as_str().unwrap().to_owned();
    sandbox.run(&["fetch", "out", &job, "--checkpoints"]).success();
    assert_eq!(fs::read_to_string(sandbox.path("out/checkpoints/step 1/größe")).unwrap(), "state");

    let elsewhere = machine(&services);
    let asked = services.asked("/customJobs").len();
    let fetch =
        |place: &str| elsewhere.run(&["fetch", "out", "work/train", place, "--checkpoints", "--overwrite"]);
    fetch("gs://bucket/jobs").success();
    assert_eq!(fs::read_to_string(elsewhere.path("out/weights")).unwrap(), "42");
    assert_eq!(fs::read_to_string(elsewhere.path("out/checkpoints/step 1/größe")).unwrap(), "state");
    assert_eq!(services.asked("/customJobs").len(), asked, "the store alone is asked");
    fetch("gs://bucket/job").failure(4).one_error().says("has a model under gs://bucket/job");
    fetch("abc://bucket/jobs").failure(4).one_error().says("no driver stores results at abc://");
}
