//! The TypeScript of the face, kept in the web folder; a test fails while it is stale.

use std::any::TypeId;
use std::collections::BTreeMap;
use std::path::Path;

use ts_rs::{Config, TS, TypeVisitor};

use crate::face::{Calls, Event, Fault};

/// Declarations by name, so that their order does not depend on who names whom first.
struct Declarations<'a> {
    config: &'a Config,
    seen: Vec<TypeId>,
    texts: BTreeMap<String, String>,
}

impl TypeVisitor for Declarations<'_> {
    fn visit<T: TS + 'static + ?Sized>(&mut self) {
        if self.seen.contains(&TypeId::of::<T>()) {
            return;
        }
        self.seen.push(TypeId::of::<T>());
        T::visit_dependencies(self);
        T::visit_generics(self);
        // Only declared types have a place; numbers, texts and lists have none.
        if T::output_path().is_some() {
            let docs = T::docs().unwrap_or_default();
            let text = format!("{}export {}\n", docs, T::decl(self.config));
            self.texts.insert(T::ident(self.config), text);
        }
    }
}

/// The whole file.
fn face_as_typescript() -> String {
    // JSON numbers: none of ours comes near 2^53.
    let config = Config::new().with_large_int("number");
    let mut declarations = Declarations { config: &config, seen: Vec::new(), texts: BTreeMap::new() };
    declarations.visit::<Calls>();
    declarations.visit::<Event>();
    declarations.visit::<Fault>();
    let texts: Vec<String> = declarations.texts.into_values().collect();
    let head = "/** What page and worker say to each other. Made from client-sdk/wasm/src/face.rs: `make wasm-types` writes it anew. */\n";
    format!("{head}\n{}", texts.join("\n"))
}

#[test]
fn the_typescript_of_the_face_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../web/src/sdk/generated/face.ts");
    let made = face_as_typescript();
    if std::env::var_os("LATCHKEY_WRITE_TYPES").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &made).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == made, "{} is stale: run `make wasm-types` and commit it", path.display());
}
