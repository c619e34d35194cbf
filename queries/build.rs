//! Builds the page in `ui/` where Node is, and lists its files for `src/page/files.rs`. Without Node the list is empty, and
//! only the plain pages are served. `FLAGMETER_UI=plain` leaves the page out; with `FLAGMETER_UI=require` there is no
//! build without it; and where it is an absolute path, the page is what was built into that folder before.

#![expect(clippy::print_stderr, reason = "cargo shows it where a build fails")]

use std::{
    env,
    fmt::Write as _,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::Command,
};

/// The first version of Node that the page's tools run on.
const NODE_MAJOR_MIN: u32 = 20;
/// The page's project, seen from the folder in which cargo runs this.
const UI: &str = "ui";
/// What was installed: a copy of the lock file. Whoever installs anew by hand takes it away with `node_modules`.
const INSTALLED: &str = "node_modules/.flagmeter-installed";

fn main() {
    println!("cargo::rerun-if-env-changed=FLAGMETER_UI");
    watch();
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    let asked = env::var("FLAGMETER_UI").unwrap_or_default();
    let built = match asked.as_str() {
        "plain" => Err("FLAGMETER_UI=plain asks for that".into()),
        "" | "require" => build(&out.join("page")),
        folder if folder.starts_with('/') => copy(Path::new(folder), &out.join("page")),
        other => {
            return println!(
                "cargo::error=FLAGMETER_UI is {other:?}: it can be plain, require, the absolute path of a folder that the \
                 page was built into, or unset"
            );
        }
    };
    let files = match built {
        Ok((how, files)) => {
            println!("cargo::warning=the page {how}");
            files
        }
        Err(why) if !matches!(asked.as_str(), "" | "plain") => {
            return println!("cargo::error=FLAGMETER_UI={asked}, and the page was not built: {why}");
        }
        Err(why) => {
            println!("cargo::warning=the page is left out and plain pages are served: {why}");
            "&[]".into()
        }
    };
    if let Err(error) = fs::write(out.join("page_files.rs"), files) {
        println!("cargo::error=the list of the page's files cannot be written to {}: {error}", out.display());
    }
}

/// Has cargo run this again when the project changes, and not when only `node_modules` does.
fn watch() {
    // A path that is not there counts as changed: until there is a project, each build looks for it.
    println!("cargo::rerun-if-changed={UI}/package.json");
    for path in fs::read_dir(UI).into_iter().flatten().flatten().map(|entry| entry.path()) {
        let is_source = path.extension().is_some_and(|kind| kind == "json" || kind == "ts" || kind == "html");
        if is_source || path.ends_with("src") || path.ends_with("public") {
            println!("cargo::rerun-if-changed={}", path.display());
        }
    }
}

/// Takes a page that was built before; where it is from, and the list of the files as Rust has it.
fn copy(from: &Path, page: &Path) -> Result<(String, String), String> {
    let wrong = |error: io::Error| format!("{} cannot be copied: {error}", from.display());
    println!("cargo::rerun-if-changed={}", from.display());
    fs::create_dir_all(page.join("assets")).map_err(wrong)?;
    for folder in ["", "assets"] {
        for entry in fs::read_dir(from.join(folder)).map_err(wrong)? {
            let file = entry.map_err(wrong)?;
            if file.path().is_file() {
                fs::copy(file.path(), page.join(folder).join(file.file_name())).map_err(wrong)?;
            }
        }
    }
    Ok((format!("is the one in {}", from.display()), list(page)?))
}

