//! Podman's service, with its own storage.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

/// A running `podman system service`, which ends when this is dropped.
pub struct Podman {
    service: Child,
    folder: tempfile::TempDir,
    socket: PathBuf,
}

impl Podman {
    /// Starts it, and loads an image into its storage.
    ///
    /// # Errors
    /// The reason why this machine cannot run it.
    pub fn start(image: &str) -> Result<Self, String> {
        let root = std::env::var_os("ALEKSEYLEARN_PODMAN").map(PathBuf::from);
        let root = root.ok_or("ALEKSEYLEARN_PODMAN is not set: Podman is not available")?;
        let id = Command::new("id").arg("-u").output().map_err(|error| error.to_string())?;
        if id.stdout != b"0\n" {
            return Err("only root can run it with its own storage".into());
        }
        let folder =
            tempfile::Builder::new().prefix("alekseylearn-podman-").tempdir().expect("a folder can be made");
        let socket = folder.path().join("podman.sock");
        configure(&root, folder.path());
        let log = fs::File::create(folder.path().join("log")).expect("a file can be made");
        let mut service = Command::new(root.join("usr/bin/podman"));
        service.args(["system", "service", "--time", "0"]).arg(format!("unix://{}", socket.display()));
        service.env("HOME", folder.path()).env("LD_LIBRARY_PATH", libraries(&root));
        for name in ["containers", "registries", "storage"] {
            let variable = match name {
                "containers" => "CONTAINERS_CONF".to_owned(),
                name => format!("CONTAINERS_{}_CONF", name.to_uppercase()),
            };
            service.env(variable, folder.path().join(format!("{name}.conf")));
        }
        let service = service.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn();
        let podman = Self { service: service.map_err(|error| error.to_string())?, folder, socket };
        for _ in 0..100 {
            if podman.docker(&["version"]).is_ok() {
                return podman.load(image).map(|()| podman);
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Err(format!("its service does not start: {}", podman.log()))
    }

    /// The value for `DOCKER_HOST`.
    pub fn address(&self) -> String {
        format!("unix://{}", self.socket.display())
    }

    /// Runs Docker's command line with this engine.
    ///
    /// # Errors
    /// The standard error of a failed command.
    pub fn docker(&self, arguments: &[&str]) -> Result<String, String> {
        let output = Command::new("docker").args(arguments).env("DOCKER_HOST", self.address()).output();
        let output = output.map_err(|error| error.to_string())?;
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }

    fn load(&self, image: &str) -> Result<(), String> {
        let archive = self.folder.path().join("image.tar");
        let archive = archive.to_str().expect("a path in UTF-8");
        let saved = Command::new("docker").args(["save", "--output", archive, image]).status();
        if !saved.is_ok_and(|status| status.success()) {
            return Err(format!("{image} cannot be saved"));
        }
        self.docker(&["load", "--quiet", "--input", archive])?;
        fs::remove_file(archive).map_err(|error| error.to_string())?;
        // If this machine is a container itself, it may not be able to start containers.
        self.docker(&["run", "--rm", "--network=host", image, "true"]).map(drop)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        let containers = self.docker(&["ps", "-aq"]).unwrap_or_default();
        for container in containers.lines() {
            let _ = self.docker(&["rm", "--force", container]);
        }
        let _ = self.service.kill();
        let _ = self.service.wait();
        // Podman leaves its storage mounted.
        let _ = Command::new("umount")
            .arg(self.folder.path().join("store/overlay"))
            .stderr(Stdio::null())
            .status();
    }
}

fn libraries(root: &Path) -> PathBuf {
    let all = fs::read_dir(root.join("usr/lib")).expect("it was unpacked");
    let mut all = all.flatten().map(|entry| entry.path());
    all.find(|path| path.join("libgpgme.so.11").exists()).unwrap_or_else(|| root.join("usr/lib"))
}

fn configure(root: &Path, folder: &Path) {
    let write = |name: &str, text: String| fs::write(folder.join(name), text).expect("a file can be written");
    let there = |program: &str| {
        ["/usr/sbin", "/usr/bin"]
            .iter()
            .map(|at| format!("{at}/{program}"))
            .find(|path| Path::new(path).exists())
    };
    // The process that it starts when a container ends needs the libraries too.
    let conmon = folder.join("conmon");
    let text = format!(
        "#!/bin/sh\nLD_LIBRARY_PATH={} exec {} \"$@\"\n",
        libraries(root).display(),
        root.join("usr/bin/conmon").display()
    );
    fs::write(&conmon, text).expect("a file can be written");
    fs::set_permissions(&conmon, fs::Permissions::from_mode(0o755)).expect("it is ours");
    // Docker's runtime works wherever Docker does.
    let (name, runtime) = match there("runc") {
        Some(runc) => ("runc", runc),
        None => ("crun", root.join("usr/bin/crun").display().to_string()),
    };
    write(
        "containers.conf",
        format!(
            "[engine]\nconmon_path = [\"{}\"]\nruntime = \"{name}\"\ncgroup_manager = \"cgroupfs\"\n\
             events_logger = \"file\"\n[engine.runtimes]\n{name} = [\"{runtime}\"]\n[containers]\nnetns = \"host\"\n\
             log_driver = \"k8s-file\"\ndefault_ulimits = [\"nofile=1024:1024\", \"nproc=1024:1024\"]\n\
             [network]\ncni_plugin_dirs = [\"{}\"]\n",
            conmon.display(),
            root.join("usr/lib/cni").display()
        ),
    );
    write("registries.conf", String::new());
    let (run, store) = (folder.join("run"), folder.join("store"));
    let driver = match there("fuse-overlayfs") {
        Some(program) => format!("\"overlay\"\n[storage.options.overlay]\nmount_program = \"{program}\""),
        // Slow, but works everywhere.
        None => "\"vfs\"".to_owned(),
    };
    let places = format!("runroot = \"{}\"\ngraphroot = \"{}\"", run.display(), store.display());
    write("storage.conf", format!("[storage]\n{places}\ndriver = {driver}\n"));
    fs::create_dir_all(folder.join(".config/containers")).expect("a folder can be made");
    write(
        ".config/containers/policy.json",
        r#"{"default": [{"type": "insecureAcceptAnything"}]}"#.to_owned(),
    );
}
