//! Files that are not sent, whatever the ignore files say: credentials by their usual names, and files that no image
//! needs.

use super::{
    glob::{Case, Lines},
    is_name,
};

/// Credentials and keys. The names are those that the tools themselves use, and the ones that scanners for leaked
/// secrets look for.
const SECRETS: &[&str] = &[
    // Variables
    "*.env",
    ".env",
    ".env.*",
    ".envrc",
    ".dev.vars",
    ".Renviron",
    // Keys
    "*.pem",
    "*.key",
    "*.p12",
    "*.pfx",
    "*.pkcs12",
    "*.ppk",
    "*.jks",
    "*.kdb",
    "*.kdbx",
    "*.keystore",
    "*.keychain",
    "*.agekey",
    "*.ovpn",
    "id_rsa*",
    "id_dsa*",
    "id_ecdsa*",
    "id_ed25519*",
    ".ssh",
    ".gnupg",
    "secring.*",
    ".password-store",
    // Clouds
    ".aws",
    ".azure",
    "azureProfile.json",
    "accessTokens.json",
    "*.publishsettings",
    "local.settings.json",
    ".boto",
    ".s3cfg",
    ".passwd-s3fs",
    ".rclone.conf",
    "rclone.conf",
    ".mc/config.json",
    ".config/gcloud",
    "application_default_credentials.json",
    "credentials.json",
    "credentials.toml",
    "credentials.y*ml",
    "client_secret*.json",
    "service-account*.json",
    "service_account*.json",
    "serviceaccount*.json",
    "*-service-account*.json",
    "*_service_account*.json",
    "*firebase-adminsdk*.json",
    "gha-creds-*.json",
    "token.json",
    "token.pickle",
    ".oci",
    ".aliyun",
    ".databrickscfg",
    ".databricks",
    ".snowsql",
    ".modal.toml",
    ".ngc",
    ".runpod",
    ".doctl",
    ".config/doctl",
    "kubeconfig",
    "*.kubeconfig",
    ".kube",
    "*.tfvars",
    "*.tfvars.json",
    "*.tfstate",
    "*.tfstate.*",
    ".terraformrc",
    "terraform.rc",
    ".vault-token",
    // Tools of this field
    ".kaggle",
    "kaggle.json",
    ".huggingface",
    "huggingface/token",
    "huggingface/stored_tokens",
    ".comet.config",
    "secrets.toml",
    "secrets.y*ml",
    "secrets.json",
    "secret.json",
    ".secrets",
    ".secrets.*",
    "jupyter_cookie_secret",
    // Registries, indexes, hosts
    ".docker",
    ".dockercfg",
    ".dockerconfigjson",
    ".npmrc",
    ".yarnrc",
    ".yarnrc.yml",
    ".pypirc",
    "pip.conf",
    "pip.ini",
    ".netrc",
    "_netrc",
    ".git-credentials",
    ".config/gh",
    ".config/hub",
    ".cargo/credentials*",
    ".gem/credentials",
    ".m2/settings*.xml",
    ".sentryclirc",
    ".htpasswd",
    // Databases, and histories
    ".pgpass",
    "pgpass.conf",
    ".my.cnf",
    ".mylogin.cnf",
    ".bash_history",
    ".zsh_history",
    ".python_history",
    ".psql_history",
    ".mysql_history",
    ".sqlite_history",
    // Made to be shared
    "!.env.example",
    "!.env.*.example",
    "!.env.sample",
    "!.env.template",
    "!.env.dist",
    "!example.env",
    "!sample.env",
    "!template.env",
    "!*.example.env",
    "!*.sample.env",
    "!*.template.env",
    "!*.pub",
];

/// Files that no image needs.
const CLUTTER: &[&str] = &[
    ".git",
    ".hg",
    ".svn",
    "__pycache__",
    "*.pyc",
    ".ipynb_checkpoints",
    ".venv",
    "venv",
    ".pixi",
    ".tox",
    ".nox",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
    ".hypothesis",
    ".terraform",
    "node_modules",
    ".DS_Store",
    ".dvc/cache",
    "wandb/",
    "mlruns/",
    "lightning_logs/",
];

/// A file that marks its folder as a virtual environment of Python, whatever its name.
pub(super) const ENVIRONMENT: &str = "pyvenv.cfg";

/// The pattern of the list whose files may not be secret: their content decides.
pub(super) const BY_CONTENT: &str = "*.pem";

/// The two lists.
pub(super) struct Never {
    secrets: Lines,
    clutter: Lines,
}

impl Never {
    pub(super) fn new() -> Self {
        // A pattern with a slash would otherwise match only from the root.
        let anywhere = |pattern: &&str| {
            if pattern.trim_end_matches('/').contains('/') {
                format!("**/{pattern}")
            } else {
                (*pattern).to_owned()
            }
        };
        let list = |patterns: &[&str]| {
            Lines::of(patterns.iter().map(anywhere).collect::<Vec<_>>().iter().map(String::as_str))
        };
        Self { secrets: list(SECRETS), clutter: list(CLUTTER) }
    }

    /// Returns the pattern that makes something a secret.
    pub(super) fn secret(&self, inside: &[u8], is_folder: bool) -> Option<String> {
        pattern(&self.secrets, inside, is_folder)
    }

    /// Returns the pattern that makes something clutter.
    pub(super) fn clutter(&self, inside: &[u8], is_folder: bool) -> Option<String> {
        pattern(&self.clutter, inside, is_folder)
    }
}

fn pattern(list: &Lines, inside: &[u8], is_folder: bool) -> Option<String> {
    let line = list.deciding(inside, is_folder, Case::Ignored)?;
    (!line.negated).then(|| line.written.trim_start_matches("**/").to_owned())
}

/// Whether a pattern of the clutter list is for files that tools create again if they are missing. They are of no use in
/// an image even if git tracks them.
pub(super) fn is_made_anew(pattern: &str) -> bool {
    ["__pycache__", ".ipynb_checkpoints", "node_modules"].contains(&pattern)
}

/// Whether a pattern of the clutter list names a folder that may also be a package of the user.
pub(super) fn may_be_a_package(pattern: &str) -> bool {
    pattern.strip_suffix('/').is_some_and(|name| is_name(name.as_bytes()))
}
