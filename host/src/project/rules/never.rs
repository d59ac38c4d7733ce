//! Files that are not sent, whatever the ignore files say: credentials by their usual names, and files that no image
//! needs.

use std::path::Path;

use super::{
    glob::{Case, Lines},
    is_name,
};
use crate::project::contents;

/// Credentials and keys. The names are those that the tools themselves use, and the ones that scanners for leaked
/// secrets look for.
const SECRETS: &[&str] = &[
    // Variables
    "*.env",
    "*.env.local",
    ".env",
    ".env.*",
    ".env[-_~]*",
    ".envrc*",
    "env.local",
    "env.prod*",
    ".dev.vars",
    ".Renviron*",
    // Keys
    "*.pem",
    "*.pem.*",
    "*.key",
    "*.key.bak",
    "*.key.old",
    "*.p8",
    "*.pk8",
    "*.p12",
    "*.pfx",
    "*.pkcs12",
    "*.ppk",
    "*.jks",
    "*.jceks",
    "*.bks",
    "*.kdb",
    "*.kdbx",
    "*.keystore",
    "*.keychain",
    "*.agilekeychain",
    "*.kwallet",
    "*.psafe3",
    "*.keytab",
    "krb5cc_*",
    "*.agekey",
    "*.ovpn",
    "id_rsa*",
    "id_dsa*",
    "id_ecdsa*",
    "id_ed25519*",
    "*_rsa",
    "*_dsa",
    "*_ecdsa",
    "*_ed25519",
    ".ssh",
    ".gnupg",
    "secring.*",
    ".password-store",
    // Clouds
    ".aws",
    "*aws*credentials",
    "*accessKeys*.csv",
    "rootkey.csv",
    "*credentials.csv",
    ".azure",
    "azureProfile.json",
    "accessTokens.json",
    "*.publishsettings",
    "local.settings.json",
    ".azureauth",
    "azureauth.json",
    ".boto",
    ".s3cfg*",
    "s3cfg",
    "boto.cfg",
    ".passwd-s3fs",
    ".rclone.conf",
    "rclone.conf",
    ".mc/config.json",
    ".config/gcloud",
    ".gcloud",
    "*credentials*.json",
    "credentials",
    "credentials.cfg",
    "credentials.conf",
    "credentials.db",
    "credentials.ini",
    "credentials.toml",
    "credentials.txt",
    "credentials.xml",
    "credentials.y*ml",
    "access_tokens.db",
    "client_secret*.json",
    "client-secret*.json",
    "keyfile.json",
    "gc[ps]-key*.json",
    "gc[ps]_key*.json",
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
    ".snowflake",
    ".modal.toml",
    ".ngc",
    ".runpod",
    ".doctl",
    ".config/doctl",
    "kubeconfig*",
    "kube_config*",
    "kube.config",
    "*.kubeconfig",
    ".kube",
    "*.tfvars",
    "*.tfvars.json",
    "*.tfstate",
    "*.tfstate.*",
    ".terraformrc",
    ".terraform.d/credentials*",
    "terraform.rc",
    ".vault-token",
    ".vault[-_]pass*",
    "vault[-_]pass*",
    // Tools of this field
    ".kaggle",
    "kaggle.json",
    ".huggingface",
    "huggingface/token",
    "huggingface/stored_tokens",
    ".comet.config",
    "clearml.conf",
    ".neptune*",
    ".openai",
    ".anthropic",
    "hub/token",
    ".dvc/config.local",
    ".dbt",
    ".token",
    ".*_token",
    ".*_api_key",
    ".apikey",
    "hf_token*",
    "oauth*token*.json",
    "github_token*",
    "access_token*",
    "api[-_]key*.json",
    "api[-_]key*.txt",
    "apikey*.json",
    "apikey*.txt",
    "password.txt",
    "passwords.txt",
    ".secret_key",
    "*_secret.json",
    "*_secret.txt",
    "secret.ini",
    "secret.json",
    "secret.toml",
    "secret.txt",
    "secret.y*ml",
    "secrets.ini",
    "secrets.json",
    "secrets.toml",
    "secrets.txt",
    "secrets.y*ml",
    "*-secret.y*ml",
    "*-secrets.y*ml",
    "*.secret",
    "*.secrets",
    ".secret",
    ".secret.*",
    ".secrets",
    ".secrets.*",
    "jupyter_cookie_secret",
    // Registries, indexes, hosts
    ".docker",
    "auth.json",
    ".dockercfg",
    ".dockerconfigjson",
    ".npmrc*",
    ".yarnrc",
    ".yarnrc.yml",
    ".pypirc*",
    "pip.conf",
    "pip.ini",
    ".netrc*",
    "netrc",
    "_netrc",
    ".git-credentials*",
    ".netlify",
    ".config/gh",
    ".config/hub",
    ".cargo/credentials*",
    ".gem/credentials",
    ".m2/settings*.xml",
    ".sentryclirc",
    "*htpasswd",
    ".curlrc",
    ".wgetrc",
    ".esmtprc",
    ".msmtprc",
    ".fetchmailrc",
    ".ftpconfig",
    ".remote-sync.json",
    "sftp-config.json",
    ".vscode/sftp.json",
    "filezilla.xml",
    "recentservers.xml",
    "sitemanager.xml",
    ".dbeaver",
    "*dbeaver-data-sources*.xml",
    "robomongo.json",
    // Databases, and histories
    ".pgpass",
    "pgpass.conf",
    ".my.cnf",
    ".mylogin.cnf",
    ".*history",
    ".lesshst",
    // Made to be shared
    "!.env.example",
    "!.env.*.example",
    "!.env.sample",
    "!.env.template",
    "!.env.dist",
    "!*.pem.example",
    "!.envrc.example",
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

/// Whether something has the name of a secret, and is code: a package, or a module such as `access_token.py`.
pub(super) fn is_code(pattern: &str, path: &Path, is_folder: bool) -> bool {
    match is_folder {
        true => !pattern.starts_with('.') && path.join("__init__.py").is_file(),
        false => pattern.ends_with('*') && path.to_str().is_some_and(contents::is_code),
    }
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