/// Builds the page into a folder; how, and the list of the files as Rust has it.
fn build(page: &Path) -> Result<(String, String), String> {
    let node = node()?;
    let lock = Path::new(UI).join("package-lock.json");
    let wrong = |error: io::Error| format!("queries/{} cannot be read: {error}", lock.display());
    // Two builds at once install and build one after the other; the lock goes with the file.
    let _turn = File::open(&lock).and_then(|file| file.lock().map(|()| file)).map_err(wrong)?;
    let (wanted, installed) = (fs::read(&lock).map_err(wrong)?, Path::new(UI).join(INSTALLED));
    if fs::read(&installed).ok().as_ref() != Some(&wanted) {
        // Also where NODE_ENV leaves out what only the build needs; and no package runs a script of its own.
        npm(&["ci", "--include=dev", "--ignore-scripts", "--no-audit", "--no-fund"])?;
        fs::write(&installed, wanted).map_err(|error| format!("queries/{UI}/{INSTALLED}: {error}"))?;
    }
    let folder = page.to_str().ok_or_else(|| format!("{} is not UTF-8", page.display()))?;
    npm(&["run", "build", "--", "--outDir", folder, "--emptyOutDir"])?;
    Ok((format!("was built with Node {node}"), list(page)?))
}

/// The version of Node, if it is new enough and npm is there.
fn node() -> Result<String, String> {
    let missing = |what: &str| {
        format!("{what}; install Node {NODE_MAJOR_MIN} or later, and build with FLAGMETER_UI=require")
    };
    let version = |program: &str| {
        let output = Command::new(program).arg("--version").output().ok().filter(|it| it.status.success());
        output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let node = version("node").ok_or_else(|| missing("there is no Node"))?;
    let major = node.trim_start_matches('v').split('.').next().and_then(|major| major.parse().ok());
    if major.is_none_or(|major: u32| major < NODE_MAJOR_MIN) {
        return Err(missing(&format!("Node is {node}")));
    }
    version("npm").map(|_| node).ok_or_else(|| missing("there is no npm"))
}

/// Runs npm in the project. What it says goes to this script's error output: cargo shows that where the build fails.
fn npm(arguments: &[&str]) -> Result<(), String> {
    let output = Command::new("npm").args(arguments).current_dir(UI).output();
    let output = output.map_err(|error| format!("npm does not start: {error}"))?;
    let said =
        [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
    eprintln!("{said}");
    if output.status.success() {
        return Ok(());
    }
    // The network may be back at the next build: this path is never there, so cargo runs this again.
    println!("cargo::rerun-if-changed={UI}/node_modules/.flagmeter-again");
    let told: Vec<_> = said.lines().map(str::trim).filter(|line| line.len() > "npm error".len()).collect();
    let errors = told.iter().filter(|line| line.to_lowercase().contains("error")).copied().take(3);
    let errors = errors.collect::<Vec<_>>().join(" | ");
    Err(format!("`npm {}` in queries/{UI} ended with {}: {errors}", arguments.join(" "), output.status))
}

/// The files of the built page as an array in Rust. What is compressed stands beside what it is of.
fn list(page: &Path) -> Result<String, String> {
    let mut names = Vec::new();
    for folder in ["", "assets/"] {
        let entries = fs::read_dir(page.join(folder));
        let entries = entries.map_err(|error| format!("the build left no folder {folder:?}: {error}"))?;
        names.extend(entries.flatten().map(|it| format!("{folder}{}", it.file_name().to_string_lossy())));
    }
    names.sort();
    let mut files = String::from("&[\n");
    for name in &names {
        let media_type = match name.rsplit_once('.') {
            Some((_, "html")) => "text/html; charset=utf-8",
            Some((_, "js")) => "text/javascript; charset=utf-8",
            Some((_, "css")) => "text/css; charset=utf-8",
            Some((_, "svg")) => "image/svg+xml",
            None | Some((_, "br" | "gz")) => continue,
            _ => return Err(format!("{name} is of no kind that the page is made of: see queries/build.rs")),
        };
        let bytes =
            |name: &str| format!("include_bytes!(concat!(env!(\"OUT_DIR\"), {:?}))", format!("/page/{name}"));
        let packed = |kind: &str| {
            let name = format!("{name}.{kind}");
            if names.contains(&name) { format!("Some({})", bytes(&name)) } else { "None".into() }
        };
        let (plain, gzip, brotli) = (bytes(name), packed("gz"), packed("br"));
        let _ = writeln!(
            files,
            "File {{ name: {name:?}, media_type: {media_type:?}, plain: {plain}, gzip: {gzip}, brotli: {brotli} }},"
        );
    }
    Ok(files + "]")
}
