//! A module with an index of a function wherever one may stand means the same in any order of its functions.

use wasm_encoder::{
    ConstExpr, CustomSection, ElementSection, Elements, EntityType, ExportKind, ExportSection, Function,
    GlobalSection, GlobalType, ImportSection, MemoryType, NameMap, NameSection, RefType, StartSection,
    TableSection, TableType, TypeSection, ValType,
};
use wasmparser::{ElementItems, ElementKind, ExternalKind, Operator, OperatorsReader, TableInit};

use super::*;

const IMPORTED: u32 = 2;
const DEFINED: u32 = 6;

/// Each function that it defines pushes and drops a number of its own, 1000 and its index.
fn everything() -> Module {
    let mut types = TypeSection::new();
    types.ty().function([], []);
    types.ty().function([ValType::I32], []);
    let mut imports = ImportSection::new();
    imports.import("host", "one", EntityType::Function(0));
    imports.import(
        "host",
        "memory",
        MemoryType { minimum: 1, maximum: None, memory64: false, shared: false, page_size_log2: None },
    );
    imports.import("host", "two", EntityType::Function(0));
    let mut functions = FunctionSection::new();
    for index in 0..DEFINED {
        functions.function(u32::from(index == 3));
    }
    let mut tables = TableSection::new();
    let table = TableType {
        element_type: RefType::FUNCREF,
        table64: false,
        minimum: 8,
        maximum: None,
        shared: false,
    };
    tables.table(table);
    tables.table_with_init(table, &ConstExpr::ref_func(7));
    let mut globals = GlobalSection::new();
    let global = GlobalType { val_type: ValType::Ref(RefType::FUNCREF), mutable: false, shared: false };
    globals.global(global, &ConstExpr::ref_func(6));
    globals.global(global, &ConstExpr::ref_func(1));
    let mut exports = ExportSection::new();
    exports.export("four", ExportKind::Func, 4);
    exports.export("imported", ExportKind::Func, 0);
    exports.export("table", ExportKind::Table, 1);
    let mut elements = ElementSection::new();
    elements.active(None, &ConstExpr::i32_const(0), Elements::Functions([2, 5, 0].as_slice().into()));
    elements.passive(Elements::Functions([7, 3].as_slice().into()));
    let expressions = [ConstExpr::ref_func(4), ConstExpr::ref_null(wasm_encoder::HeapType::FUNC)];
    elements.passive(Elements::Expressions(RefType::FUNCREF, expressions.as_slice().into()));
    elements.declared(Elements::Functions([5].as_slice().into()));
    let mut code = CodeSection::new();
    for index in IMPORTED..IMPORTED + DEFINED {
        let mut function = Function::new([(1, ValType::I64)]);
        let mut body = function.instructions();
        body.i32_const(1000 + index.cast_signed()).drop();
        match index {
            2 => body.call(4).call(0).call(7).i32_const(1).call_indirect(0, 0),
            3 => body.ref_func(5).drop().call(2),
            4 => body.i32_const(7).call(5),
            5 => body.i32_const(9).drop(),
            6 => body.call(6).return_call(1),
            _ => body.return_call(6),
        };
        body.end();
        code.function(&function);
    }
    let mut names = NameSection::new();
    let mut of_functions = NameMap::new();
    of_functions.append(2, "two");
    names.functions(&of_functions);
    let mut module = Module::new();
    module.section(&types).section(&imports).section(&functions).section(&tables).section(&globals);
    module.section(&exports).section(&StartSection { function_index: 2 }).section(&elements).section(&code);
    module.section(&CustomSection { name: "target_features".into(), data: [1, 2, 3].as_slice().into() });
    module
        .section(&names)
        .section(&CustomSection { name: ".debug_info".into(), data: [1].as_slice().into() });
    module
}

