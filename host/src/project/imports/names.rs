//! Names of modules: those that come with Python, and those that a known package provides.

use std::{collections::HashMap, sync::LazyLock};

/// What provides a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::project) enum Found {
    /// Python itself.
    Standard,
    /// A package, as a requirement.
    Package(&'static str),
    /// Nothing that is known: a package of the same name may be unrelated.
    Nothing,
}

/// Finds what provides a module, which may be a dotted name such as `google.cloud.storage`.
pub(in crate::project) fn find(module: &str) -> Found {
    let top = module.split('.').next().unwrap_or(module);
    if STANDARD.contains(&top) {
        return Found::Standard;
    }
    let mut name = module;
    loop {
        if let Some((_, package)) = PACKAGES.iter().find(|(known, _)| *known == name) {
            return Found::Package(package);
        }
        match name.rsplit_once('.') {
            Some((above, _)) => name = above,
            None => break,
        }
    }
    MODULES.get(top).map_or(Found::Nothing, |package| Found::Package(package))
}

/// Whether several packages share this top-level name.
pub(in crate::project) fn is_namespace(top: &str) -> bool {
    NAMESPACES.contains(&top)
}

/// Whether this is a well-known package on PyPI. The name is in lower case, with `-`.
pub(in crate::project) fn is_known_package(name: &str) -> bool {
    static ALL: LazyLock<std::collections::HashSet<&str>> = LazyLock::new(|| {
        let of_own = PACKAGES.iter().map(|(_, package)| package.split(['<', '>']).next().unwrap_or(package));
        MODULES.values().copied().chain(of_own).collect()
    });
    ALL.contains(name)
}

/// The table in `modules.txt`; see there for its source.
static MODULES: LazyLock<HashMap<&str, &str>> = LazyLock::new(|| {
    let lines = include_str!("modules.txt").lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split_once(' ').unwrap_or((line, line))).collect()
});

/// The modules of Python 3.8 to 3.14, as in `sys.stdlib_module_names`.
#[rustfmt::skip]
pub(super) const STANDARD: &[&str] = &[
    "__future__", "__main__", "_thread", "abc", "aifc", "annotationlib", "antigravity", "argparse", "array", "ast",
    "asynchat", "asyncio", "asyncore", "atexit", "audioop", "base64", "bdb", "binascii", "binhex", "bisect",
    "builtins", "bz2", "cProfile", "calendar", "cgi", "cgitb", "chunk", "cmath", "cmd", "code", "codecs", "codeop",
    "collections", "colorsys", "compileall", "compression", "concurrent", "configparser", "contextlib", "contextvars",
    "copy", "copyreg", "crypt", "csv", "ctypes", "curses", "dataclasses", "datetime", "dbm", "decimal", "difflib",
    "dis", "distutils", "doctest", "dummy_threading", "email", "encodings", "ensurepip", "enum", "errno",
    "faulthandler", "fcntl", "filecmp", "fileinput", "fnmatch", "formatter", "fractions", "ftplib", "functools", "gc",
    "genericpath", "getopt", "getpass", "gettext", "glob", "graphlib", "grp", "gzip", "hashlib", "heapq", "hmac",
    "html", "http", "idlelib", "imaplib", "imghdr", "imp", "importlib", "inspect", "io", "ipaddress", "itertools",
    "json", "keyword", "lib2to3", "linecache", "locale", "logging", "lzma", "macpath", "mailbox", "mailcap",
    "marshal", "math", "mimetypes", "mmap", "modulefinder", "msilib", "msvcrt", "multiprocessing", "netrc", "nis",
    "nntplib", "nt", "ntpath", "nturl2path", "numbers", "opcode", "operator", "optparse", "os", "ossaudiodev",
    "parser", "pathlib", "pdb", "pickle", "pickletools", "pipes", "pkgutil", "platform", "plistlib", "poplib",
    "posix", "posixpath", "pprint", "profile", "pstats", "pty", "pwd", "py_compile", "pyclbr", "pydoc", "pydoc_data",
    "pyexpat", "queue", "quopri", "random", "re", "readline", "reprlib", "resource", "rlcompleter", "runpy", "sched",
    "secrets", "select", "selectors", "shelve", "shlex", "shutil", "signal", "site", "smtpd", "smtplib", "sndhdr",
    "socket", "socketserver", "spwd", "sqlite3", "sre_compile", "sre_constants", "sre_parse", "ssl", "stat",
    "statistics", "string", "stringprep", "struct", "subprocess", "sunau", "symbol", "symtable", "sys", "sysconfig",
    "syslog", "tabnanny", "tarfile", "telnetlib", "tempfile", "termios", "textwrap", "this", "threading", "time",
    "timeit", "tkinter", "token", "tokenize", "tomllib", "trace", "traceback", "tracemalloc", "tty", "turtle",
    "turtledemo", "types", "typing", "unicodedata", "unittest", "urllib", "uu", "uuid", "venv", "warnings", "wave",
    "weakref", "webbrowser", "winreg", "winsound", "wsgiref", "xdrlib", "xml", "xmlrpc", "zipapp", "zipfile",
    "zipimport", "zlib", "zoneinfo",
];

