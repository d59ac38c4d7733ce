//! Fuzz targets for untrusted input when a plugin is installed: the component, its signature, and its index, lock file
//! or bundle.

use std::path::Path;

use minisign_verify::PublicKey;
use semver::VersionReq;
use wasmparser::{Parser, Payload};

use super::{
    bundle, lock,
    manifest::{Manifest, compatible, is_name},
    shipped::SHIPPED,
    signature::{Claim, Trust},
    source::{Index, Source, beside},
    store::{Installed, digest_of},
};
use crate::{
    capability::oci,
    fuzz::{Target, settled, texts, told},
    plugin::policy::{
        grant::{Grant, Grants, Requests},
        origin::Origins,
    },
};

/// The fuzz targets.
pub const FUZZ: &[Target] = &[
    Target { name: "manifest", run: manifest, seeds: outlines },
    Target { name: "signature", run: signature, seeds: || texts(&[SIGNATURE]) },
    Target { name: "index", run: index, seeds: || texts(&[INDEX]) },
    Target { name: "lock", run: lock, seeds: || texts(&[LOCK]) },
    Target { name: "bundle", run: bundle, seeds: bundles },
    Target { name: "grant", run: grant, seeds: || texts(&GRANTS) },
];

fn manifest(wasm: &[u8]) {
    let Some(manifest) = told(Manifest::read("a.wasm", wasm)) else { return };
    let Manifest { name, authors, licence, source, description, kinds, wants, contract, .. } = &manifest;
    assert!(!kinds.is_empty() && compatible(contract).is_ok() && name.as_deref().is_none_or(is_name));
    for line in [authors, licence, source, description].into_iter().flatten() {
        assert!(!line.is_empty() && !line.contains('\n'), "{line:?} is not a line");
    }
    for grant in wants.iter() {
        assert_eq!(grant.to_string().parse().as_ref(), Ok(grant));
    }
    // An unknown section changes nothing.
    let more = [wasm, b"\0\x05\x03foo\x01"].concat();
    assert_eq!(Manifest::read("a.wasm", &more).as_ref().ok(), Some(&manifest));
}

/// The shipped drivers without their code.
pub(crate) fn outlines() -> Vec<Vec<u8>> {
    SHIPPED.iter().map(|plugin| outline(plugin.wasm)).collect()
}

fn outline(wasm: &[u8]) -> Vec<u8> {
    let mut outline = wasm[..8].to_vec();
    let mut depth = 0;
    for payload in Parser::new(0).parse_all(wasm).map(|payload| payload.expect("a shipped driver is whole")) {
        match &payload {
            Payload::Version { .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => {}
            section if depth == 1 => {
                let Some((id, range)) = section.as_section() else { continue };
                outline.push(id);
                let mut length = range.len();
                while length > 0x7f {
                    outline.push((length & 0x7f) as u8 | 0x80);
                    length >>= 7;
                }
                outline.push(length as u8);
                outline.extend(&wasm[range]);
            }
            _ => {}
        }
    }
    outline
}

// From minisign-verify's own tests, for the text `test`. The minisign program verifies them too.
pub(crate) const KEY: &str = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";
pub(crate) const SIGNATURE: &str = "untrusted comment: signature from minisign secret key
RUQf6LRCGA9i559r3g7V1qNyJDApGip8MfqcadIgT9CuhV3EMhHoN1mGTkUidF/z7SrlQgXdy8ofjb7bNJJylDOocrCo8KLzZwo=
trusted comment: timestamp:1556193335\tfile:test
y/rUw2y8/hOUYjZU71eHp/Wo1KZ40fGy2VJEDl34XMJM+TX48Ss/17u3IvIfbVR1FkZZSNCisQbuQY+bHwhEBg==";

fn signature(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let key = PublicKey::from_base64(KEY).expect("it is one");
    let trust = Trust {
        keys: vec![("Ada".to_owned(), key)],
        required_by: Some("/project.toml".into()),
        file: "/user.toml".into(),
    };
    let source = Source::Address("https://example.org/a.wasm".into());
    let claim = |wasm| Claim {
        name: "driver",
        own_name: Some("driver"),
        version: None,
        wasm,
        signature: Some(&text),
        source: &source,
    };
    // The first line is an unsigned comment.
    let signed = |text: &str| text.lines().skip(1).take(3).map(str::to_owned).collect::<Vec<_>>();
    let accepted = told(trust.admit(claim(b"test"))).is_some();
    assert!(!accepted || signed(&text) == signed(SIGNATURE), "{text:?} passes");
    assert!(told(trust.admit(claim(b"tess"))).is_none(), "{text:?} passes for something else");
}

const INDEX: &str = r#"{"plugins": {"kaggle": [
    {"version": "0.9.0", "address": "kaggle-0.9.wasm", "digest": "sha256:a", "contract": "0.1.0"},
    {"version": "0.10.0", "address": "oci://a.example/k:1", "digest": "sha256:b", "contract": "0.1.0", "signature": "k.minisig"},
    {"version": "1.0.0-rc.1", "address": "https://a.example/k.wasm", "digest": "sha256:c", "contract": "0.2.0"}
], "b": []}}"#;

