//! Handmade components that no compiler or SDK would produce: the bodies of a train driver's functions in WebAssembly's
//! text format, lifted by the contract's canonical ABI.

use std::{collections::BTreeMap, fmt::Write};

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::{
    LiftLowerAbi, ManglingAndAbi, Resolve, WasmExport, WasmExportKind, WorldItem, abi::WasmType,
};

use crate::workspace;

const ABI: ManglingAndAbi = ManglingAndAbi::Legacy(LiftLowerAbi::Sync);
const GIVE_BACK: &str =
    r#"(import "alekseylearn:driver/run@$V" "[resource-drop]training" (func $give-back (param i32)))"#;

/// A handmade train driver. Functions without a body trap, except `options`, which returns none.
///
/// Bodies can use the ABI's parameters as locals, `$memory` (default: one page), `$give-back` to drop the borrowed
/// training, and the imports in `head`. `$V` is replaced by the contract's version.
pub struct Handmade {
    bodies: BTreeMap<&'static str, String>,
    memory: &'static str,
    realloc: &'static str,
    head: &'static str,
    tail: &'static str,
}

impl Default for Handmade {
    fn default() -> Self {
        Self {
            // An empty list: this memory is zero.
            bodies: BTreeMap::from([("options", "i32.const 16".to_owned())]),
            memory: r#"(memory $memory (export "memory") 1)"#,
            realloc: "i32.const 32768",
            head: "",
            tail: "",
        }
    }
}

impl Handmade {
    /// Sets the body of one of the driver's functions.
    pub fn body(mut self, function: &'static str, body: impl Into<String>) -> Self {
        self.bodies.insert(function, body.into());
        self
    }

    /// Sets the memory (default: one page).
    pub fn memory(self, memory: &'static str) -> Self {
        Self { memory, ..self }
    }

    /// Sets the body of the allocation function for the host. Its parameters are the old address and size, the
    /// alignment and the new size.
    pub fn realloc(self, realloc: &'static str) -> Self {
        Self { realloc, ..self }
    }

    /// Sets the imports of the module.
    pub fn head(self, head: &'static str) -> Self {
        Self { head, ..self }
    }

    /// Sets the rest of the module: data, tables, a start function.
    pub fn tail(self, tail: &'static str) -> Self {
        Self { tail, ..self }
    }

    /// Builds the component.
    pub fn component(&self) -> Vec<u8> {
        let mut resolve = Resolve::default();
        let (package, _) = resolve.push_dir(workspace().join("wit")).expect("the contract is sound");
        let world =
            resolve.select_world(&[package], Some("train-plugin")).expect("the contract has the world");
        let version = resolve.packages[package].name.version.clone().expect("the contract has a version");
        let text = self.module(&resolve, world).replace("$V", &version.to_string());
        let mut module = wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)
            .expect("the world can be told of");
        let encoder = ComponentEncoder::default().module(&module).expect("the module is sound");
        encoder.validate(true).encode().unwrap_or_else(|error| panic!("{error:#}\n{text}"))
    }

    fn module(&self, resolve: &Resolve, world: wit_parser::WorldId) -> String {
        let mut text = format!("(module\n{GIVE_BACK}\n{}\n{}\n", self.head, self.memory);
        for (key, item) in &resolve.worlds[world].exports {
            let WorldItem::Interface { id, .. } = item else { continue };
            for function in resolve.interfaces[*id].functions.values() {
                let kind = WasmExportKind::Normal;
                let name = resolve
                    .wasm_export_name(ABI, WasmExport::Func { interface: Some(key), func: function, kind });
                let signature = resolve.wasm_signature(ABI.export_variant(), function);
                let body = self.bodies.get(function.name.as_str()).map_or("unreachable", String::as_str);
                let (params, results) =
                    (types("param", &signature.params), types("result", &signature.results));
                writeln!(text, "(func (export {name:?}) {params} {results}\n{body})")
                    .expect("it is a string");
            }
        }
        let realloc = self.realloc;
        writeln!(
            text,
            "(func (export \"cabi_realloc\") (param i32 i32 i32 i32) (result i32)\n{realloc})\n{})",
            self.tail
        )
        .expect("it is a string");
        text
    }
}

fn types(what: &str, types: &[WasmType]) -> String {
    let name = |kind: &WasmType| match kind {
        WasmType::I32 | WasmType::Pointer | WasmType::Length => "i32",
        WasmType::I64 | WasmType::PointerOrI64 => "i64",
        WasmType::F32 => "f32",
        WasmType::F64 => "f64",
    };
    let names: Vec<&str> = types.iter().map(name).collect();
    if names.is_empty() { String::new() } else { format!("({what} {})", names.join(" ")) }
}