/// What the module says, with each function named by its own number instead of its index.
fn meaning(bytes: &[u8]) -> Vec<String> {
    let mut names: Vec<String> = (0..IMPORTED).map(|index| format!("imported {index}")).collect();
    let mut types = Vec::new();
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.unwrap() {
            Payload::FunctionSection(section) => {
                types.extend(section.into_iter().map(std::result::Result::unwrap));
            }
            Payload::CodeSectionEntry(body) => {
                names.push(format!("{:?}", body.get_operators_reader().unwrap().read().unwrap()));
            }
            _ => {}
        }
    }
    let name = |index: u32| names[index as usize].as_str();
    let code = |reader: OperatorsReader<'_>| -> Vec<String> {
        let of = |operator: Operator<'_>| match operator {
            Operator::Call { function_index } => format!("call {}", name(function_index)),
            Operator::ReturnCall { function_index } => format!("return_call {}", name(function_index)),
            Operator::RefFunc { function_index } => format!("ref.func {}", name(function_index)),
            other => format!("{other:?}"),
        };
        reader.into_iter().map(|operator| of(operator.unwrap())).collect()
    };
    let mut said = Vec::new();
    let mut defined = 0;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.unwrap() {
            Payload::TableSection(section) => said.extend(section.into_iter().map(|table| {
                let table = table.unwrap();
                let init = match table.init {
                    TableInit::RefNull => Vec::new(),
                    TableInit::Expr(expression) => code(expression.get_operators_reader()),
                };
                format!("table {:?} {init:?}", table.ty)
            })),
            Payload::GlobalSection(section) => said.extend(section.into_iter().map(|global| {
                let global = global.unwrap();
                format!("global {:?} {:?}", global.ty, code(global.init_expr.get_operators_reader()))
            })),
            Payload::ExportSection(section) => said.extend(section.into_iter().map(|export| {
                let export = export.unwrap();
                let of = if export.kind == ExternalKind::Func { name(export.index) } else { "no function" };
                format!("export {} {of}", export.name)
            })),
            Payload::StartSection { func, .. } => said.push(format!("start {}", name(func))),
            Payload::ElementSection(section) => said.extend(section.into_iter().map(|element| {
                let element = element.unwrap();
                let kind = match element.kind {
                    ElementKind::Active { .. } => "active",
                    ElementKind::Passive => "passive",
                    ElementKind::Declared => "declared",
                };
                let items: Vec<String> = match element.items {
                    ElementItems::Functions(items) => {
                        items.into_iter().map(|item| name(item.unwrap()).to_owned()).collect()
                    }
                    ElementItems::Expressions(_, items) => items
                        .into_iter()
                        .flat_map(|item| code(item.unwrap().get_operators_reader()))
                        .collect(),
                };
                format!("elements {kind} {items:?}")
            })),
            Payload::CodeSectionEntry(body) => {
                let of = code(body.get_operators_reader().unwrap());
                said.push(format!("function {of:?} of type {}", types[defined]));
                defined += 1;
            }
            Payload::CustomSection(section) => said.push(format!("{} {:?}", section.name(), section.data())),
            _ => {}
        }
    }
    // The code is the one thing whose order may change.
    let first = said.iter().position(|line| line.starts_with("function")).unwrap();
    said[first..][..defined].sort_unstable();
    said
}

/// What ships of it: the same without what is for debuggers.
fn expected() -> Vec<String> {
    let mut expected = meaning(&everything().finish());
    assert_eq!(expected.len(), 2 + 2 + 3 + 1 + 4 + DEFINED as usize + 3);
    expected.retain(|line| !line.starts_with("name ") && !line.starts_with(".debug_info "));
    expected
}

#[test]
fn a_module_means_the_same_in_any_order() {
    let module = everything().finish();
    Validator::new_with_features(WasmFeatures::all()).validate_all(&module).unwrap();
    for order in [vec![0, 1, 2, 3, 4, 5], vec![5, 4, 3, 2, 1, 0], vec![1, 2, 0, 5, 3, 4]] {
        let other = reordered(&module, order.clone()).unwrap();
        Validator::new_with_features(WasmFeatures::all()).validate_all(&other).unwrap();
        assert_eq!(meaning(&other), expected(), "{order:?}");
        // Each is where it was to go.
        let codes = Parser::new(0).parse_all(&other).filter_map(|payload| match payload.unwrap() {
            Payload::CodeSectionEntry(body) => Some(body.get_operators_reader().unwrap().read().unwrap()),
            _ => None,
        });
        let numbers = order.iter().map(|&old| 1000 + IMPORTED.cast_signed() + i32::try_from(old).unwrap());
        assert!(codes.eq(numbers.map(|value| Operator::I32Const { value })), "{order:?}");
    }
    let slim = slim(&module).unwrap();
    assert_eq!(meaning(&slim), expected());
    assert_eq!(super::slim(&module).unwrap(), slim);
}

#[test]
fn a_component_has_its_modules_reordered_and_all_else_as_it_was() {
    let module = everything().finish();
    let shipped = slim(&module).unwrap();
    let mut component = Component::new();
    let mut slim_component = Component::new();
    for (of, module) in [(&mut component, &module), (&mut slim_component, &shipped)] {
        let mut types = wasm_encoder::ComponentTypeSection::new();
        types.defined_type().primitive(wasm_encoder::PrimitiveValType::Bool);
        of.section(&types).section(&RawSection { id: ComponentSectionId::CoreModule as u8, data: module });
        let mut within = Component::new();
        within.section(&types);
        of.section(&RawSection { id: ComponentSectionId::Component as u8, data: &within.finish() });
        of.section(&CustomSection { name: "kept".into(), data: [4].as_slice().into() });
    }
    component.section(&CustomSection { name: "component-name".into(), data: [0].as_slice().into() });
    assert_eq!(slim(&component.finish()).unwrap(), slim_component.finish());
}

#[test]
fn what_may_hold_indices_and_cannot_be_read_is_refused() {
    for name in ["linking", "reloc.CODE", "metadata.code.branch_hint", "dylink.0"] {
        let mut module = everything();
        module.section(&CustomSection { name: name.into(), data: [1].as_slice().into() });
        let said = slim(&module.finish()).unwrap_err().to_string();
        assert!(said.contains(name), "{said}");
    }
    let module = everything().finish();
    for bytes in [&module[..6], &module[..module.len() - 1], b"text that is no wasm"] {
        slim(bytes).unwrap_err();
    }
}