/// Top-level names that several packages share.
const NAMESPACES: [&str; 12] = [
    "azure",
    "azureml",
    "backports",
    "databricks",
    "google",
    "jaraco",
    "nvidia",
    "opentelemetry",
    "ruamel",
    "snowflake",
    "sphinxcontrib",
    "zope",
];

/// Modules that `modules.txt` lacks, or for which it has another package than a training needs.
#[rustfmt::skip]
const PACKAGES: &[(&str, &str)] = &[
    ("azure.ai.ml", "azure-ai-ml"),
    ("azure.core", "azure-core"),
    ("azure.cosmos", "azure-cosmos"),
    ("azure.identity", "azure-identity"),
    ("azure.keyvault.secrets", "azure-keyvault-secrets"),
    ("azure.storage.blob", "azure-storage-blob"),
    ("azure.storage.filedatalake", "azure-storage-file-datalake"),
    ("azureml.core", "azureml-core"),
    ("cv2", "opencv-python-headless"),
    ("databricks.sdk", "databricks-sdk"),
    ("google.api_core", "google-api-core"),
    ("google.auth", "google-auth"),
    ("google.cloud.aiplatform", "google-cloud-aiplatform"),
    ("google.cloud.bigquery", "google-cloud-bigquery"),
    ("google.cloud.bigquery_storage", "google-cloud-bigquery-storage"),
    ("google.cloud.bigtable", "google-cloud-bigtable"),
    ("google.cloud.datastore", "google-cloud-datastore"),
    ("google.cloud.firestore", "google-cloud-firestore"),
    ("google.cloud.language", "google-cloud-language"),
    ("google.cloud.logging", "google-cloud-logging"),
    ("google.cloud.pubsub", "google-cloud-pubsub"),
    ("google.cloud.pubsub_v1", "google-cloud-pubsub"),
    ("google.cloud.secretmanager", "google-cloud-secret-manager"),
    ("google.cloud.spanner", "google-cloud-spanner"),
    ("google.cloud.speech", "google-cloud-speech"),
    ("google.cloud.storage", "google-cloud-storage"),
    ("google.cloud.translate", "google-cloud-translate"),
    ("google.cloud.vision", "google-cloud-vision"),
    ("google.genai", "google-genai"),
    ("google.generativeai", "google-generativeai"),
    ("google.oauth2", "google-auth"),
    ("google.protobuf", "protobuf"),
    ("kerastuner", "keras-tuner"),
    ("lightning_fabric", "lightning"),
    ("mlflow", "mlflow"),
    ("mpl_toolkits", "matplotlib"),
    ("mpl_toolkits.basemap", "basemap"),
    ("nvidia_smi", "nvidia-ml-py3"),
    ("osgeo", "gdal"),
    ("pylab", "matplotlib"),
    // setuptools 82 removed it.
    ("pkg_resources", "setuptools<81"),
    ("pl_bolts", "lightning-bolts"),
    ("psycopg2", "psycopg2-binary"),
    ("pynvml", "nvidia-ml-py"),
    ("ruamel.yaml", "ruamel-yaml"),
    ("sagemaker_training", "sagemaker-training"),
    ("setuptools", "setuptools"),
    ("snowflake.connector", "snowflake-connector-python"),
    ("snowflake.snowpark", "snowflake-snowpark-python"),
    ("zope.interface", "zope-interface"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_belong_to_the_expected_packages() {
        for (module, package) in [
            ("sklearn.linear_model", "scikit-learn"),
            ("hydra", "hydra-core"),
            ("absl", "absl-py"),
            ("haiku", "dm-haiku"),
            ("tree", "dm-tree"),
            ("ignite", "pytorch-ignite"),
            ("grpc", "grpcio"),
            ("googleapiclient", "google-api-python-client"),
            ("OpenGL", "pyopengl"),
            ("talib", "ta-lib"),
            ("bayes_opt", "bayesian-optimization"),
            ("whisper", "openai-whisper"),
            ("sklearnex", "scikit-learn-intelex"),
            ("usb", "pyusb"),
            ("socks", "pysocks"),
            ("open_clip", "open-clip-torch"),
            ("progressbar", "progressbar2"),
            ("PIL", "pillow"),
            ("cv2", "opencv-python-headless"),
            ("yaml", "pyyaml"),
            ("attr", "attrs"),
            ("torch.nn", "torch"),
            ("numpy", "numpy"),
            ("snappy", "python-snappy"),
        ] {
            assert_eq!(find(module), Found::Package(package), "{module}");
        }
        assert_eq!(find("os.path"), Found::Standard);
        for stranger in
            ["google", "google.nowhere", "utils", "config", "src", "models", "mytrainer", "data", "azure"]
        {
            assert_eq!(find(stranger), Found::Nothing, "{stranger}");
        }
    }
}
