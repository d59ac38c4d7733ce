//! Searches small files for secrets that must not leave the machine: keys, and passwords in URLs. The bytes are
//! searched, whatever the file's name and encoding.

use std::{io::Read, path::Path, sync::LazyLock};

use regex::bytes::Regex;

use super::{
    File, Reason,
    indexes::{holds_password, take_out_of},
    rules,
};
use crate::disk;

/// Maximum size of a searched file in bytes; a larger one is not configuration or a list of packages.
const MAX_SIZE: u64 = 1 << 20;
/// Maximum size of a file of certificates in bytes; those of all authorities have a quarter of it.
const MAX_CERTIFICATES_SIZE: u64 = 4 << 20;
/// Extensions of source code, which is sent unchanged: without the password in a URL it would be another program.
const CODE: &[&str] = &[
    "py", "pyi", "pyx", "pyw", "ipynb", "sh", "bash", "r", "jl", "js", "ts", "c", "h", "cc", "cpp", "cu",
    "go", "rs", "java", "scala", "lua", "pl", "rb",
];

/// A mark in the head of each job report.
const PAGE_MARK: &[u8] = b"<meta name=\"generator\" content=\"alekseylearn\">";

/// What was found in a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// No secret.
    Nothing,
    /// The file is not sent, for this reason.
    Stays(Reason),
    /// The file is sent with this content, without the passwords in URLs.
    Cleaned(Vec<u8>),
    /// The file is code with a password, and is sent unchanged.
    InCode,
}

/// Searches a file that is to be sent.
pub(super) fn look(file: &File) -> Found {
    if file.link.is_some() {
        return Found::Nothing;
    }
    if file.path.ends_with(".html") && is_report(&file.source) {
        return Found::Stays(Reason::Own);
    }
    if file.size > MAX_SIZE {
        return Found::Nothing;
    }
    // A file that cannot be read is an error when it is sent.
    let Some(bytes) = rules::text_of(&file.source, MAX_SIZE) else { return Found::Nothing };
    let is_code = is_code(&file.path);
    let has_password = bytes.contains(&b'@') && holds_password(&bytes);
    let is_cleaned = !is_code && (has_password || super::dependencies::is_list(&file.path));
    let clean = if is_cleaned { take_out_of(&bytes) } else { None };
    // A token in a URL is removed, and so is not found here.
    if let Some(what) = secret(clean.as_ref().unwrap_or(&bytes), is_code) {
        return Found::Stays(Reason::Holds(what));
    }
    match clean {
        _ if has_password && is_code => Found::InCode,
        None if !has_password => Found::Nothing,
        Some(clean) if !holds_password(&clean) => Found::Cleaned(clean),
        _ => Found::Stays(Reason::Login),
    }
}

/// Whether the file is source code, by its name.
pub(in crate::project) fn is_code(path: &str) -> bool {
    let extension = Path::new(path).extension().map(|extension| extension.to_ascii_lowercase());
    extension.is_some_and(|extension| CODE.iter().any(|code| extension == *code))
}

/// Whether the file is a job report of this program.
fn is_report(path: &Path) -> bool {
    const START: u64 = 512;
    let Ok(file) = disk::open(path) else { return false };
    let mut start = Vec::new();
    file.take(START).read_to_end(&mut start).is_ok()
        && start.windows(PAGE_MARK.len()).any(|part| part == PAGE_MARK)
}

