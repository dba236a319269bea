//! What ships of a module or a component: without the names of its functions and what else is for debuggers (a sixth of what
//! would have to be loaded, and nothing but the text of stack traces), and with its functions in an order that compresses well.
//!
//! The compiler's own `strip` for names drops the list of features too, which what binds the module has to know. So this comes last.

mod order;

use wasm_encoder::reencode::{Error as ReencodeError, Reencode, RoundtripReencoder, utils};
use wasm_encoder::{CodeSection, Component, ComponentSectionId, FunctionSection, Module, RawSection};
use wasmparser::{
    CodeSectionReader, CustomSectionReader, FunctionBody, FunctionSectionReader, Parser, Payload, TypeRef,
    Validator, WasmFeatures,
};

use crate::failure::{Failure, Result};

/// Custom sections that may stay: neither an index of a function nor an offset into the code is in them.
const KEPT: [&str; 1] = ["target_features"];

/// The module or component as it ships. The same bytes give the same.
///
/// # Errors
/// Bytes that are neither, and a module with a section that a new order of its functions might make wrong.
pub(crate) fn slim(bytes: &[u8]) -> Result<Vec<u8>> {
    let slim = if Parser::is_core_wasm(bytes) { module(bytes) } else { component(bytes) };
    let slim = slim.map_err(|error| unreadable(&error))?;
    Validator::new_with_features(WasmFeatures::all()).validate_all(&slim).map_err(|error| {
        Failure::new(format!("the wasm with its functions reordered is not valid: {error}"))
    })?;
    Ok(slim)
}

fn unreadable(error: &ReencodeError<String>) -> Failure {
    Failure::new(format!("the wasm that the compiler made cannot be read: {error}"))
}

/// The component with its core modules as they ship. What is outside of them knows their functions by name only.
fn component(bytes: &[u8]) -> std::result::Result<Vec<u8>, ReencodeError<String>> {
    let mut component = Component::new();
    let mut depth = 0;
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload?;
        match &payload {
            Payload::Version { .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            Payload::CustomSection(section) if is_for_debuggers(section.name()) => continue,
            _ => {}
        }
        // A module or component within it comes first as one section of it, and then piece by piece at a depth of 2.
        let Some((id, range)) = payload.as_section().filter(|_| depth == 1) else { continue };
        let content = &bytes[range];
        if id == ComponentSectionId::CoreModule as u8 {
            component.section(&RawSection { id, data: &module(content)? });
        } else {
            component.section(&RawSection { id, data: content });
        }
    }
    Ok(component.finish())
}

fn module(bytes: &[u8]) -> std::result::Result<Vec<u8>, ReencodeError<String>> {
    let mut bodies = Vec::new();
    for payload in Parser::new(0).parse_all(bytes) {
        if let Payload::CodeSectionEntry(body) = payload? {
            bodies.push(body.as_bytes());
        }
    }
    reordered(bytes, order::by_likeness(&bodies))
}

/// The module with the functions that it defines in this order, each given by its place in the old one.
fn reordered(bytes: &[u8], order: Vec<usize>) -> std::result::Result<Vec<u8>, ReencodeError<String>> {
    let mut imported = 0;
    for payload in Parser::new(0).parse_all(bytes) {
        if let Payload::ImportSection(section) = payload? {
            for import in section.into_imports() {
                imported += u32::from(matches!(import?.ty, TypeRef::Func(_) | TypeRef::FuncExact(_)));
            }
        }
    }
    let mut places = vec![0; order.len()];
    for (place, &old) in (imported..).zip(&order) {
        places[old] = place;
    }
    let mut module = Module::new();
    Reordering { imported, places, order }.parse_core_module(&mut module, Parser::new(0), bytes)?;
    Ok(module.finish())
}

fn is_for_debuggers(section: &str) -> bool {
    matches!(section, "name" | "component-name" | "producers") || section.starts_with(".debug_")
}

/// Writes a module anew; `Reencode` asks it for each index of a function, wherever one stands.
struct Reordering {
    imported: u32,
    /// The new index of each function that the module defines.
    places: Vec<u32>,
    order: Vec<usize>,
}

impl Reencode for Reordering {
    type Error = String;

    fn function_index(&mut self, old: u32) -> std::result::Result<u32, ReencodeError<String>> {
        let Some(defined) = old.checked_sub(self.imported) else { return Ok(old) };
        let place = self.places.get(defined as usize).copied();
        place.ok_or_else(|| ReencodeError::UserError(format!("there is no function {old}")))
    }

    fn parse_function_section(
        &mut self,
        functions: &mut FunctionSection,
        section: FunctionSectionReader<'_>,
    ) -> std::result::Result<(), ReencodeError<String>> {
        let types = section.into_iter().collect::<std::result::Result<Vec<u32>, _>>()?;
        for &old in &self.order {
            functions.function(types[old]);
        }
        Ok(())
    }

    fn parse_code_section(
        &mut self,
        code: &mut CodeSection,
        section: CodeSectionReader<'_>,
    ) -> std::result::Result<(), ReencodeError<String>> {
        let bodies = section.into_iter().collect::<std::result::Result<Vec<FunctionBody<'_>>, _>>()?;
        for place in 0..self.order.len() {
            self.parse_function_body(code, bodies[self.order[place]].clone())?;
        }
        Ok(())
    }

    fn parse_custom_section(
        &mut self,
        module: &mut Module,
        section: CustomSectionReader<'_>,
    ) -> std::result::Result<(), ReencodeError<String>> {
        let name = section.name();
        if is_for_debuggers(name) {
            return Ok(());
        }
        if KEPT.contains(&name) {
            module.section(&utils::custom_section(&mut RoundtripReencoder, section));
            return Ok(());
        }
        Err(ReencodeError::UserError(format!(
            "it has a section {name:?}, which may hold indices of functions"
        )))
    }
}

#[cfg(test)]
mod tests;
