//! The contract keeps its word: what was released stays, within its line of versions. `cargo xtask contract` runs this.
//!
//! `tests/contract/VERSION` holds each released contract as it was.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use alekseylearn_tests::workspace;
use semver::Version;
use wit_parser::{Function, Resolve, Type, TypeDefKind, WorldItem};

/// Everything that a plugin could rely on, as text.
#[derive(Clone, Debug, PartialEq)]
struct Contract {
    version: Version,
    /// By its full name: a function's signature, or a type's definition.
    items: BTreeMap<String, String>,
    /// The interfaces that plugins export.
    exported: BTreeSet<String>,
}

impl Contract {
    fn read(folder: &Path) -> Self {
        let mut resolve = Resolve::default();
        let (package, _) = resolve.push_dir(folder).unwrap_or_else(|error| panic!("{error:#}"));
        Self::of(&resolve, package)
    }

    fn parse(text: &str) -> Self {
        let mut resolve = Resolve::default();
        let package = resolve.push_str("test.wit", text).unwrap_or_else(|error| panic!("{error:#}"));
        Self::of(&resolve, package)
    }

    fn of(resolve: &Resolve, package: wit_parser::PackageId) -> Self {
        let package = &resolve.packages[package];
        let mut items = BTreeMap::new();
        for (name, id) in &package.interfaces {
            let interface = &resolve.interfaces[*id];
            for function in interface.functions.values() {
                items.insert(format!("{name}.{}", function.name), signature(resolve, function));
            }
            for (type_name, id) in &interface.types {
                items.insert(format!("{name}.{type_name}"), definition(resolve, &resolve.types[*id].kind));
            }
        }
        let exports = package.worlds.values().flat_map(|world| resolve.worlds[*world].exports.values());
        let exported = exports.filter_map(|item| match item {
            WorldItem::Interface { id, .. } => resolve.interfaces[*id].name.clone(),
            _ => None,
        });
        let version = package.name.version.clone().expect("the contract has a version");
        Self { version, items, exported: exported.collect() }
    }

    /// What a plugin built for `self` would miss in `newer`, or lack for it.
    fn broken_by(&self, newer: &Self) -> Vec<String> {
        let mut broken = Vec::new();
        for (name, text) in &self.items {
            match newer.items.get(name) {
                Some(same) if same == text => {}
                Some(other) => broken.push(format!("{name} was `{text}`, and is `{other}`")),
                None => broken.push(format!("{name} is gone")),
            }
        }
        for name in newer.items.keys().filter(|name| !self.items.contains_key(*name)) {
            let interface = name.split('.').next().unwrap_or_default();
            if self.exported.contains(interface) {
                broken.push(format!("{name} is new, and no older plugin exports it"));
            }
        }
        broken
    }
}

fn signature(resolve: &Resolve, function: &Function) -> String {
    let parameters = function.params.iter().map(|parameter| text(resolve, &parameter.ty));
    let parameters: Vec<String> = parameters.collect();
    let result = function.result.as_ref().map(|result| text(resolve, result)).unwrap_or_default();
    format!("({}) -> {result}", parameters.join(", "))
}

