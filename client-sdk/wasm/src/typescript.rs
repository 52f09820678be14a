//! The TypeScript of the face, a file for each of its modules, kept in the web folder; a test fails while one is stale.

use std::any::{TypeId, type_name};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;

use ts_rs::{Config, TS, TypeVisitor};

use crate::face::event::Event;
use crate::face::{Calls, Fault};

#[test]
fn the_typescript_of_the_face_is_up_to_date() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../web/src/sdk/generated");
    let made = face_as_typescript();
    if std::env::var_os("LATCHKEY_WRITE_TYPES").is_some() {
        std::fs::create_dir_all(&folder).unwrap();
        for old in names_in(&folder).difference(&made.keys().cloned().collect()) {
            std::fs::remove_file(folder.join(old)).unwrap();
        }
        for (name, text) in &made {
            std::fs::write(folder.join(name), text).unwrap();
        }
    }
    let stale = "is stale: run `make wasm-types` and commit what it writes";
    assert_eq!(names_in(&folder), made.keys().cloned().collect(), "{} {stale}", folder.display());
    for (name, text) in &made {
        let path = folder.join(name);
        assert!(std::fs::read_to_string(&path).unwrap() == *text, "{} {stale}", path.display());
    }
}

/// Every file by its name. `face.ts` has the calls, and shows the types of all the others.
fn face_as_typescript() -> BTreeMap<String, String> {
    // JSON numbers: none of ours comes near 2^53.
    let config = Config::new().with_large_int("number");
    let mut declarations = Declarations { config: &config, seen: BTreeMap::new(), files: BTreeMap::new() };
    declarations.visit::<Calls>();
    declarations.visit::<Event>();
    declarations.visit::<Fault>();
    let modules: Vec<String> = declarations.files.keys().cloned().collect();
    let written = |(module, file): (String, File)| {
        let shown =
            if module == FRAME { modules.iter().filter(|&other| other != FRAME).collect() } else { vec![] };
        (format!("{module}.ts"), file.text(&module, &shown))
    };
    declarations.files.into_iter().map(written).collect()
}

/// The declarations of one module.
#[derive(Default)]
struct File {
    /// By name, so that their order does not depend on who names whom first.
    texts: BTreeMap<String, String>,
    /// Names of other modules' types, by module.
    imports: BTreeMap<String, BTreeSet<String>>,
}

impl File {
    fn text(&self, module: &str, shown: &[&String]) -> String {
        let source = if module == FRAME { "face.rs".to_owned() } else { format!("face/{module}.rs") };
        let mut text =
            format!("/** Made from client-sdk/wasm/src/{source}: `make wasm-types` writes it anew. */\n\n");
        for (from, names) in &self.imports {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let _ = writeln!(text, "import type {{ {} }} from './{from}.ts';", names.join(", "));
        }
        for other in shown {
            let _ = writeln!(text, "export type * from './{other}.ts';");
        }
        if !self.imports.is_empty() || !shown.is_empty() {
            text.push('\n');
        }
        let declarations: Vec<&str> = self.texts.values().map(String::as_str).collect();
        text + &declarations.join("\n")
    }
}

/// Goes over all types that the visited ones name.
struct Declarations<'a> {
    config: &'a Config,
    seen: BTreeMap<String, TypeId>,
    files: BTreeMap<String, File>,
}

impl TypeVisitor for Declarations<'_> {
    fn visit<T: TS + 'static + ?Sized>(&mut self) {
        // Only declared types have a place; numbers, texts and lists have none.
        if T::output_path().is_none() {
            T::visit_dependencies(self);
            T::visit_generics(self);
            return;
        }
        let name = T::ident(self.config);
        let known = self.seen.insert(name.clone(), TypeId::of::<T>());
        assert!(known.is_none_or(|known| known == TypeId::of::<T>()), "two types are called {name}");
        if known.is_some() {
            return;
        }
        let mut named = Named { config: self.config, by: module_of::<T>(), imports: BTreeMap::new() };
        T::visit_dependencies(&mut named);
        let file = self.files.entry(named.by).or_default();
        for (from, names) in named.imports {
            file.imports.entry(from).or_default().extend(names);
        }
        file.texts
            .insert(name, format!("{}export {}\n", T::docs().unwrap_or_default(), T::decl(self.config)));
        T::visit_dependencies(self);
        T::visit_generics(self);
    }
}

/// The types that one declaration names itself, as imports.
struct Named<'a> {
    config: &'a Config,
    by: String,
    imports: BTreeMap<String, BTreeSet<String>>,
}

impl TypeVisitor for Named<'_> {
    fn visit<T: TS + 'static + ?Sized>(&mut self) {
        T::visit_generics(self);
        if T::output_path().is_some() && module_of::<T>() != self.by {
            self.imports.entry(module_of::<T>()).or_default().insert(T::ident(self.config));
        }
    }
}

/// Returns the module of the face that a type stands in.
fn module_of<T: ?Sized>() -> String {
    type_name::<T>().rsplit("::").nth(1).unwrap().to_owned()
}

fn names_in(folder: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// The module that frames the others.
const FRAME: &str = "face";