fn index(bytes: &[u8]) {
    const PLACE: &str = "/srv/index.json";
    let Some(index) = told(Index::read(PLACE, bytes)) else { return };
    told(index.choose(PLACE, "\n", &VersionReq::STAR, None));
    for (name, releases) in &index.plugins {
        if let Some(chosen) = told(index.choose(PLACE, name, &VersionReq::STAR, None)) {
            assert!(compatible(&chosen.contract).is_ok() && VersionReq::STAR.matches(&chosen.version));
            let newer = releases.iter().filter(|release| release.version > chosen.version);
            assert!(newer.into_iter().all(|newer| {
                compatible(&newer.contract).is_err() || !VersionReq::STAR.matches(&newer.version)
            }));
        }
        for release in releases {
            let pinned = told(index.choose(PLACE, name, &VersionReq::STAR, Some(&release.digest)));
            assert_eq!(pinned.expect("it is there").digest, release.digest);
            for place in [PLACE, "https://a.example/index.json"] {
                if let Some(place) = told(beside(place, &release.address)) {
                    told(Source::at(&place));
                }
            }
        }
    }
}

const LOCK: &str = r#"form = 1
[[plugin]]
name = "a"
version = "1.2.3"
digest = "sha256:00"
granted = ["s3", "https://a.example=env:A", "private:https://b.example"]
signature = """untrusted comment: x
RU
"""
[plugin.source.index]
index = "/i.json"
name = "c"
requirement = "^1"
[[plugin]]
name = 'b'
digest = 'sha256:00'
granted = []
source.file = '/a'
[[plugin]]
name = 'c'
digest = 'sha256:00'
granted = []
source.oci = 'oci://a.example/b:1'
"#;

fn lock(bytes: &[u8]) {
    let path = Path::new(lock::LOCK_FILE);
    let Some(plugins) = told(lock::parse(path, &String::from_utf8_lossy(bytes))) else { return };
    let text = lock::render(plugins.clone()).expect("what was read can be written");
    assert_eq!(told(lock::parse(path, &text)), Some(plugins), "{text}");
}

fn bundle(bytes: &[u8]) {
    let path = Path::new("plugins.tar");
    let Some(plugins) = told(bundle::parse(path, settled(bytes).as_slice())) else { return };
    let mut again = Vec::new();
    for (candidate, plugin) in plugins {
        assert!(is_name(&candidate.name) && candidate.name == plugin.name, "{:?}", candidate.name);
        assert_eq!(digest_of(&candidate.wasm), plugin.digest);
        again.push((plugin, candidate.wasm));
    }
    let mut packed = Vec::new();
    bundle::pack(&mut packed, &again).expect("what was read can be written");
    let read = told(bundle::parse(path, packed.as_slice())).expect("what was written can be read");
    assert_eq!(read.into_iter().map(|(_, plugin)| plugin).collect::<Vec<_>>(), {
        again.into_iter().map(|(plugin, _)| plugin).collect::<Vec<_>>()
    });
}

fn bundles() -> Vec<Vec<u8>> {
    let plugins = |count: usize| {
        let plugin = |(number, wasm): (usize, Vec<u8>)| {
            let installed = Installed {
                name: format!("p{number}"),
                version: Some("1.2.3".into()),
                digest: digest_of(&wasm),
                source: Source::File("/a.wasm".into()),
                contract: "0.1.0".into(),
                granted: GRANTS[..2].iter().map(|text| text.parse::<Grant>().expect("it is one")).collect(),
                installed: "2026-01-01T00:00:00Z".into(),
                signature: (number == 1).then(|| SIGNATURE.to_owned()),
                own_name: Some(format!("p{number}")),
                wants: Grants::default(),
            };
            (installed, wasm)
        };
        let plugins: Vec<_> = outlines().into_iter().take(count).enumerate().map(plugin).collect();
        let mut packed = Vec::new();
        bundle::pack(&mut packed, &plugins).expect("it is kept in memory");
        packed
    };
    vec![plugins(0), plugins(2)]
}

const GRANTS: [&str; 9] = [
    "docker",
    "https://*-api.example.com=google",
    "https://api.example.com=env:TOKEN",
    "private:https://[fd00::1]:8443=file:~/.config/token",
    "http://127.0.0.1:8080\n/a/b?c\nq=1",
    "https://b\u{fc}cher.example.\n//evil.example/..\n",
    "https://a.example/b/{gs.bucket}/o?prefix={gs.key}/=google\n/b/models/o\nprefix=own%2F",
    "https://a.example/b/{gs.bucket}/o/{gs.key}\n/b/models/o/own%2Fa\nalt=media",
    "oci://registry.example:5000/a/b:1@sha256:0000000000000000000000000000000000000000000000000000000000000000",
];

/// A grant, and on the next lines the path and query of a request to its origin.
fn grant(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.splitn(3, '\n');
    let mut line = || lines.next().unwrap_or_default();
    let (text, path, query) = (line(), line(), line());
    if let Ok(grant) = text.parse::<Grant>() {
        assert_eq!(grant.to_string().parse().as_ref(), Ok(&grant), "{text:?}");
        if let Grant::Requests(Requests { origins: Origins::One(origin), places, .. }) = grant {
            let page = origin.page(path, Some(query));
            if let Some(places) = places {
                // An address must not match two locations.
                let own = |text: &str| places.holds(&page, &[text.parse().expect("a place")]);
                assert!(
                    !own("gs://models/own") || !(own("gs://others/own") || own("gs://models/other")),
                    "{page}"
                );
            }
            assert_eq!(page.origin(), origin.page("", None).origin(), "{path:?}");
            assert!(page.username().is_empty() && page.password().is_none());
            let loopback = origin.address().is_none_or(|address| address.is_loopback());
            assert!(page.scheme() == "https" || (page.scheme() == "http" && loopback), "{page}");
        }
    }
    if let Some(reference) = told(oci::Reference::parse(text)) {
        assert_eq!(told(oci::Reference::parse(&reference.to_string())), Some(reference), "{text:?}");
    }
}
