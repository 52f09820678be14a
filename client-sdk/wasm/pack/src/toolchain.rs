//! The compiler for browsers: rustup's target where it is or can be added, else Debian's pair of compiler and standard library source.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

/// Compilers that can build for browsers.
pub(crate) enum Toolchain {
    /// The one that builds everything else, with its target for browsers.
    Target,
    /// Debian's packages `rustc-web` and `rust-web-src`; the standard library is built with the crate.
    Debian {
        /// rust-lld of the toolchain at hand: Debian's pair brings none.
        linker: PathBuf,
    },
}

/// Finds a compiler, adding rustup's target or Debian's packages where they are missing.
///
/// Fails when there is neither.
pub(crate) fn find() -> Result<Toolchain> {
    let forced = std::env::var_os("LATCHKEY_WASM_DEBIAN").is_some();
    if !forced && (has_target() || (add_target() && has_target())) {
        return Ok(Toolchain::Target);
    }
    if !has_debian() {
        install_debian();
    }
    let linker = linker();
    match linker {
        Some(linker) if has_debian() => Ok(Toolchain::Debian { linker }),
        _ => bail!(
            "no compiler for browsers here: run `rustup target add {TARGET}` (it needs the network), or on Debian install rustc-web and rust-web-src, then run make again"
        ),
    }
}

impl Toolchain {
    /// Builds latchkey-wasm and returns the file.
    pub(crate) fn build(&self, features: Option<&str>) -> Result<PathBuf> {
        let target_dir = target_dir();
        // Features get their own folder: they must not stand in the place of what is shipped.
        let target_dir = features.map_or(target_dir.clone(), |_| target_dir.join("wasm-features"));
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.current_dir(root()).args(["rustc", "--locked", "--quiet", "--package", "latchkey-wasm"]);
        // Only as this crate type alone is it optimised as a whole.
        cargo
            .args([
                "--lib",
                "--crate-type",
                "cdylib",
                "--profile",
                PROFILE,
                "--target",
                TARGET,
                "--target-dir",
            ])
            .arg(&target_dir);
        if let Some(features) = features {
            cargo.args(["--features", features]);
        }
        let mut flags = format!("-Ctarget-feature=+simd128 {SMALL}");
        // The stable compiler knows these two, and calls them unstable.
        cargo.env("RUSTC_BOOTSTRAP", "1");
        if let Self::Debian { linker } = self {
            let linker = linker.to_str().context("the toolchain's path is not text")?;
            flags.push_str(&format!(" -Clinker={linker}"));
            cargo.args(["-Zbuild-std=std,panic_abort"]).env("RUSTC", DEBIAN_RUSTC);
        }
        // What is set for the machine's own programs is not for browsers.
        cargo.env("RUSTFLAGS", flags).env_remove("CARGO_ENCODED_RUSTFLAGS").env_remove("RUSTC_WRAPPER");
        let done = cargo.status().context("cargo could not be started")?;
        if !done.success() {
            bail!("latchkey-wasm does not build; the compiler says why above");
        }
        Ok(target_dir.join(TARGET).join(PROFILE).join("latchkey_wasm.wasm"))
    }
}

fn has_target() -> bool {
    let asked = Command::new("rustc").args(["--print", "target-libdir", "--target", TARGET]).output();
    asked.ok().filter(|told| told.status.success()).is_some_and(|told| {
        let dir = String::from_utf8_lossy(&told.stdout);
        std::fs::read_dir(dir.trim()).is_ok_and(|mut files| files.next().is_some())
    })
}

fn add_target() -> bool {
    eprintln!("latchkey: adding rustup's target {TARGET}");
    let rustup = Command::new("rustup").args(["target", "add", TARGET]).stderr(Stdio::null()).status();
    rustup.is_ok_and(|done| done.success())
}

fn has_debian() -> bool {
    Path::new(DEBIAN_RUSTC).exists() && Path::new(DEBIAN_SOURCE).exists()
}

fn install_debian() {
    eprintln!("latchkey: installing rustc-web rust-web-src");
    let script = "as_root=; [ \"$(id -u)\" = 0 ] || as_root=sudo; command -v apt-get >/dev/null && $as_root apt-get update -qq && DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq --no-install-recommends rustc-web rust-web-src >/dev/null";
    // Whether it worked is seen by what is there.
    let _ = Command::new("sh").args(["-c", script]).status();
}

fn linker() -> Option<PathBuf> {
    let told = Command::new("rustc").args(["--print", "sysroot"]).output().ok()?;
    let lib = PathBuf::from(String::from_utf8_lossy(&told.stdout).trim()).join("lib/rustlib");
    let hosts = std::fs::read_dir(lib).ok()?.flatten();
    hosts.map(|host| host.path().join("bin/rust-lld")).find(|linker| linker.exists())
}

/// The folder of the workspace.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..")
}

fn target_dir() -> PathBuf {
    let dir = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    root().join(dir)
}

const TARGET: &str = "wasm32-unknown-unknown";
/// Panics do not say where, and errors made for developers not with what: 9 KB of what a page loads first. Sentences for
/// people are the same.
const SMALL: &str = "-Zlocation-detail=none -Zfmt-debug=shallow";
/// The profile in the workspace's Cargo.toml.
const PROFILE: &str = "wasm";
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
/// Where `rust-web-src` puts the standard library, as the compiler looks for it.
const DEBIAN_SOURCE: &str = "/usr/lib/rustlib/src/rust/library/std";