fn definition(resolve: &Resolve, kind: &TypeDefKind) -> String {
    let optional = |inner: &Option<Type>| inner.as_ref().map_or("_".to_owned(), |inner| text(resolve, inner));
    match kind {
        TypeDefKind::Record(record) => {
            let fields =
                record.fields.iter().map(|field| format!("{}: {}", field.name, text(resolve, &field.ty)));
            format!("record {{ {} }}", fields.collect::<Vec<_>>().join(", "))
        }
        TypeDefKind::Variant(variant) => {
            let cases = variant.cases.iter().map(|case| format!("{}({})", case.name, optional(&case.ty)));
            format!("variant {{ {} }}", cases.collect::<Vec<_>>().join(", "))
        }
        TypeDefKind::Enum(cases) => {
            let names: Vec<&str> = cases.cases.iter().map(|case| case.name.as_str()).collect();
            format!("enum {{ {} }}", names.join(", "))
        }
        TypeDefKind::Handle(handle) => match handle {
            wit_parser::Handle::Own(id) => text(resolve, &Type::Id(*id)),
            wit_parser::Handle::Borrow(id) => format!("borrow<{}>", text(resolve, &Type::Id(*id))),
        },
        TypeDefKind::Tuple(tuple) => {
            let types: Vec<String> = tuple.types.iter().map(|inner| text(resolve, inner)).collect();
            format!("tuple<{}>", types.join(", "))
        }
        TypeDefKind::Option(inner) => format!("option<{}>", text(resolve, inner)),
        TypeDefKind::List(inner) => format!("list<{}>", text(resolve, inner)),
        TypeDefKind::Result(result) => format!("result<{}, {}>", optional(&result.ok), optional(&result.err)),
        TypeDefKind::Type(inner) => text(resolve, inner),
        other => other.as_str().to_owned(),
    }
}

fn text(resolve: &Resolve, kind: &Type) -> String {
    match kind {
        Type::Id(id) => match &resolve.types[*id].name {
            Some(name) => name.clone(),
            None => definition(resolve, &resolve.types[*id].kind),
        },
        plain => format!("{plain:?}").to_lowercase(),
    }
}

/// Versions that promise to understand each other.
fn line(version: &Version) -> (u64, u64) {
    if version.major == 0 { (0, version.minor) } else { (version.major, 0) }
}

#[test]
fn what_was_released_still_holds() {
    let now = Contract::read(&workspace().join("wit"));
    let mut released = 0;
    for entry in fs::read_dir(workspace().join("tests/contract")).unwrap() {
        let path = entry.unwrap().path();
        let then = Contract::read(&path);
        assert_eq!(path.file_name().unwrap().to_str().unwrap(), then.version.to_string());
        released += 1;
        if line(&then.version) != line(&now.version) {
            continue;
        }
        let broken = then.broken_by(&now);
        assert!(
            broken.is_empty(),
            "plugins built for {} would break; declare a new line of versions, or take it back:\n  {}",
            then.version,
            broken.join("\n  ")
        );
        assert!(now.version >= then.version, "{} was released already", then.version);
        if now.version == then.version {
            assert_eq!(
                now.items, then.items,
                "something was added: raise the version in wit/ above {}",
                now.version
            );
        }
    }
    assert!(released > 0, "no contract was released");
}

#[test]
fn what_breaks_a_plugin_is_seen() {
    let contract = |docker: &str, build: &str| {
        Contract::parse(&format!(
            "package a:b@0.1.0; interface docker {{ record r {{ x: u32 }} resource image {{ id: func() -> string; }} {docker} }} \
             interface build {{ {build} }} world w {{ import docker; export build; }}"
        ))
    };
    let then = contract("stop: func(name: string) -> result<_, string>;", "options: func() -> list<string>;");
    let broken_by = |docker: &str, build: &str| then.broken_by(&contract(docker, build));
    let (stop, options) =
        ("stop: func(name: string) -> result<_, string>;", "options: func() -> list<string>;");
    assert!(broken_by(stop, options).is_empty());
    assert!(
        broken_by(&format!("{stop} start: func();"), options).is_empty(),
        "a new function to call is no harm"
    );
    assert!(broken_by(&format!("{stop} enum e {{ a }}"), options).is_empty());
    for (docker, build) in [
        ("", options),
        ("stop: func(name: u32) -> result<_, string>;", options),
        ("stop: func(name: string);", options),
        (stop, "options: func() -> list<u32>;"),
        (stop, "options: func() -> list<string>; more: func();"),
    ] {
        assert_eq!(broken_by(docker, build).len(), 1, "{docker} {build}");
    }
    let record = |fields: &str| {
        Contract::parse(&format!("package a:b@0.1.0; interface i {{ record r {{ {fields} }} }}"))
    };
    assert_eq!(record("x: u32").broken_by(&record("x: u32, y: u32")).len(), 1, "a record never grows");
}
