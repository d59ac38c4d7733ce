//! Which interfaces a component imports for their functions. One that it imports only for its types lets it do nothing, and
//! needs no grant.

use wasmparser::{
    BinaryReaderError, ComponentAlias, ComponentExternalKind, ComponentOuterAliasKind, ComponentType,
    ComponentTypeRef, InstanceTypeDeclaration, Payload,
};
use wasmtime::{Engine, component::types::ComponentItem};

/// The types that a component defines, in order: whether each is an instance with functions.
#[derive(Default)]
pub(crate) struct Types(Vec<bool>);

impl Types {
    /// Takes the types of a section.
    pub(crate) fn take(&mut self, payload: &Payload<'_>) -> Result<(), BinaryReaderError> {
        match payload {
            Payload::ComponentTypeSection(types) => {
                for kind in types.clone() {
                    self.0.push(match kind? {
                        ComponentType::Instance(parts) => parts.iter().any(is_function),
                        _ => false,
                    });
                }
            }
            Payload::ComponentAliasSection(aliases) => {
                for alias in aliases.clone() {
                    let is_type = match alias? {
                        ComponentAlias::InstanceExport { kind, .. } => kind == ComponentExternalKind::Type,
                        ComponentAlias::Outer { kind, .. } => kind == ComponentOuterAliasKind::Type,
                        ComponentAlias::CoreInstanceExport { .. } => false,
                    };
                    self.0.extend(is_type.then_some(false));
                }
            }
            Payload::ComponentExportSection(exports) => {
                for export in exports.clone() {
                    self.0.extend((export?.kind == ComponentExternalKind::Type).then_some(false));
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Takes an import. Returns whether the component can call something of it.
    pub(crate) fn import(&mut self, kind: ComponentTypeRef) -> bool {
        match kind {
            ComponentTypeRef::Instance(index) => self.0.get(index as usize).copied().unwrap_or(true),
            ComponentTypeRef::Type(_) => {
                self.0.push(false);
                false
            }
            _ => true,
        }
    }
}

fn is_function(part: &InstanceTypeDeclaration<'_>) -> bool {
    matches!(part, InstanceTypeDeclaration::Export { ty: ComponentTypeRef::Func(_), .. })
}

/// The same of a compiled component.
pub(crate) fn has_functions(engine: &Engine, import: &ComponentItem) -> bool {
    match import {
        ComponentItem::ComponentInstance(instance) => {
            instance.exports(engine).any(|(_, export)| matches!(export.ty, ComponentItem::ComponentFunc(_)))
        }
        _ => true,
    }
}
