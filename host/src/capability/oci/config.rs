//! The configuration and the manifest of an assembled image.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{
    assembly::Assembly,
    base::{Base, Descriptor},
    store::Layer,
};
use crate::capability::docker::HASH_LABEL;

/// The media types of an image's parts.
struct Types {
    manifest: &'static str,
    config: &'static str,
    layer: &'static str,
}

const DOCKERS: Types = Types {
    manifest: "application/vnd.docker.distribution.manifest.v2+json",
    config: "application/vnd.docker.container.image.v1+json",
    layer: "application/vnd.docker.image.rootfs.diff.tar.gzip",
};
const OCIS: Types = Types {
    manifest: "application/vnd.oci.image.manifest.v1+json",
    config: "application/vnd.oci.image.config.v1+json",
    layer: "application/vnd.oci.image.layer.v1.tar+gzip",
};

fn types(base: &Base) -> Types {
    if base.is_dockers { DOCKERS } else { OCIS }
}

/// The environment variables in an image's configuration.
pub(super) fn variables(config: &Value) -> BTreeMap<String, String> {
    let list = config["config"]["Env"].as_array().map(Vec::as_slice).unwrap_or_default();
    let pair = |one: &Value| {
        let (name, value) = one.as_str()?.split_once('=')?;
        Some((name.to_owned(), value.to_owned()))
    };
    list.iter().filter_map(pair).collect()
}

/// The image's configuration: the base image's, with the layers and settings of the assembly.
pub(super) fn config(assembly: &Assembly, base: &Base, layers: &[(Layer, &str)], hash: &str) -> String {
    let mut config = base.config.clone();
    // The time of the base image, because the same inputs give the same image.
    let created = config["created"].clone();
    let settings = object(&mut config["config"]);
    let mut list = settings.get("Env").and_then(Value::as_array).cloned().unwrap_or_default();
    for (name, value) in &assembly.environment {
        let before = variables(&base.config);
        let value = before
            .iter()
            .fold(value.clone(), |value, (name, before)| value.replace(&format!("${name}"), before));
        list.retain(|one| one.as_str().is_none_or(|one| !one.starts_with(&format!("{name}="))));
        list.push(json!(format!("{name}={value}")));
    }
    settings.insert("Env".into(), list.into());
    if let Some(folder) = &assembly.workdir {
        settings.insert("WorkingDir".into(), json!(folder));
    }
    if !assembly.entrypoint.is_empty() {
        settings.insert("Entrypoint".into(), json!(assembly.entrypoint));
        settings.remove("Cmd");
    }
    object(settings.entry("Labels").or_insert(Value::Null)).insert(HASH_LABEL.into(), json!(hash));
    for (layer, what) in layers {
        array(object(&mut config["rootfs"]).entry("diff_ids").or_insert(Value::Null))
            .push(json!(layer.diff_id));
        array(&mut config["history"])
            .push(json!({ "created": created, "created_by": format!("alekseylearn: {what}") }));
    }
    config.to_string()
}

/// The manifest, and its media type.
pub(super) fn manifest(base: &Base, layers: &[Layer], config: &Descriptor) -> (String, &'static str) {
    let types = types(base);
    let of_base = base.layers.iter().map(|layer| json!(layer));
    let own = layers
        .iter()
        .map(|layer| json!({ "mediaType": types.layer, "digest": layer.digest, "size": layer.size }));
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": types.manifest,
        "config": { "mediaType": types.config, "digest": config.digest, "size": config.size },
        "layers": of_base.chain(own).collect::<Vec<_>>(),
    });
    (manifest.to_string(), types.manifest)
}

fn object(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = json!({});
    }
    value.as_object_mut().expect("it was made one")
}

fn array(value: &mut Value) -> &mut Vec<Value> {
    if !value.is_array() {
        *value = json!([]);
    }
    value.as_array_mut().expect("it was made one")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(config: Value) -> Base {
        let layer = json!({ "mediaType": OCIS.layer, "digest": "sha256:1", "size": 1 });
        serde_json::from_value(json!({
            "name": "base", "pinned": "base@sha256:0", "digest": "sha256:0", "is_dockers": false, "config": config,
            "layers": [layer], "asked": 0,
        }))
        .unwrap()
    }

    fn layer() -> Layer {
        Layer { digest: "sha256:2".into(), size: 2, diff_id: "sha256:3".into(), stamp: None }
    }

    #[test]
    fn settings_are_added_to_those_of_the_base_image() {
        let base = base(json!({
            "created": "2026-01-01T00:00:00Z",
            "config": { "Env": ["PATH=/usr/bin", "A=1"], "Cmd": ["python3"], "Labels": { "a": "b" } },
            "rootfs": { "type": "layers", "diff_ids": ["sha256:0"] },
        }));
        let assembly = Assembly {
            environment: vec![("PATH".into(), "/venv/bin:$PATH".into()), ("B".into(), "$C".into())],
            workdir: Some("/code".into()),
            entrypoint: vec!["run".into()],
            ..Assembly::default()
        };
        let made: Value =
            serde_json::from_str(&config(&assembly, &base, &[(layer(), "project")], "hash")).unwrap();
        assert_eq!(
            made["config"],
            json!({
                "Env": ["A=1", "PATH=/venv/bin:/usr/bin", "B=$C"], "WorkingDir": "/code", "Entrypoint": ["run"],
                "Labels": { "a": "b", HASH_LABEL: "hash" },
            })
        );
        assert_eq!(made["rootfs"]["diff_ids"], json!(["sha256:0", "sha256:3"]));
        let described = Descriptor { media_type: String::new(), digest: "sha256:4".into(), size: 4 };
        let (text, kind) = manifest(&base, &[layer()], &described);
        let manifest: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((kind, manifest["layers"].as_array().unwrap().len()), (OCIS.manifest, 2));
    }

    #[test]
    fn an_odd_base_image_is_no_crash() {
        for odd in [
            json!({}),
            json!({ "config": 1, "rootfs": "x", "history": {} }),
            json!({ "config": { "Env": 3 } }),
        ] {
            config(&Assembly::default(), &base(odd), &[(layer(), "project")], "hash");
        }
    }
}
