//! Training without a Docker engine: images that are assembled on this machine, pushed, and run by the rig's executor.

mod faults;

use std::{fs, path::Path, process::Command};

use alekseylearn_tests::{Repository, Rig, Run, Sandbox, base_image_or_skip, rig_or_skip, services_or_skip};
use serde_json::{Value, json};

use crate::{
    sagemaker::{fit, run},
    vertex,
};

/// No engine listens here.
const NO_ENGINE: &str = "unix:///nonexistent/docker.sock";

fn docker(arguments: &[&str]) {
    let output = Command::new("docker").args(arguments).output().unwrap();
    assert!(output.status.success(), "docker {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A base image in the rig's registry, put there with the machine's engine.
pub(crate) struct Base {
    pub(crate) repository: Repository,
    /// Its name in the registry.
    pub(crate) name: String,
}

impl Base {
    pub(crate) fn of(rig: &Rig, base: &str) -> Self {
        let repository = Repository::of(rig);
        let name = repository.reference(":1").trim_start_matches("oci://").to_owned();
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("config.json"), repository.docker_config()).unwrap();
        docker(&["tag", base, &name]);
        docker(&["--config", folder.path().to_str().unwrap(), "push", "--quiet", &name]);
        docker(&["rmi", &name]);
        Self { repository, name }
    }

    /// Its name through another name of the same machine: to a client, that is another registry.
    pub(crate) fn elsewhere(&self) -> String {
        self.name.replace("127.0.0.1", "localhost")
    }

    /// A user who has logged in, on a machine without an engine.
    pub(crate) fn user(&self, rig: &Rig) -> Sandbox {
        let mut sandbox = Sandbox::with_rig(rig);
        let config = self.repository.docker_config();
        let login: Value = serde_json::from_str(&config).unwrap();
        let login = &login["auths"][rig.name("registry")];
        let elsewhere = rig.name("registry").replace("127.0.0.1", "localhost");
        let auths = json!({ "auths": { rig.name("registry"): login, elsewhere: login } });
        sandbox.write_home(".docker/config.json", &auths.to_string());
        sandbox.set("DOCKER_HOST", NO_ENGINE);
        sandbox
    }
}

/// The calls that sent something to the registry.
pub(crate) fn uploads(rig: &Rig) -> usize {
    rig.calls("PutBlobUpload").len() + rig.calls("PutManifest").len()
}

pub(crate) fn fit_without_engine(sandbox: &Sandbox, rig: &Rig, base: &str, more: &[&str]) -> Run {
    run(sandbox, &fit(rig, base, more))
}

#[test]
fn a_machine_without_an_engine_trains_on_sagemaker() {
    let (rig, image) = (rig_or_skip!(), base_image_or_skip!());
    let base = Base::of(&rig, &image);
    let mut sandbox = base.user(&rig);
    let cache = sandbox.path("cache").display().to_string();
    sandbox.set("XDG_CACHE_HOME", &cache);
    sandbox.project("examples/digits");
    let trained =
        fit_without_engine(&sandbox, &rig, &base.elsewhere(), &["digits/train.py", "--fetch", "out"])
            .success();
    assert!(trained.stdout.contains("accuracy: 0.98"), "{}", trained.stdout);
    trained.says("--build-driver daemonless");
    assert!(fs::metadata(sandbox.path("out/model.joblib")).unwrap().len() > 100_000);
    let request = rig.calls("CreateTrainingJob").pop().unwrap()["body"].clone();
    let pushed = request["AlgorithmSpecification"]["TrainingImage"].as_str().unwrap().to_owned();
    assert!(pushed.contains("/digits/train@sha256:"), "{pushed}");

    // The same again: nothing is assembled, nothing is pushed.
    let before = uploads(&rig);
    fit_without_engine(&sandbox, &rig, &base.elsewhere(), &["digits/train.py", "--detach"])
        .success()
        .says("is already in the registry");
    assert_eq!(uploads(&rig), before);

    // One line changed: the project's layer, the configuration and the manifest.
    let code = fs::read_to_string(sandbox.path("digits/train.py")).unwrap();
    sandbox.write("digits/train.py", &format!("{code}print('one more line')\n"));
    fit_without_engine(&sandbox, &rig, &base.elsewhere(), &["digits/train.py", "--detach"]).success();
    assert_eq!(uploads(&rig), before + 3);
    assert!(fs::read_dir(Path::new(&cache).join("alekseylearn/oci/work")).unwrap().next().is_none());
}

/// The files of an image below a folder: their modes and hashes, without byte code and what depends on the installer.
fn files_of(image: &str) -> Value {
    const LIST: &str = r#"
import hashlib, json, os, stat
found = {}
for folder, folders, names in os.walk("/opt/alekseylearn"):
    folders[:] = [name for name in folders if name != "__pycache__"]
    for name in names + [name for name in folders if os.path.islink(os.path.join(folder, name))]:
        path = os.path.join(folder, name)
        state = os.lstat(path)
        content = os.readlink(path) if os.path.islink(path) else hashlib.sha256(open(path, "rb").read()).hexdigest()
        found[path] = [oct(stat.S_IMODE(state.st_mode)), state.st_uid, content]
print(json.dumps(found))
"#;
    let output = Command::new("docker")
        .args(["run", "--rm", "--network=none", "--entrypoint=python3", image, "-I", "-S", "-c", LIST])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn settings_of(image: &str) -> Value {
    let output = Command::new("docker").args(["image", "inspect", image]).output().unwrap();
    let inspected: Value = serde_json::from_slice(&output.stdout).unwrap();
    let config = &inspected[0]["Config"];
    json!([
        config["Env"],
        config["Entrypoint"],
        config["Cmd"],
        config["WorkingDir"],
        inspected[0]["Architecture"]
    ])
}

/// The files that `uv venv` adds for shells and the installers themselves.
fn is_scaffold(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap();
    name.starts_with("activate")
        || name.starts_with("_virtualenv")
        || ["deactivate.bat", "pydoc.bat", ".gitignore", "CACHEDIR.TAG", ".lock", "pyvenv.cfg", "RECORD"]
            .contains(&name)
}

#[test]
fn the_image_is_that_of_a_docker_engine() {
    let (rig, image) = (rig_or_skip!(), base_image_or_skip!());
    let base = Base::of(&rig, &image);
    let mut sandbox = base.user(&rig);
    sandbox.unset("DOCKER_HOST");
    sandbox.write("p/train.py", "import tqdm\nopen('/opt/ml/model/m', 'w').write(tqdm.__version__)\n");
    sandbox.write("p/requirements.txt", "tqdm==4.67.1\njupyterlab-widgets==3.0.13\n");
    let option = format!("--config.base_image={}", base.elsewhere());
    let mut images = Vec::new();
    for (builder, option) in
        [("daemonless", option.as_str()), ("local", &format!("--config.base_image={image}"))]
    {
        sandbox.run(&["fit", "p/train.py", "--build-driver", builder, option, "--fetch", builder]).success();
        assert_eq!(fs::read_to_string(sandbox.path(builder).join("m")).unwrap(), "4.67.1");
        images.push(sandbox.newest_job());
    }
    let name = |at: usize| images[at]["image"].as_str().unwrap().to_owned();
    let [one, two] = [0, 1].map(|at| files_of(&name(at)).as_object().unwrap().clone());
    let kept = |files: &serde_json::Map<String, Value>| {
        let kept = files.iter().filter(|(path, _)| !is_scaffold(path));
        kept.map(|(path, state)| (path.clone(), state.clone())).collect::<std::collections::BTreeMap<_, _>>()
    };
    let (one, two) = (kept(&one), kept(&two));
    for (path, state) in &two {
        assert_eq!(one.get(path), Some(state), "{path}");
    }
    let more: Vec<&String> = one.keys().filter(|path| !two.contains_key(*path)).collect();
    assert!(more.is_empty(), "{more:?}");
    assert!(
        one.len() > 30 && one.keys().any(|path| path.contains("/venv/share/jupyter/")),
        "{:?}",
        one.keys()
    );
    assert_eq!(settings_of(&name(0)), settings_of(&name(1)));
}

#[test]
fn a_machine_without_an_engine_trains_on_vertex_ai() {
    let (rig, services, image) = (rig_or_skip!(), services_or_skip!(), base_image_or_skip!());
    services.script("google", &json!({ "run": true }));
    let base = Base::of(&rig, &image);
    let mut elsewhere = base.user(&rig);
    let cache = elsewhere.path("cache").display().to_string();
    elsewhere.set("XDG_CACHE_HOME", &cache);
    elsewhere.project("examples/digits");
    // The scripted services lead nowhere else, so the packages come from this run.
    fit_without_engine(&elsewhere, &rig, &base.name, &["digits/train.py", "--detach"]).success();

    let mut sandbox = vertex::user(&services);
    let config = fs::read_to_string(elsewhere.home(".docker/config.json")).unwrap();
    sandbox.write_home(".docker/config.json", &config);
    sandbox.set("XDG_CACHE_HOME", &cache).set("DOCKER_HOST", NO_ENGINE);
    sandbox.project("examples/digits");
    let options = vertex::options(&services, &base.name);
    let options = options.iter().map(String::as_str);
    let start = ["fit", "digits/train.py", "--train-driver", "vertex-ai", "--fetch", "out"];
    let arguments: Vec<&str> = start.into_iter().chain(options).collect();
    sandbox.run(&arguments).success().says("--build-driver daemonless");
    assert!(fs::metadata(sandbox.path("out/model.joblib")).unwrap().len() > 100_000);
}