/// The patterns of secrets that count in code, too.
const IN_ANY_FILE: &[(&str, &str)] = &[
    // With a part of the key itself: many programs have only the line.
    (
        r"(?s-u)-----BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----.{0,400}?[A-Za-z0-9+/=]{40}",
        "a private key",
    ),
    (r"(?-u)PuTTY-User-Key-File-[0-9]", "a private key"),
];
/// The patterns of other secrets: code may only name such settings. The formats of tokens are those that their services
/// publish for scanners.
const IN_OTHER_FILES: &[(&str, &str)] = &[
    (r#"(?-u)"refresh_token"\s*:\s*"[^"]{16}"#, "the credentials of a Google account"),
    (r#"(?-u)"(?:installed|web)"\s*:\s*\{[^{}]*"client_secret"\s*:"#, "an OAuth client secret"),
    (r#"(?i-u)aws_?secret_?access_?key["']?\s*[=:]\s*["']?[A-Za-z0-9/+]{40}"#, "an AWS secret key"),
    (r"(?-u)Secret access key\r?\n[^\r\n]*A[KS]IA[A-Z0-9]{16},", "an AWS secret key"),
    (r#"(?-u)\{\s*"username"\s*:[^{}]*"key"\s*:\s*"[0-9a-f]{32}""#, "a Kaggle key"),
    (r#"(?-u)"auths"\s*:\s*\{[^}]*"(?:auth|identitytoken)"\s*:\s*"[^"]{8}"#, "a login to an image registry"),
    (
        r"(?m-u)^\s*machine\s+\S+\s+(?:login\s+\S+\s+)?password\s+[A-Za-z0-9_+/=-]{12}",
        "a login in the form of .netrc",
    ),
    (r"(?-u)\bAccountKey=[A-Za-z0-9+/]{64}", "an Azure storage key"),
    (r"(?-u)\bgh[pousr]_[A-Za-z0-9]{36}\b|\bgithub_pat_[A-Za-z0-9_]{60}", "a GitHub token"),
    (r"(?-u)\bglpat-[A-Za-z0-9_-]{20}", "a GitLab token"),
    (r"(?-u)\bhf_[A-Za-z0-9]{34}\b", "a Hugging Face token"),
    (r"(?-u)\bxox[abeoprs]-[0-9A-Za-z]{8,}-[0-9A-Za-z-]{16}", "a Slack token"),
    (r"(?-u)\bpypi-AgE[A-Za-z0-9_-]{50}", "a PyPI token"),
    (r"(?-u)\bnpm_[A-Za-z0-9]{36}\b", "an npm token"),
    (r"(?-u)\bsk-[A-Za-z0-9_-]{8,}T3BlbkFJ[A-Za-z0-9_-]{8}", "an OpenAI key"),
    (r"(?-u)\bsk-ant-[a-z0-9]+-[A-Za-z0-9_-]{80}", "an Anthropic key"),
    (r"(?-u)\bAIza[A-Za-z0-9_-]{35}", "a Google API key"),
    (r"(?-u)\bdapi[0-9a-f]{32}\b", "a Databricks token"),
    (r"(?-u)\b[rs]k_live_[A-Za-z0-9]{24}", "a Stripe key"),
    (r"(?-u)\bdop_v1_[0-9a-f]{64}\b", "a DigitalOcean token"),
];

/// Returns the kind of secret in a file, if there is one.
fn secret(bytes: &[u8], is_code: bool) -> Option<&'static str> {
    static ALL: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
        let patterns = IN_ANY_FILE.iter().chain(IN_OTHER_FILES);
        patterns.map(|(pattern, what)| (Regex::new(pattern).expect("a pattern of ours"), *what)).collect()
    });
    let kinds = if is_code { &ALL[..IN_ANY_FILE.len()] } else { &ALL[..] };
    let found = |bytes: &[u8]| kinds.iter().find(|(regex, _)| regex.is_match(bytes)).map(|(_, what)| *what);
    if bytes.contains(&0) {
        // UTF-16 or UTF-32: without the zeros, its ASCII text remains.
        found(&bytes.iter().copied().filter(|byte| *byte != 0).collect::<Vec<_>>())
    } else {
        found(bytes)
    }
}

/// Whether a file has only certificates or public keys, although its name is that of a key.
pub(super) fn is_public(path: &Path) -> bool {
    static LABELS: LazyLock<Regex> =
        LazyLock::new(|| Regex::new("(?-u)-----BEGIN ([A-Z0-9 ]*)-----").expect("a pattern of ours"));
    let Some(bytes) = rules::text_of(path, MAX_CERTIFICATES_SIZE) else { return false };
    let mut labels = LABELS.captures_iter(&bytes).map(|found| found[1].to_owned()).peekable();
    labels.peek().is_some()
        && labels.all(|label| !label.ends_with(b"PRIVATE KEY") && !label.ends_with(b"PRIVATE KEY BLOCK"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found_in(name: &str, content: &[u8]) -> Found {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join(name);
        std::fs::write(&source, content).unwrap();
        let size = content.len() as u64;
        look(&File { path: name.into(), source, size, executable: false, link: None, cleaned: None })
    }

    /// A made-up key, in parts so that this file does not look like one with keys.
    fn key() -> String {
        format!("-----BEGIN RSA PRIVATE {}-----\\n{}\\n", "KEY", "MIIEpAIBAAKCAQEA".repeat(4))
    }

    #[test]
    fn a_secret_is_found_by_its_content() {
        let holds = |what| Found::Stays(Reason::Holds(what));
        let account = format!("{{\"type\": \"service_account\", \"private_key\": \"{}\"}}", key());
        assert_eq!(found_in("my-project-1.json", account.as_bytes()), holds("a private key"));
        let lines = key().replace("\\n", "\n");
        assert_eq!(found_in("deploy", lines.as_bytes()), holds("a private key"));
        let utf16: Vec<u8> = lines.encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(found_in("deploy.txt", &utf16), holds("a private key"));
        let login = b"{\"type\": \"authorized_user\", \"refresh_token\" : \"1//0abcdefghijklmnopq\"}";
        assert_eq!(found_in("adc.json", login), holds("the credentials of a Google account"));
        let aws = format!("[default]\naws_secret_access_{} = {}\n", "key", "a".repeat(40));
        assert_eq!(found_in("settings.ini", aws.as_bytes()), holds("an AWS secret key"));
        for harmless in
            ["PEM = '-----BEGIN PRIVATE KEY-----'", "refresh_token", "aws_secret_access_key = os.environ"]
        {
            assert_eq!(found_in("a.py", harmless.as_bytes()), Found::Nothing, "{harmless}");
        }
        let utf32: Vec<u8> =
            "\u{feff}".chars().chain(lines.chars()).flat_map(|c| u32::from(c).to_le_bytes()).collect();
        assert_eq!(found_in("deploy.txt", &utf32), holds("a private key"));
    }

    /// The samples are put together here, so that no scanner takes this file for one with secrets.
    #[test]
    fn a_token_is_found_by_its_form() {
        let (a, hex) = ("aB3".repeat(40), "0a".repeat(40));
        for (text, what) in [
            (format!("{{\"username\":\"me\",\"key\":\"{}\"}}", &hex[..32]), "a Kaggle key"),
            (
                format!("{{\"auths\": {{\"r\": {{\"auth\": \"{}\"}}}}}}", &a[..20]),
                "a login to an image registry",
            ),
            (
                format!("machine a.example\n  login me\n  password {}\n", &a[..20]),
                "a login in the form of .netrc",
            ),
            (format!("DefaultEndpointsProtocol=https;AccountKey={}", &a[..86]), "an Azure storage key"),
            (format!("token: ghp_{}", &a[..36]), "a GitHub token"),
            (format!("HF_TOKEN=hf_{}", &a[..34]), "a Hugging Face token"),
            (format!("OPENAI=sk-proj-{}T3BlbkFJ{}", &a[..20], &a[..20]), "an OpenAI key"),
            (format!("key: AIza{}", &a[..35]), "a Google API key"),
            (
                format!("User,Access key ID,Secret access key\nme,AKIA{},{}", "A".repeat(16), &a[..40]),
                "an AWS secret key",
            ),
        ] {
            assert_eq!(found_in("notes.txt", text.as_bytes()), Found::Stays(Reason::Holds(what)), "{text}");
        }
        for harmless in [
            "machine learning password",
            "machine a.example login me password <your password>",
            "hf_hub_download",
        ] {
            assert_eq!(found_in("notes.txt", harmless.as_bytes()), Found::Nothing, "{harmless}");
        }
    }

    #[test]
    fn passwords_are_removed_from_small_text_files_except_code() {
        let line = b"x https://me:hunter2@a.example/simple\n";
        let clean = Found::Cleaned(b"x https://a.example/simple\n".to_vec());
        for name in ["dev-requirements.txt", "reqs.txt", "Pipfile.lock", "tox.ini", "notes", "env-gpu.yml"] {
            assert_eq!(found_in(name, line), clean, "{name}");
        }
        assert_eq!(found_in("load.py", line), Found::InCode);
        let mut odd = b"\xff\xfe".to_vec();
        odd.extend(String::from_utf8_lossy(line).encode_utf16().flat_map(u16::to_le_bytes));
        odd.push(b'x');
        assert_eq!(found_in("reqs.txt", &odd), Found::Stays(Reason::Login), "half a letter");
        assert_eq!(
            found_in("requirements.txt", b"x https://token@a.example\n"),
            Found::Cleaned(b"x https://a.example\n".to_vec())
        );
        assert_eq!(found_in("urls.csv", b"https://someone@a.example\n"), Found::Nothing);
    }

    #[test]
    fn a_job_report_is_not_sent() {
        let page = |head: &str| format!("<!doctype html>\n<html><head>{head}</head>{}", "x".repeat(2 << 20));
        let ours = page(&String::from_utf8_lossy(PAGE_MARK));
        assert_eq!(found_in("a.html", ours.as_bytes()), Found::Stays(Reason::Own));
        assert_eq!(found_in("a.html", page("").as_bytes()), Found::Nothing);
    }

    #[test]
    fn certificates_are_public_and_keys_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.pem");
        let certificate = "-----BEGIN CERTIFICATE-----\nMIID\n-----END CERTIFICATE-----\n";
        for (content, public) in [
            (certificate.to_owned(), true),
            (certificate.repeat(2), true),
            (format!("{certificate}{}", key().replace("\\n", "\n")), false),
            (String::new(), false),
            ("something".to_owned(), false),
        ] {
            std::fs::write(&path, &content).unwrap();
            assert_eq!(is_public(&path), public, "{content}");
        }
    }
}
